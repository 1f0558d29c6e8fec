// 100 transfers at once by libcurl's easy interface, which knows nothing of fibers: each of them
// blocks in curl_easy_perform(), and while it does the others go on.
//
//   concurrent_download [URL [TRANSFERS [AT_ONCE]]]     "%d" in the URL becomes the number
//
// Without a URL it downloads from a server of its own, which takes 0.1 s for each answer: one after
// the other that would be 10 s.  Linked with the shim (pkg-config ramie-full), so that poll(),
// recv() and their like in libcurl switch fibers.
#include <curl/curl.h>
#include <ramie/cancel.h>
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/server.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The server's page of that number.
std::string page(const std::string& number) {
  std::string text;
  for (int line = 0; line < 5000; ++line) {
    text += number + '\n';
  }
  return text;
}

// Answers one request, "GET /7 HTTP/1.1" and its headers, after a while.
void answer_slowly(ramie::stream peer) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    std::size_t size = peer.read_some(buffer);
    if (size == 0) {
      return;
    }
    request.append(buffer, size);
  }
  ramie::sleep_for(100ms);
  std::string body = page(request.substr(5, request.find(' ', 5) - 5));
  peer.write_all("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body);
}

std::size_t append(const char* data, std::size_t, std::size_t size, void* to) {
  static_cast<std::string*>(to)->append(data, size);
  return size;
}

std::string download(const std::string& url) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  std::string body;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  if (CURLcode result = curl_easy_perform(curl.get()); result != CURLE_OK) {
    ramie::this_fiber::interruption_point();  // has it failed because the fiber was cancelled?
    throw std::runtime_error(url + ": " + curl_easy_strerror(result));
  }
  return body;
}

struct Transfer {
  int number;
  std::string body;
};

}  // namespace

int main(int argc, char** argv) try {
  const int transfers = demo::number(argc, argv, 2, 100);
  const int at_once = demo::number(argc, argv, 3, transfers);
  curl_global_init(CURL_GLOBAL_DEFAULT);

  ramie::stream_server slow(ramie::endpoint("127.0.0.1:0"), answer_slowly);
  slow.start();
  const bool is_own = argc < 2;
  const std::string url = is_own ? "http://" + slow.local().text() + "/%d" : argv[1];

  auto fetch = [&](int number) {
    std::string place = url;
    if (std::size_t at = place.find("%d"); at != std::string::npos) {
      place.replace(at, 2, std::to_string(number));
    }
    return Transfer{number, download(place)};
  };

  const Clock::time_point begin = Clock::now();
  std::size_t bytes = 0;
  ramie::pool pool(static_cast<std::size_t>(at_once));
  std::vector<int> numbers(static_cast<std::size_t>(transfers));
  std::iota(numbers.begin(), numbers.end(), 0);
  for (Transfer& one : ramie::imap_unordered(pool, fetch, numbers)) {
    std::printf("%d: %zu bytes: %s\n", one.number, one.body.size(),
                one.body.substr(0, one.body.find('\n')).c_str());
    if (is_own && one.body != page(std::to_string(one.number))) {
      throw std::runtime_error("that is not what the server has sent");
    }
    bytes += one.body.size();
  }
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%d transfers, %zu bytes, %.2f s\n", transfers, bytes, took.count());
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
