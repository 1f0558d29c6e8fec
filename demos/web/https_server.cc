// The HTTP server with TLS: OpenSSL on Asio's blocking sockets, one fiber for each connection.
//
//   https_server [PORT [CERTIFICATE KEY]]    7021 unless told; both files in PEM; without them it
//                                            makes a certificate of its own for localhost
//
// Try `curl --insecure https://127.0.0.1:7021/` and /slow.
#include <ramie/process.h>
#include <ramie/server.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>

#include "demos/command_line.h"
#include "demos/web/http_session.h"

namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using asio::ip::tcp;

// A key and a certificate signed by itself, which no client trusts unless it is told to.
std::string make_certificate() {
  auto made = ramie::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                          "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=localhost",
                          "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30",
                          "-keyout", "-", "-out", "-"});
  if (!made.status.success()) throw std::runtime_error("openssl: " + made.err);
  return made.out;
}

ssl::context identity(int argc, char** argv) {
  ssl::context tls(ssl::context::tls_server);
  if (argc > 3) {
    tls.use_certificate_chain_file(argv[2]);
    tls.use_private_key_file(argv[3], ssl::context::pem);
  } else {
    const std::string made = make_certificate();
    tls.use_certificate_chain(asio::buffer(made));
    tls.use_private_key(asio::buffer(made), ssl::context::pem);
  }
  return tls;
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context;
  ssl::context tls = identity(argc, argv);
  ramie::stream_server server(
      demo::address(argc, argv, 7021),
      [&](ramie::stream peer) {
        ssl::stream<tcp::socket> client(tcp::socket(context, tcp::v4(), peer.release()), tls);
        boost::system::error_code failed;
        {
          ramie::timeout patience(std::chrono::seconds(10));
          client.handshake(ssl::stream_base::server, failed);
        }
        if (failed) {
          std::printf("a client's handshake: %s\n", failed.message().c_str());
          return;
        }
        demo::serve_http(client);
        client.shutdown(failed);
      },
      {.handlers = {.name = "connection", .stack_size = 256 * 1024}});
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
