#include "demos/web/fetch.h"

#include <curl/curl.h>
#include <ramie/cancel.h>

#include <memory>
#include <stdexcept>
#include <string_view>

namespace web {

namespace {

constexpr std::size_t kLargest = 10'000'000;

struct Free {
  void operator()(CURL* transfer) const { curl_easy_cleanup(transfer); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

// Once, before there is a second fiber.
const CURLcode prepared = curl_global_init(CURL_GLOBAL_DEFAULT);

std::size_t append(const char* data, std::size_t, std::size_t size, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size > kLargest) return 0;  // ends the transfer with an error
  body.append(data, size);
  return size;
}

}  // namespace

page fetch(const std::string& url) {
  std::unique_ptr<CURL, Free> transfer(prepared == CURLE_OK ? curl_easy_init() : nullptr);
  if (!transfer) throw std::runtime_error("libcurl can't be used");
  page got;
  curl_easy_setopt(transfer.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(transfer.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(transfer.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(transfer.get(), CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(transfer.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(transfer.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(transfer.get(), CURLOPT_WRITEDATA, &got.body);
  CURLcode result = curl_easy_perform(transfer.get());
  // What ended the transfer may be a cancellation, which goes on as such.
  ramie::this_fiber::interruption_point();
  if (result != CURLE_OK) throw std::runtime_error(url + ": " + curl_easy_strerror(result));
  const char* type = nullptr;
  curl_easy_getinfo(transfer.get(), CURLINFO_RESPONSE_CODE, &got.status);
  curl_easy_getinfo(transfer.get(), CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) got.type = type;
  return got;
}

std::string follow(const std::string& base, const std::string& link) {
  std::unique_ptr<CURLU, Free> url(curl_url());
  char* text = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, link.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
    return "";
  }
  std::string target(text);
  curl_free(text);
  return target.starts_with("http://") || target.starts_with("https://") ? target : "";
}

}  // namespace web
