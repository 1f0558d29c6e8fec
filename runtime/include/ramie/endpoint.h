// Addresses of sockets: IPv4, IPv6, and UNIX domain.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <ramie/offload.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace ramie {

// An address of one of these kinds, as system calls take it.  Copies; nothing here switches.
class endpoint {
 public:
  // No address: for receiving one.
  endpoint() noexcept = default;
  // What a system call has given.
  endpoint(const ::sockaddr* address, ::socklen_t size) noexcept
      : size_(size < sizeof address_ ? size : sizeof address_) {
    std::memcpy(&address_, address, size_);
  }

  // "127.0.0.1:8080", "[::1]:8080", ":8080" (every IPv4 interface), "unix:/run/x.sock" and
  // "unix:@name" (the abstract namespace).  Port 0 lets the kernel choose one.  Names of hosts are
  // for resolve().  Throws std::invalid_argument.
  explicit endpoint(std::string_view text) {
    if (text.substr(0, 5) == "unix:") {
      set_path(text.substr(5));
      return;
    }
    std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon == text.npos || !parse_port(text.substr(colon + 1), port) ||
        !set_ip(text.substr(0, colon), port)) {
      throw std::invalid_argument("not an address: " + std::string(text));
    }
  }

  // AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC without an address.
  [[nodiscard]] int family() const noexcept { return address_.ss_family; }

  // 0 where there is none.
  [[nodiscard]] std::uint16_t port() const noexcept {
    switch (family()) {
      case AF_INET:
        return ntohs(as<::sockaddr_in>().sin_port);
      case AF_INET6:
        return ntohs(as<::sockaddr_in6>().sin6_port);
      default:
        return 0;
    }
  }

  // Of a UNIX domain socket in the file system; empty for others.
  [[nodiscard]] std::string path() const {
    constexpr std::size_t begin = offsetof(::sockaddr_un, sun_path);
    if (family() != AF_UNIX || size_ <= begin || as<::sockaddr_un>().sun_path[0] == '\0') {
      return {};
    }
    const char* text = as<::sockaddr_un>().sun_path;
    return {text, ::strnlen(text, size_ - begin)};
  }

  // As the constructor takes it.
  [[nodiscard]] std::string text() const {
    char host[INET6_ADDRSTRLEN] = {};
    switch (family()) {
      case AF_INET:
        ::inet_ntop(AF_INET, &as<::sockaddr_in>().sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(port());
      case AF_INET6:
        ::inet_ntop(AF_INET6, &as<::sockaddr_in6>().sin6_addr, host, sizeof host);
        return "[" + std::string(host) + "]:" + std::to_string(port());
      case AF_UNIX: {
        constexpr std::size_t begin = offsetof(::sockaddr_un, sun_path);
        if (size_ > begin + 1 && as<::sockaddr_un>().sun_path[0] == '\0') {
          return "unix:@" + std::string(as<::sockaddr_un>().sun_path + 1, size_ - begin - 1);
        }
        return "unix:" + path();
      }
      default:
        return {};
    }
  }

  // For the system calls.
  [[nodiscard]] const ::sockaddr* data() const noexcept {
    return reinterpret_cast<const ::sockaddr*>(&address_);
  }
  [[nodiscard]] ::sockaddr* data() noexcept { return reinterpret_cast<::sockaddr*>(&address_); }
  [[nodiscard]] ::socklen_t size() const noexcept { return size_; }
  static constexpr ::socklen_t capacity() noexcept { return sizeof(::sockaddr_storage); }
  void resize(::socklen_t size) noexcept { size_ = size < capacity() ? size : capacity(); }

 private:
  template <class Address>
  const Address& as() const noexcept {
    return reinterpret_cast<const Address&>(address_);
  }

  static bool parse_port(std::string_view text, std::uint16_t& port) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
  }

  bool set_ip(std::string_view text, std::uint16_t port) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
      ::sockaddr_in6 six{};
      six.sin6_family = AF_INET6;
      six.sin6_port = htons(port);
      std::string host(text.substr(1, text.size() - 2));
      *this = endpoint(reinterpret_cast<::sockaddr*>(&six), sizeof six);
      return ::inet_pton(AF_INET6, host.c_str(),
                         &reinterpret_cast<::sockaddr_in6&>(address_).sin6_addr) == 1;
    }
    ::sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::string host(text.empty() ? "0.0.0.0" : text);
    bool is_right = ::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1;
    *this = endpoint(reinterpret_cast<::sockaddr*>(&four), sizeof four);
    return is_right;
  }

  void set_path(std::string_view path) {
    ::sockaddr_un local{};
    if (path.empty() || path.size() >= sizeof local.sun_path) {
      throw std::invalid_argument("not a path of a UNIX domain socket: " + std::string(path));
    }
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.data(), path.size());
    std::size_t size = offsetof(::sockaddr_un, sun_path) + path.size();
    if (path.front() == '@') {
      local.sun_path[0] = '\0';
    } else {
      ++size;  // the terminating null
    }
    *this = endpoint(reinterpret_cast<::sockaddr*>(&local), static_cast<::socklen_t>(size));
  }

  ::sockaddr_storage address_{};
  ::socklen_t size_ = 0;
};

namespace detail {

// Errors of getaddrinfo(3).
class resolver_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "getaddrinfo"; }
  [[nodiscard]] std::string message(int value) const override { return ::gai_strerror(value); }
};

inline const std::error_category& resolver_errors() {
  static const resolver_category category;
  return category;
}

}  // namespace detail

// The addresses of a host and port (or service name) for stream sockets, by getaddrinfo(3) on a
// thread of offload().  Switches fibers.  Throws std::system_error with getaddrinfo's error.
inline std::vector<endpoint> resolve(const std::string& host, const std::string& port) {
  ::addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  ::addrinfo* first = nullptr;
  int system_error = 0;
  int error = offload([&] {
    int result = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &first);
    system_error = errno;
    return result;
  });
  if (error == EAI_SYSTEM) {
    throw std::system_error(system_error, std::generic_category(), "ramie::resolve " + host);
  }
  if (error != 0) {
    throw std::system_error(error, detail::resolver_errors(), "ramie::resolve " + host);
  }
  std::vector<endpoint> found;
  for (::addrinfo* one = first; one != nullptr; one = one->ai_next) {
    found.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  ::freeaddrinfo(first);
  return found;
}

}  // namespace ramie
