// Sends each word as a datagram, all at once, and prints the answers as they come.  Datagrams get
// lost, so each is sent up to three times, with a second for the answer.
//
//   udp_client PORT WORD...        to udp_server
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/socket.h>
#include <ramie/timeout.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;

std::string ask(const std::string& word, const ramie::endpoint& server) {
  ramie::datagram_socket socket(server.family());
  for (int attempt = 1; attempt <= 3; ++attempt) {
    socket.send_to(word, server);
    try {
      ramie::timeout limit(1s);
      char buffer[2048];
      ramie::endpoint from;
      return {buffer, socket.receive_from(buffer, from)};
    } catch (const ramie::timeout_error&) {
      std::printf("no answer to \"%s\" yet\n", word.c_str());
    }
  }
  throw std::runtime_error("no answer to \"" + word + "\"");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    throw std::invalid_argument("usage: udp_client PORT WORD...");
  }
  const ramie::endpoint server = demo::address(argc, argv, 0);
  const std::vector<std::string> words(argv + 2, argv + argc);
  ramie::group all;
  for (std::string& answer : ramie::imap_unordered(
           all, [&](const std::string& word) { return ask(word, server); }, words)) {
    std::printf("%s\n", answer.c_str());
  }
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
