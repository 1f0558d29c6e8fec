// The web chat for the simplest of clients: no WebSocket, only requests that are answered late.
//
//   long_poll_chat [PORT]    7024 unless told, 0 for one of the kernel's choice
//
// Open http://127.0.0.1:7024/ in two windows of a browser; or, in two terminals,
//   curl 'http://127.0.0.1:7024/wait?after=0'            waits until somebody has said something
//   curl -d 'anna: hello' http://127.0.0.1:7024/say
// An answer is the number of lines so far, and those that are new.  A request that waits is a fiber
// that sleeps; thousands may.
#include <ramie/sync.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "demos/command_line.h"
#include "demos/web/chat_page.h"
#include "demos/web/site.h"

namespace {

class Chat {
 public:
  web::response answer(const web::request& asked) {
    if (asked.path == "/") {
      return {200, "text/html; charset=utf-8", web::chat_page(web::kLongPollScript)};
    }
    if (asked.path == "/say" && asked.method == "POST") return say(asked.body);
    if (asked.path == "/wait" && asked.query.starts_with("after=")) {
      return wait(std::strtoul(asked.query.c_str() + 6, nullptr, 10));
    }
    return {404, "text/plain", "there is no " + asked.path + "\n"};
  }

 private:
  web::response say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::scoped_lock lock(mutex_);
    lines_.push_back(line);
    more_.notify_all();
    return {.body = "said\n"};
  }

  // After a while without news the answer has none: proxies don't like requests that last for ever.
  web::response wait(std::size_t seen) {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, std::chrono::seconds(25), [&] { return lines_.size() > seen; });
    std::string news = std::to_string(lines_.size()) + "\n";
    for (; seen < lines_.size(); ++seen) news += lines_[seen] + "\n";
    return {.body = std::move(news)};
  }

  ramie::mutex mutex_;
  ramie::condition_variable more_;
  std::vector<std::string> lines_;
};

}  // namespace

int main(int argc, char** argv) try {
  Chat chat;
  ramie::stream_server server(
      demo::address(argc, argv, 7024),
      web::connection(
          {.page = [&](const web::request& asked) { return chat.answer(asked); }, .talk = nullptr}),
      web::options);
  demo::serve(server, std::chrono::seconds(0));
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
