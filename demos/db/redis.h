// A connection to a Redis server by hiredis, whose blocking calls do for fibers.
#pragma once

#include <hiredis/hiredis.h>
#include <ramie/cancel.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace demo {

class redis {
 public:
  struct free_reply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  using reply = std::unique_ptr<redisReply, free_reply>;

  explicit redis(int port) : context_(redisConnect("127.0.0.1", port)) {
    if (context_ == nullptr || context_->err != 0) {
      fail("no Redis on 127.0.0.1:" + std::to_string(port) +
           " (start one by `redis-server --port " + std::to_string(port) + "`): ");
    }
  }

  // Sends a command in hiredis' notation, as ("SET %s %d", name, value), and waits for the reply.
  template <class... Values>
  reply command(const char* format, Values... values) {
    return check(static_cast<redisReply*>(redisCommand(context_.get(), format, values...)));
  }

  // The next thing that the server says by itself, after SUBSCRIBE.
  reply receive() {
    void* next = nullptr;
    (void)redisGetReply(context_.get(), &next);
    return check(static_cast<redisReply*>(next));
  }

  [[nodiscard]] bool is_usable() const { return context_->err == 0; }

 private:
  struct disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };

  reply check(redisReply* got) {
    reply answer(got);
    if (answer == nullptr) {
      fail("Redis: ");
    }
    if (answer->type == REDIS_REPLY_ERROR) {
      throw std::runtime_error("Redis: " + std::string(answer->str, answer->len));
    }
    return answer;
  }
  // What ended a call may be a cancellation, which goes on as such.
  [[noreturn]] void fail(const std::string& what) {
    ramie::this_fiber::interruption_point();
    throw std::runtime_error(what + (context_ == nullptr ? "no memory" : context_->errstr));
  }

  std::unique_ptr<redisContext, disconnect> context_;
};

}  // namespace demo
