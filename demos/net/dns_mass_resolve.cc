// Resolves many names by getaddrinfo(), ten at a time, each with a limit.
//
//   dns_mass_resolve SERVER:PORT SECONDS NAME...
//   dns_mass_resolve - SECONDS NAME...               the servers of /etc/resolv.conf
//
// getaddrinfo() blocks inside libc, so it runs on threads of offload(); the fiber that waits for it
// gives up when the limit is over.  The server is set for each such thread (_res is the resolver's
// state of a thread), so that no file of the machine needs to be changed.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <ramie/future.h>
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/offload.h>
#include <resolv.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"

namespace {

// On a kernel thread: this thread's questions go to that server alone.
void use_server(const ramie::endpoint& server) {
  ::res_init();
  _res.nscount = 1;
  std::memcpy(&_res.nsaddr_list[0], server.data(), sizeof(::sockaddr_in));
}

// On a kernel thread: the first IPv4 address, or what went wrong.
std::string look_up(const std::string& name, const std::optional<ramie::endpoint>& server) {
  if (server.has_value()) {
    use_server(*server);
  }
  ::addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  ::addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &found); error != 0) {
    return ::gai_strerror(error);
  }
  char text[INET_ADDRSTRLEN] = {};
  const auto* address = reinterpret_cast<const ::sockaddr_in*>(found->ai_addr);
  ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
  ::freeaddrinfo(found);
  return text;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    throw std::invalid_argument("usage: dns_mass_resolve SERVER:PORT|- SECONDS NAME...");
  }
  std::optional<ramie::endpoint> server;
  if (std::string(argv[1]) != "-") {
    server.emplace(argv[1]);
    if (server->family() != AF_INET) {
      throw std::invalid_argument("not an IPv4 address: " + server->text());
    }
  }
  const std::chrono::seconds limit(demo::number(argc, argv, 2, 0));
  const std::vector<std::string> names(argv + 3, argv + argc);

  int resolved = 0;
  ramie::pool ten(10);
  auto resolve = [&](const std::string& name) {
    // The answer belongs to the fiber that waits for the thread, so it may come after the limit.
    ramie::future<std::string> answer = ramie::async(
        [name, server] { return ramie::offload([&] { return look_up(name, server); }); });
    if (answer.wait_for(limit) != std::future_status::ready) {
      return name + ": no answer in time";
    }
    ++resolved;
    return name + ": " + answer.get();
  };
  for (std::string& line : ramie::imap_unordered(ten, resolve, names)) {
    std::printf("%s\n", line.c_str());
  }
  std::printf("%d of %zu answered in time\n", resolved, names.size());
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
