// The web chat on several servers, any number of them, which Redis makes one room by its
// publish/subscribe.
//
//   distributed_chat [PORT [REDIS_PORT]]     7023 and 6379 unless told
//
// Start `redis-server --port 6379`, this program on two ports, and a browser window on each.  What
// a member says is published by one of a few connections to Redis; a fiber of each server waits for
// what all of them have published.  hiredis blocks, and blocks its own fiber only.
#include <ramie/fiber.h>
#include <ramie/resource_pool.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "demos/command_line.h"
#include "demos/db/redis.h"
#include "demos/web/chat_room.h"
#include "demos/web/site.h"

namespace {

constexpr const char* kChannel = "ramie:chat";

}  // namespace

int main(int argc, char** argv) try {
  const int redis_port = argc > 2 ? std::atoi(argv[2]) : 6379;
  ramie::resource_pool<demo::redis> publishers([&] { return demo::redis(redis_port); }, {.max = 4},
                                               [](demo::redis& idle) { return idle.is_usable(); });
  web::chat_room room([&](const std::string& line) {
    publishers.acquire()->command("PUBLISH %s %b", kChannel, line.data(), line.size());
  });
  ramie::stream_server server(demo::address(argc, argv, 7023), web::connection(room.pages()),
                              web::options);

  demo::redis subscription(redis_port);
  subscription.command("SUBSCRIBE %s", kChannel);
  ramie::fiber<void> hearing = ramie::spawn([&] {
    for (;;) {
      auto heard = subscription.receive();  // "message", the channel, and what was published
      room.deliver(std::string(heard->element[2]->str, heard->element[2]->len));
    }
  });
  // Without Redis there is nothing to serve.
  (void)hearing.link([&] { server.close(); });

  demo::serve(server, std::chrono::seconds(0));
  hearing.cancel();
  try {
    hearing.get();
  } catch (const ramie::cancelled&) {
  }
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
