// An echo server in twenty lines: `echo [PORT]`, then `nc 127.0.0.1 7000`, several times at once.
#include <ramie/server.h>
#include <ramie/signal.h>

#include <iostream>

int main(int argc, char** argv) try {
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  ramie::endpoint at("127.0.0.1:" + std::string(argc > 1 ? argv[1] : "7000"));
  ramie::stream_server server(at, [](ramie::stream peer) {
    char buffer[4096];
    while (auto size = peer.read_some(buffer)) peer.write_all({buffer, size});
  });
  server.start();
  std::cout << "listening on " << server.local().text() << std::endl;
  stop.wait();
} catch (const std::exception& error) {
  std::cerr << "echo: " << error.what() << '\n';
  return 1;
}
