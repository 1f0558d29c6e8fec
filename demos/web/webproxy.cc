// A proxy for browsers and other clients of the web, one fiber for each direction of a connection.
//
//   webproxy [PORT]          7026 unless told, 0 for one of the kernel's choice
//
// Try `curl --proxy http://127.0.0.1:7026 http://example.org/`, or https://; or make it the proxy
// of a browser.  Requests for http are passed on, each by a connection of its own; for https the
// client asks for a tunnel (CONNECT) and talks through it.  Boost.Beast reads the requests' heads
// here from ramie::stream, without a socket of Asio.
#include <ramie/group.h>
#include <ramie/server.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/none.hpp>
#include <boost/system/system_error.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "demos/command_line.h"

namespace {

namespace http = boost::beast::http;
using Head = http::request<http::empty_body>;

// Reads up to the end of the head; what came after it stays in `rest`.
Head read_head(ramie::stream& client, std::string& rest) {
  http::request_parser<http::empty_body> parser;
  parser.body_limit(boost::none);  // The body is none of our business.
  char buffer[4096];
  while (!parser.is_header_done()) {
    std::size_t size = client.read_some(buffer);
    if (size == 0) throw std::runtime_error("the client has gone");
    rest.append(buffer, size);
    boost::system::error_code failed;
    rest.erase(0, parser.put(boost::asio::buffer(rest), failed));
    if (failed && failed != http::error::need_more) throw std::runtime_error(failed.message());
  }
  return parser.release();
}

// "host" or "host:port".
ramie::stream connect(const std::string& authority, std::uint16_t usual_port) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string::npos) return ramie::stream::connect(authority, usual_port);
  return ramie::stream::connect(authority.substr(0, colon),
                                static_cast<std::uint16_t>(std::stoi(authority.substr(colon + 1))));
}

void pass(ramie::stream& from, ramie::stream& to) try {
  char buffer[16UL * 1024];
  while (std::size_t size = from.read_some(buffer)) to.write_all({buffer, size});
  to.shutdown_write();
} catch (const std::system_error&) {  // One of the two has gone in the middle.
}

void pass_both_ways(ramie::stream& client, ramie::stream& server) {
  ramie::group forth;
  forth.spawn([&] { pass(client, server); });
  pass(server, client);
  forth.cancel();  // Nobody would answer what the client may still say.
}

void serve(ramie::stream client) try {
  std::string rest;
  Head head = read_head(client, rest);
  const std::string target(head.target());
  std::printf("%s %s\n", std::string(head.method_string()).c_str(), target.c_str());
  try {
    constexpr std::string_view kScheme = "http://";
    if (head.method() == http::verb::connect) {
      ramie::stream server = connect(target, 443);
      client.write_all("HTTP/1.1 200 Connected\r\n\r\n");
      server.write_all(rest);
      pass_both_ways(client, server);
    } else if (target.starts_with(kScheme)) {
      const std::size_t path = std::min(target.find('/', kScheme.size()), target.size());
      ramie::stream server = connect(target.substr(kScheme.size(), path - kScheme.size()), 80);
      head.target(path < target.size() ? target.substr(path) : "/");
      head.erase("Proxy-Connection");
      head.set(http::field::connection, "close");
      std::ostringstream text;
      text << head.base();
      server.write_all(text.str() + rest);
      pass_both_ways(client, server);
    } else {
      client.write_all("HTTP/1.1 400 This Is A Proxy\r\nConnection: close\r\n\r\n");
    }
  } catch (const std::exception& error) {
    std::printf("%s: %s\n", target.c_str(), error.what());
    client.write_all("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n" +
                     std::string(error.what()) + "\n");
  }
} catch (const std::exception& error) {
  std::printf("a client's connection: %s\n", error.what());
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::stream_server server(demo::address(argc, argv, 7026), serve,
                              {.handlers = {.name = "client", .stack_size = 128UL * 1024}});
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
