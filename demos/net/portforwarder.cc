// Forwards a port: whoever connects talks to the target, in both directions.  SIGTERM (or Ctrl-C)
// drains it: no new connections, those there are go on until they end, a minute at most; a second
// signal cuts them off.
//
//   portforwarder [PORT [TARGET]]      7004 and 127.0.0.1:7001 (the echo server) unless told
#include <ramie/group.h>
#include <ramie/server.h>
#include <ramie/signal.h>
#include <ramie/wait.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;

void copy(ramie::stream& from, ramie::stream& to) {
  char buffer[16 * 1024];
  while (std::size_t size = from.read_some(buffer)) {
    to.write_all({buffer, size});
  }
  to.shutdown_write();  // the other direction may go on
}

void forward(ramie::stream client, const ramie::endpoint& target) try {
  const std::string who = client.peer().text();
  ramie::stream server = ramie::stream::connect(target);
  std::printf("+ %s\n", who.c_str());
  {
    ramie::group both;  // one that fails cancels the other
    both.spawn([&] { copy(client, server); });
    both.spawn([&] { copy(server, client); });
    both.join();
  }
  std::printf("- %s\n", who.c_str());
} catch (const std::system_error& error) {
  std::printf("- %s\n", error.what());
}

}  // namespace

int main(int argc, char** argv) try {
  const ramie::endpoint target(argc > 2 ? argv[2] : "127.0.0.1:7001");
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  ramie::stream_server server(demo::address(argc, argv, 7004),
                              [&](ramie::stream client) { forward(std::move(client), target); });
  server.start();
  demo::listening(server.local());

  stop.wait();
  server.close();
  std::printf("draining, connections: %zu\n", server.active());
  ramie::fiber<bool> drained = ramie::spawn([&] { return server.stop(1min); });
  if (ramie::wait_any(drained, stop) == 1) {
    stop.wait();       // takes the signal
    drained.cancel();  // and the destructor of the server has no patience
  }
  drained.join();
  std::printf("%s\n", drained.successful() && drained.get() ? "drained" : "cut off");
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
