// Sends lines to unix_server and prints what it says.  One fiber writes while another one reads, so
// that any number of lines may be under way.
//
//   unix_client PATH LINE...
#include <ramie/fiber.h>
#include <ramie/socket.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "demos/command_line.h"

int main(int argc, char** argv) try {
  if (argc < 2) {
    throw std::invalid_argument("usage: unix_client PATH LINE...");
  }
  ramie::stream server = ramie::stream::connect(ramie::endpoint("unix:" + std::string(argv[1])));
  ramie::fiber<void> writer = ramie::spawn([&] {
    for (int i = 2; i < argc; ++i) {
      server.write_all(std::string(argv[i]) + "\n");
    }
    server.shutdown_write();
  });
  std::string data;
  for (; std::size_t size = server.read_until(data, "\n"); data.erase(0, size)) {
    std::printf("%.*s", static_cast<int>(size), data.data());
  }
  writer.get();
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
