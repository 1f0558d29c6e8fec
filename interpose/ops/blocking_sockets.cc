#include "interpose/ops/blocking_sockets.h"

#include <algorithm>
#include <atomic>

namespace ramie::ops::blocking_sockets {
namespace {

// One word for each descriptor, zero for one of which nothing is known: the count of sharings when
// the socket was made, and below it the count of settings when the kernel was asked, or, with
// kUnasked, the socket's serial number, so that an answer is not taken for one about its successor.
constexpr unsigned kDescriptors = 1U << 18;  // a higher one is asked at every wait
constexpr uint32_t kUnasked = 1U << 31;

constinit uint64_t words[kDescriptors] = {};
constinit std::atomic<bool> enabled = false;
constinit std::atomic<uint32_t> sharings = 1;
constinit std::atomic<uint32_t> settings = 0;
constinit std::atomic<uint32_t> serial = 0;

constexpr uint64_t pack(uint32_t sharing, uint32_t lower) {
  return static_cast<uint64_t>(sharing) << 32 | lower;
}

constexpr bool has_word(int fd) { return static_cast<unsigned>(fd) < kDescriptors; }

// Not std::atomic: so many constructors are more than a compiler evaluates at compile time.
uint64_t load(unsigned fd) { return __atomic_load_n(&words[fd], __ATOMIC_RELAXED); }
void store(unsigned fd, uint64_t word) { __atomic_store_n(&words[fd], word, __ATOMIC_RELAXED); }

}  // namespace

void enable() { enabled.store(true, std::memory_order_relaxed); }

Birth::Birth() : sharing_(sharings.load(std::memory_order_acquire)) {}

void Birth::note(int fd) const {
  if (has_word(fd) && enabled.load(std::memory_order_relaxed)) {
    uint32_t number = serial.fetch_add(1, std::memory_order_relaxed);
    store(static_cast<unsigned>(fd), pack(sharing_, number | kUnasked));
  }
}

// Acquire pairs with note_setting() and note_sharing(): who has made such a call, and has let us
// know in any way, is seen here.  And the kernel is asked after the count is read, so an answer
// that is older than a setting never has the setting's count.
Question::Question(int fd)
    : fd_(fd),
      sharing_(sharings.load(std::memory_order_acquire)),
      settings_(settings.load(std::memory_order_acquire) & ~kUnasked),
      word_(has_word(fd) ? load(static_cast<unsigned>(fd)) : 0) {}

bool Question::is_answered() const { return word_ == pack(sharing_, settings_); }

void Question::note_answer() const {
  // Fails if the number means something else by now.
  uint64_t expected = word_;
  if (word_ >> 32 == sharing_) {
    (void)__atomic_compare_exchange_n(&words[fd_], &expected, pack(sharing_, settings_), false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
}

void note_setting() { settings.fetch_add(1, std::memory_order_release); }

void note_sharing() { sharings.fetch_add(1, std::memory_order_release); }

void forget(int fd) {
  // A look first, so that pages which were never used stay untouched.
  if (has_word(fd) && load(static_cast<unsigned>(fd)) != 0) {
    store(static_cast<unsigned>(fd), 0);
  }
}

void forget_range(unsigned first, unsigned last) {
  for (unsigned fd = first; fd <= std::min(last, kDescriptors - 1); ++fd) {
    forget(static_cast<int>(fd));
  }
}

}  // namespace ramie::ops::blocking_sockets
