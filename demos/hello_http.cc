// A web server in twenty lines: `hello_http [PORT]`, then `curl http://127.0.0.1:8080/`.
#include <ramie/server.h>
#include <ramie/signal.h>

#include <iostream>

int main(int argc, char** argv) try {
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  ramie::endpoint at("127.0.0.1:" + std::string(argc > 1 ? argv[1] : "8080"));
  ramie::stream_server server(at, [](ramie::stream peer) {
    for (std::string in; auto size = peer.read_until(in, "\r\n\r\n"); in.erase(0, size))
      peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
  });
  server.start();
  std::cout << "listening on " << server.local().text() << std::endl;
  stop.wait();
} catch (const std::exception& error) {
  std::cerr << "hello_http: " << error.what() << '\n';
  return 1;
}
