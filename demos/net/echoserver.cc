// The echo server: says back what each client says, one fiber for each connection.
//
//   echoserver [PORT]        7001 unless told, 0 for one of the kernel's choice
//
// Try `nc 127.0.0.1 7001`, several times at once, and Ctrl-C.  The code of a connection reads as
// that of a program with a single client; read_some() and write_all() let the others run.
#include <ramie/server.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <system_error>

#include "demos/command_line.h"

namespace {

std::atomic<int> clients = 0;

void echo(ramie::stream peer) try {
  std::printf("+ %s, clients: %d\n", peer.peer().text().c_str(), ++clients);
  char buffer[16 * 1024];
  while (std::size_t size = peer.read_some(buffer)) {
    peer.write_all({buffer, size});
  }
  std::printf("- %s, clients: %d\n", peer.peer().text().c_str(), --clients);
} catch (const std::system_error& error) {  // a client that goes away in the middle
  std::printf("- %s, clients: %d\n", error.what(), --clients);
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::stream_server server(demo::address(argc, argv, 7001), echo);
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
