// A server on a socket in the file system: it knows who calls, because the kernel tells, and says
// each line back in capitals.
//
//   unix_server [PATH]        /tmp/ramie.sock unless told
//
// Try `unix_client /tmp/ramie.sock hello`, or `nc -U /tmp/ramie.sock`.  A file that a dead server
// has left is replaced; this one removes its own.
#include <ramie/server.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "demos/command_line.h"

namespace {

::ucred caller(const ramie::stream& peer) {
  ::ucred found{};
  ::socklen_t size = sizeof found;
  if (::getsockopt(peer.fd(), SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "SO_PEERCRED");
  }
  return found;
}

void talk(ramie::stream peer) try {
  const ::ucred who = caller(peer);
  std::printf("+ process %d of user %u\n", who.pid, who.uid);
  peer.write_all("hello, process " + std::to_string(who.pid) + "\n");
  std::string data;
  while (std::size_t size = peer.read_until(data, "\n")) {
    std::string line = data.substr(0, size);
    data.erase(0, size);
    std::transform(line.begin(), line.end(), line.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    peer.write_all(line);
  }
  std::printf("- process %d\n", who.pid);
} catch (const std::system_error& error) {
  std::printf("- %s\n", error.what());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "/tmp/ramie.sock";
  ramie::stream_server server(ramie::endpoint("unix:" + path), talk);
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
