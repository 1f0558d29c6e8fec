// The pages of the HTTP and the HTTPS server, and how Boost.Beast serves them on a blocking stream,
// plain or encrypted: a loop as if there were one client.
#pragma once

#include <ramie/timeout.h>
#include <unistd.h>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstdio>
#include <string>

namespace demo {

namespace http = boost::beast::http;

// "/" says hello, "/slow" does so after a tenth of a second, "/echo" returns what was posted.
inline http::response<http::string_body> answer(http::request<http::string_body>&& request) {
  http::response<http::string_body> page(http::status::ok, request.version());
  page.set(http::field::server, "ramie-demo");
  page.set(http::field::content_type, "text/plain; charset=utf-8");
  page.keep_alive(request.keep_alive());
  if (request.target() == "/echo") {
    page.body() = std::move(request.body());
  } else if (request.target() == "/") {
    page.body() = "hello\n";
  } else if (request.target() == "/slow") {
    ::usleep(100'000);  // Any call of libc that blocks lets the other connections run.
    page.body() = "good morning\n";
  } else {
    page.result(http::status::not_found);
    page.body() = "there is no " + std::string(request.target()) + "\n";
  }
  page.prepare_payload();
  std::printf("%s %s: %u\n", std::string(request.method_string()).c_str(),
              std::string(request.target()).c_str(), page.result_int());
  return page;
}

// Answers requests until the client goes, or asks for nothing during half a minute.
template <class Stream>
void serve_http(Stream& client) try {
  boost::beast::flat_buffer unread;
  for (bool is_open = true; is_open;) {
    http::request<http::string_body> request;
    {
      ramie::timeout patience(std::chrono::seconds(30));
      http::read(client, unread, request);
    }
    http::response<http::string_body> page = answer(std::move(request));
    is_open = page.keep_alive();
    http::write(client, page);
  }
} catch (const boost::system::system_error& error) {
  if (error.code() != http::error::end_of_stream) {
    std::printf("a client's connection: %s\n", error.what());
  }
}

}  // namespace demo
