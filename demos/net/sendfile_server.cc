// Serves the files of a folder by HTTP, and lets the kernel copy them: sendfile(2), which knows
// nothing of fibers, on a socket that doesn't block, and io::wait() where it would.
//
//   sendfile_server [PORT [FOLDER]]      7003 and the current folder unless told
//
// Try `curl http://127.0.0.1:7003/README.md`.  A client that reads slowly holds up nobody.
#include <ramie/server.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "demos/command_line.h"

namespace {

void send_file(ramie::stream& peer, int file, ::off_t size) {
  ::off_t offset = 0;
  while (offset < size) {
    ::ssize_t sent = ::sendfile(peer.fd(), file, &offset, static_cast<std::size_t>(size - offset));
    if (sent < 0 && errno == EAGAIN) {
      (void)ramie::io::wait(peer.fd(), ramie::io::writable);
    } else if (sent < 0 && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "sendfile");
    } else if (sent == 0) {
      throw std::runtime_error("the file has become shorter");
    }
  }
}

// The target of "GET /a/b HTTP/1.1" below the folder; empty if it is not a file there.
std::string path_of(const std::string& request, const std::string& folder) {
  if (!request.starts_with("GET /")) {
    return {};
  }
  std::filesystem::path target = request.substr(5, request.find_first_of(" ?\r", 5) - 5);
  for (const std::filesystem::path& part : target) {
    if (part == ".." || part == "/") {
      return {};
    }
  }
  std::filesystem::path path = folder / target;
  std::error_code none;
  return std::filesystem::is_regular_file(path, none) ? path.string() : std::string();
}

void serve(ramie::stream peer, const std::string& folder) try {
  std::string data;
  for (; std::size_t size = peer.read_until(data, "\r\n\r\n"); data.erase(0, size)) {
    const std::string path = path_of(data.substr(0, size), folder);
    std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "re"),
                                                            std::fclose);
    struct ::stat status {};
    if (file == nullptr || ::fstat(::fileno(file.get()), &status) != 0) {
      peer.write_all("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nnot found\n");
      continue;
    }
    peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(status.st_size) +
                   "\r\n\r\n");
    send_file(peer, ::fileno(file.get()), status.st_size);
    std::printf("%s: %lld bytes\n", path.c_str(), static_cast<long long>(status.st_size));
  }
} catch (const std::exception& error) {
  std::printf("a client was lost: %s\n", error.what());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string folder = argc > 2 ? argv[2] : ".";
  ::signal(SIGPIPE, SIG_IGN);  // sendfile() has no MSG_NOSIGNAL
  ramie::stream_server server(demo::address(argc, argv, 7003),
                              [&](ramie::stream peer) { serve(std::move(peer), folder); });
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
