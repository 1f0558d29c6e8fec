// A web site with pages and a WebSocket, for demos that are about something else: http_server.cc
// shows how Boost.Beast is used.  Beast stays in site.cc, since it takes long to compile.
#pragma once

#include <ramie/server.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace web {

struct request {
  std::string method;
  std::string path;   // without the query
  std::string query;  // what follows the "?"
  std::string body;
};

struct response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

// A WebSocket.  One fiber may receive while others send, one at a time.
class socket {
 public:
  // The next message; nothing when the client has gone.  Switches fibers.
  virtual std::optional<std::string> receive() = 0;
  // Sends a text.  Waits while the client takes nothing; throws if it has gone.  Switches fibers.
  virtual void send(std::string_view text) = 0;
  // Ends the connection without a word; receive() and send() notice.  Never switches.
  virtual void hang_up() = 0;

 protected:
  ~socket() = default;
};

struct site {
  std::function<response(const request&)> page;
  std::function<void(socket&)> talk;  // with a client that opens a WebSocket; empty: there is none
};

// Serves one connection; the handler of a ramie::stream_server with `options`.
std::function<void(ramie::stream)> connection(site pages);
extern const ramie::server_options options;

}  // namespace web
