// Reads RSS and Atom feeds for its clients: they post addresses of feeds, one a line, and get what
// is new in all of them.
//
//   feedscraper [PORT]       7025 unless told, 0 for one of the kernel's choice
//
// Try, with the address of a feed that you know,
//   printf 'https://www.debian.org/News/news\n' | curl --data-binary @- http://127.0.0.1:7025/
// A request gets all of its feeds at the same time, and answers when the last one has come: a map()
// over the addresses, as if there were nobody else to serve.
#include <ramie/group.h>
#include <ramie/map.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <pugixml.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"
#include "demos/web/fetch.h"
#include "demos/web/site.h"

namespace {

constexpr std::size_t kFeedsAtOnce = 50;
constexpr int kItems = 5;

// The feed's title and its first items.
std::string summary(const std::string& xml) {
  pugi::xml_document document;
  pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
  if (!parsed) throw std::runtime_error(parsed.description());
  // RSS 2.0 has rss/channel/item, RSS 1.0 the items beside the channel, Atom feed/entry.
  const pugi::xml_node root = document.document_element();
  const bool is_atom = std::strcmp(root.name(), "feed") == 0;
  const pugi::xml_node channel = is_atom ? root : root.child("channel");
  if (!channel) throw std::runtime_error("neither RSS nor Atom");
  const char* item = is_atom ? "entry" : "item";
  std::string text = std::string(channel.child_value("title")) + "\n";
  int left = kItems;
  for (const pugi::xml_node& from : {channel, root}) {
    for (const pugi::xml_node& one : from.children(item)) {
      if (left-- > 0) text += "  - " + std::string(one.child_value("title")) + "\n";
    }
    if (is_atom) break;
  }
  return text;
}

std::string scrape(const std::string& url) {
  try {
    const web::page page = web::fetch(url);
    if (page.status != 200) throw std::runtime_error("status " + std::to_string(page.status));
    return summary(page.body);
  } catch (const std::runtime_error& error) {
    return url + " can't be read: " + error.what() + "\n";
  }
}

web::response answer(const web::request& asked) {
  if (asked.method != "POST") {
    return {.body = "Post the addresses of feeds, one a line.\n"};
  }
  std::vector<std::string> urls;
  std::istringstream lines(asked.body);
  for (std::string line; lines >> line;) urls.push_back(line);
  std::printf("%zu feeds\n", urls.size());
  ramie::pool scrapers(kFeedsAtOnce, {.name = "scraper", .stack_size = web::kFetchStack});
  std::string all;
  for (const std::string& one : ramie::map(scrapers, scrape, urls)) all += one;
  return {.body = std::move(all)};
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::stream_server server(demo::address(argc, argv, 7025),
                              web::connection({.page = answer, .talk = nullptr}), web::options);
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
