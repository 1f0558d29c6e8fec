// The room of a chat: who is in it, what was said last, and how that gets to everybody.
#pragma once

#include <ramie/fiber.h>
#include <ramie/queue.h>

#include <cstddef>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "demos/web/chat_page.h"
#include "demos/web/site.h"

namespace web {

// Its members are fibers of one kernel thread, so there is nothing to lock.
class chat_room {
 public:
  // `publish` brings a line to all members, here and elsewhere; deliver() unless told.
  explicit chat_room(std::function<void(const std::string&)> publish = nullptr)
      : publish_(std::move(publish)) {
    if (!publish_) publish_ = [this](const std::string& line) { deliver(line); };
  }

  // Puts a line before the members who are here.  Who takes nothing for a hundred lines is thrown
  // out.
  void deliver(const std::string& line) {
    std::printf("%s\n", line.c_str());
    lines_.push_back(line);
    if (lines_.size() > kRemembered) lines_.pop_front();
    for (member* one : members_) {
      if (!one->unsent.try_put(line)) one->client.hang_up();
    }
    // Many lines may have come by one packet: the senders have a turn between them.
    ramie::yield();
  }

  // One member: the first message is the name, and each further one is said to all.
  void join(socket& client) {
    std::optional<std::string> name = client.receive();
    if (!name) return;
    member self{client};
    for (const std::string& line : lines_) self.unsent.put(line);
    members_.insert(&self);
    // Who does not listen holds up this fiber, and nobody else.
    ramie::fiber<void> sender = ramie::spawn(kSender, [&] {
      try {
        for (const std::string& line : self.unsent) client.send(line);
      } catch (const std::exception&) {  // The client has gone, which receive() says as well.
      }
    });
    // However this ends, by the next lines or by an exception, the member leaves.
    struct Leaving {
      ~Leaving() {
        ramie::this_fiber::cancellation_disabled quiet;
        room.members_.erase(&self);
        sender.cancel();
        sender.join();
      }
      chat_room& room;
      member& self;
      ramie::fiber<void>& sender;
    } leaving{*this, self, sender};
    publish_("* " + *name + " has come");
    while (std::optional<std::string> text = client.receive()) publish_(*name + ": " + *text);
    publish_("* " + *name + " has left");
  }

  // The page for the browser, and this room behind its WebSocket.
  site pages() {
    return {.page = [](const request& asked) -> response {
              if (asked.path != "/") return {404, "text/plain", "there is no " + asked.path + "\n"};
              return {200, "text/html; charset=utf-8", chat_page(kWebSocketScript)};
            },
            .talk = [this](socket& client) { join(client); }};
  }

 private:
  struct member {
    explicit member(socket& with) : client(with) {}
    socket& client;
    ramie::queue<std::string> unsent{100};
  };

  static constexpr std::size_t kRemembered = 20;
  static constexpr ramie::fiber_attributes kSender{.name = "sender", .stack_size = 128UL * 1024};

  std::function<void(const std::string&)> publish_;
  std::set<member*> members_;
  std::deque<std::string> lines_;
};

}  // namespace web
