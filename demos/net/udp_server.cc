// A UDP server: each datagram is answered by a fiber of its own, so that one answer which takes a
// while (0.1 s here, as if a database were asked) delays no other one.
//
//   udp_server [PORT]        7005 unless told
//
// Try `udp_client 7005 hello world`, or `nc -u 127.0.0.1 7005`.
#include <ramie/server.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;

void answer(ramie::datagram_server& server, const std::string& text, const ramie::endpoint& from) {
  std::printf("%s: %zu bytes\n", from.text().c_str(), text.size());
  ramie::sleep_for(100ms);
  server.reply("got " + std::to_string(text.size()) + " bytes: " + text, from);
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::datagram_server server(demo::address(argc, argv, 7005), answer);
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
