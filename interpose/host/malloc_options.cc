#include "interpose/host/malloc_options.h"

#include <atomic>

#include "base/log.h"
#include "interpose/host/hosting.h"
#include "interpose/real.h"

namespace ramie::host {
namespace {

constexpr int kLowest = 128 * 1024;  // DEFAULT_MMAP_THRESHOLD

constinit std::atomic<bool> is_too_low = false;

}  // namespace

int set_malloc_option(int parameter, int value) {
  auto* libc = interpose::bound().mallopt;
  if (parameter != M_MMAP_THRESHOLD) {
    return libc(parameter, value);
  }
  bool is_low = value < kLowest;
  is_too_low.store(is_low, std::memory_order_relaxed);
  return libc(parameter, is_low && is_hosting() ? kLowest : value);
}

void raise_mmap_threshold() {
  if (is_too_low.load(std::memory_order_relaxed)) {
    (void)interpose::real.mallopt(M_MMAP_THRESHOLD, kLowest);
    base::log_line(base::LogLevel::info, "mallopt: blocks below ", kLowest,
                   " bytes are no mappings of their own from here on");
  }
}

}  // namespace ramie::host
