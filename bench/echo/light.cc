// An echo server with a light fiber for each connection, until it is killed.
#include <ramie/endpoint.h>
#include <ramie/fiber.h>
#include <ramie/socket.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <system_error>
#include <utility>

#include "listen.h"

namespace {

void serve(ramie::stream peer) {
  std::array<char, kMessageRoom> data;
  try {
    while (std::size_t size = peer.read_some(data)) {
      peer.write_all({data.data(), size});
    }
  } catch (const std::system_error&) {  // a client that goes away
  }
}

}  // namespace

int main() {
  allow_many_descriptors();
  ramie::listener doors(ramie::endpoint("127.0.0.1:0"));
  std::printf("listening on 127.0.0.1:%d\n", doors.port());
  std::fflush(stdout);
  for (;;) {
    ramie::spawn(serve, doors.accept()).detach();
  }
}
