// Gets a page by libcurl's easy interface, which blocks: with the shim, the calling fiber alone.
#pragma once

#include <string>

namespace web {

struct page {
  long status = 0;
  std::string type;  // as "text/html; charset=utf-8"
  std::string body;
};

// Follows redirections.  Throws std::runtime_error if no answer comes, in ten seconds at most, or
// if it is larger than 10 MB.  Its fiber needs kFetchStack.
page fetch(const std::string& url);
inline constexpr std::size_t kFetchStack = 256UL * 1024;

// The address that a link on the page `base` leads to, without "#..."; empty if it is none for
// fetch().
std::string follow(const std::string& base, const std::string& link);

}  // namespace web
