// An HTTP server by Boost.Beast and Asio's blocking sockets, one fiber for each connection.
//
//   http_server [PORT]       7020 unless told, 0 for one of the kernel's choice
//
// Try `curl http://127.0.0.1:7020/`, /slow, and `curl -d hello http://127.0.0.1:7020/echo`.
// There is no async_read and no io_context::run() here: Asio reads by recvmsg() and waits by
// poll(), and linked with the shim both let the other fibers run.
#include <ramie/server.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <exception>
#include <utility>

#include "demos/command_line.h"
#include "demos/web/http_session.h"

int main(int argc, char** argv) try {
  using boost::asio::ip::tcp;
  boost::asio::io_context asio;
  ramie::stream_server server(demo::address(argc, argv, 7020),
                              [&](ramie::stream peer) {
                                tcp::socket client(asio, tcp::v4(), peer.release());
                                demo::serve_http(client);
                              },
                              {.handlers = {.name = "connection", .stack_size = 128 * 1024}});
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
