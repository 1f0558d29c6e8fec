// Gets a site: a page, all that it links to on the same host, what those link to, and so on; each
// once.
//
//   recursive_crawler URL [AT_ONCE]          20 pages at a time unless told
//
// Try it on `python3 -m http.server 7030` with recursive_crawler http://127.0.0.1:7030/docs/.
// Each page is a fiber of a pool, and spawns those that it has found.  The group's end is the end
// of the site: when no page is left that could find another one.
#include <ramie/group.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"
#include "demos/web/fetch.h"

namespace {

// The values of all href="...", by a plain search.
std::vector<std::string> links(const std::string& html) {
  constexpr std::string_view kMark = "href=\"";
  std::vector<std::string> found;
  for (std::size_t at = html.find(kMark); at != std::string::npos; at = html.find(kMark, at)) {
    at += kMark.size();
    found.push_back(html.substr(at, html.find('"', at) - at));
  }
  return found;
}

class Crawler {
 public:
  Crawler(const std::string& start, int at_once)
      : host_(start.substr(0, start.find('/', start.find("//") + 2))), free_(at_once) {
    visit_once(start);
  }

  // Waits until the site has been seen; returns how many pages it has.
  std::size_t finish() {
    pages_.join();
    return known_.size();
  }

 private:
  void visit_once(const std::string& url) {
    if (url.starts_with(host_) && known_.insert(url).second) {
      pages_.spawn(&Crawler::visit, this, url);
    }
  }

  void visit(const std::string& url) try {
    // Not a ramie::pool: its spawn() waits for a place, and here those who spawn have the places.
    free_.acquire();
    web::page page;
    try {
      page = web::fetch(url);
    } catch (...) {
      free_.release();
      throw;
    }
    free_.release();
    std::printf("%ld %8zu bytes  %s\n", page.status, page.body.size(), url.c_str());
    if (page.type.starts_with("text/html")) {
      for (const std::string& link : links(page.body)) visit_once(web::follow(url, link));
    }
  } catch (const std::runtime_error& error) {
    std::printf("no answer from %s\n", error.what());
  }

  const std::string host_;
  std::set<std::string> known_;
  ramie::counting_semaphore<> free_;
  ramie::group pages_{ramie::fiber_attributes{.name = "page", .stack_size = web::kFetchStack}};
};

}  // namespace

int main(int argc, char** argv) try {
  const std::string start = argc > 1 ? web::follow(argv[1], argv[1]) : "";
  const int at_once = argc > 2 ? std::atoi(argv[2]) : 20;
  if (start.empty() || at_once < 1) {
    throw std::invalid_argument("usage: recursive_crawler URL [AT_ONCE]");
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t pages = Crawler(start, at_once).finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%zu pages: %.2f s\n", pages, took.count());
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
