#include "demos/web/site.h"

#include <ramie/sync.h>
#include <ramie/timeout.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

namespace web {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;

const ramie::server_options options = {
    .handlers = {.name = "connection", .stack_size = 128 * 1024}};

namespace {

// The TCP socket under a WebSocket.  Who receives answers pings, while others send: each frame is
// written as a whole.  Beast hands over a frame (of 4 kB at most) by one call.
class whole_writes {
 public:
  using executor_type = tcp::socket::executor_type;
  explicit whole_writes(tcp::socket socket) : socket_(std::move(socket)) {}

  executor_type get_executor() { return socket_.get_executor(); }
  template <class Buffers, class... Failed>
  std::size_t read_some(const Buffers& into, Failed&... failed) {
    return socket_.read_some(into, failed...);
  }
  template <class Buffers, class... Failed>
  std::size_t write_some(const Buffers& from, Failed&... failed) {
    std::scoped_lock whole(*writing_);
    return asio::write(socket_, from, failed...);
  }
  tcp::socket& next() { return socket_; }

 private:
  tcp::socket socket_;
  std::unique_ptr<ramie::mutex> writing_ = std::make_unique<ramie::mutex>();
};
// How a WebSocket ends after the farewells.  Nobody waits here until the client hangs up, too.
void teardown(beast::role_type, whole_writes& layer, boost::system::error_code& failed) {
  layer.next().shutdown(tcp::socket::shutdown_send, failed);
}

class beast_socket final : public socket {
 public:
  beast_socket(tcp::socket connection, const http::request<http::string_body>& upgrade)
      : stream_(whole_writes(std::move(connection))) {
    stream_.read_message_max(64UL * 1024);
    stream_.accept(upgrade);
  }

  std::optional<std::string> receive() override {
    boost::system::error_code failed;
    beast::flat_buffer message;
    stream_.read(message, failed);
    // The interruption that ended a read ends the fiber; everything else means that the client
    // went.
    ramie::this_fiber::interruption_point();
    return failed ? std::nullopt : std::optional(beast::buffers_to_string(message.data()));
  }

  void send(std::string_view text) override {
    std::scoped_lock one(sending_);
    stream_.write(asio::buffer(text));
  }

  void hang_up() override {
    boost::system::error_code ignored;
    stream_.next_layer().next().shutdown(tcp::socket::shutdown_both, ignored);
  }

 private:
  websocket::stream<whole_writes> stream_;
  ramie::mutex sending_;  // A message can be more than one frame.
};

http::response<http::string_body> answer(const site& pages,
                                         http::request<http::string_body>&& from) {
  request plain{std::string(from.method_string()), std::string(from.target()), "",
                std::move(from.body())};
  if (auto query = plain.path.find('?'); query != std::string::npos) {
    plain.query = plain.path.substr(query + 1);
    plain.path.resize(query);
  }
  response made = pages.page(plain);
  http::response<http::string_body> page(static_cast<http::status>(made.status), from.version());
  page.set(http::field::content_type, made.type);
  page.set(http::field::cache_control, "no-store");
  page.body() = std::move(made.body);
  page.keep_alive(from.keep_alive());
  page.prepare_payload();
  return page;
}

void serve(const site& pages, tcp::socket client) {
  beast::flat_buffer unread;
  for (bool is_open = true; is_open;) {
    http::request<http::string_body> from;
    {
      ramie::timeout patience(std::chrono::seconds(30));
      http::read(client, unread, from);
    }
    if (pages.talk && websocket::is_upgrade(from)) {
      beast_socket socket(std::move(client), from);
      pages.talk(socket);
      return;
    }
    http::response<http::string_body> page = answer(pages, std::move(from));
    is_open = page.keep_alive();
    http::write(client, page);
  }
}

}  // namespace

std::function<void(ramie::stream)> connection(site pages) {
  auto asio = std::make_shared<asio::io_context>();
  return [asio, pages = std::move(pages)](ramie::stream peer) {
    try {
      tcp::socket client(*asio, tcp::v4(), peer.release());
      client.set_option(tcp::no_delay(true));  // a chat's lines are short
      serve(pages, std::move(client));
    } catch (const boost::system::system_error& error) {
      if (error.code() != http::error::end_of_stream) {
        std::printf("a client's connection: %s\n", error.what());
      }
    }
  };
}

}  // namespace web
