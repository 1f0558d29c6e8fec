// A chat for browsers: a WebSocket for each member, served by one fiber that receives and one that
// sends.
//
//   websocket_chat [PORT]    7022 unless told, 0 for one of the kernel's choice
//
// Open http://127.0.0.1:7022/ in two windows of a browser.  The WebSockets are Boost.Beast's, on
// blocking sockets: chat_room.h reads as if each member had a thread.
#include <exception>

#include "demos/command_line.h"
#include "demos/web/chat_room.h"
#include "demos/web/site.h"

int main(int argc, char** argv) try {
  web::chat_room room;
  ramie::stream_server server(demo::address(argc, argv, 7022), web::connection(room.pages()),
                              web::options);
  demo::serve(server, std::chrono::seconds(0));
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
