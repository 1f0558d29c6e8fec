// Gets pages, some at a time, and says how large each is, in the order in which they were asked
// for.
//
//   webcrawler URL...        20 at a time
//
// Try it on `python3 -m http.server 7030` with webcrawler
// http://127.0.0.1:7030/{README.md,dev,docs/}. imap() hands out results while later ones are still
// on their way.
#include <ramie/group.h>
#include <ramie/map.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"
#include "demos/web/fetch.h"

namespace {

struct Visit {
  std::string url;
  web::page page;
  std::string failure;
};

Visit visit(const std::string& url) {
  try {
    return {url, web::fetch(url), ""};
  } catch (const std::runtime_error& error) {
    return {url, {}, error.what()};
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> urls(argv + 1, argv + argc);
  if (urls.empty()) throw std::invalid_argument("usage: webcrawler URL...");
  const auto begin = std::chrono::steady_clock::now();
  std::size_t got = 0;
  ramie::pool crawlers(20, {.name = "crawler", .stack_size = web::kFetchStack});
  for (const Visit& one : ramie::imap(crawlers, visit, urls)) {
    if (one.failure.empty()) {
      std::printf("%ld %8zu bytes  %s\n", one.page.status, one.page.body.size(), one.url.c_str());
      ++got;
    } else {
      std::printf("no answer from %s\n", one.failure.c_str());
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%zu of %zu pages: %.2f s\n", got, urls.size(), took.count());
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
