#include "interpose/host/kick.h"

#include <atomic>

#include "base/futex.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/scheduler.h"

namespace ramie::host {
namespace {

constinit char token = 0;  // its address marks our own

// The change under way.  `changing` is held by whoever makes it; `answers` counts the carriers that
// have followed, and is what the maker sleeps on.
struct Change {
  long number = 0;
  long arguments[3] = {};
};
constinit base::Lock changing;
constinit Change change;
constinit std::atomic<uint64_t> version = 0;  // of the last change; published after `change`
constinit std::atomic<uint32_t> answers = 0;

constexpr int64_t kPatience = 1'000'000'000;

bool has_followed(const core::Carrier& carrier, uint64_t to) {
  return carrier.credentials.load(std::memory_order_acquire) >= to ||
         carrier.retired.load(std::memory_order_relaxed);
}

// Until all have followed.  A carrier that starts meanwhile is a clone of one that has, or of one
// that is kicked in the next round.
void make_all_follow(uint64_t to) {
  base::Deadline end = base::Deadline::after(base::now(), kPatience);
  for (bool all = false; !all;) {
    uint32_t seen = answers.load(std::memory_order_acquire);
    all = true;
    for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
         carrier = carrier->next_carrier) {
      if (!has_followed(*carrier, to)) {
        all = false;
        kick(*carrier);
      }
    }
    if (!all) {
      constexpr int64_t kRound = 10'000'000;
      base::futex_wait(answers, seen, base::Deadline::after(base::now(), kRound));
      if (end.passed(base::now())) {
        base::log_line(base::LogLevel::warn, "a carrier did not take on changed credentials");
        return;
      }
    }
  }
}

}  // namespace

void kick(const core::Carrier& carrier) {
  siginfo_t info{};
  info.si_signo = kKickSignal;
  info.si_code = SI_QUEUE;
  info.si_value.sival_ptr = &token;
  (void)sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), carrier.kernel_tid, kKickSignal,
                  sys::arg(&info));
}

bool is_kick(int signal, const siginfo_t& info) {
  return signal == kKickSignal && info.si_code == SI_QUEUE && info.si_value.sival_ptr == &token;
}

long change_credentials(long number, const long* a) {
  core::Fiber* self = core::current();
  long result = sys::call(number, a[0], a[1], a[2]);
  if (result != 0 || self == nullptr) {
    return result;
  }
  base::LockGuard guard(changing);
  change = {number, {a[0], a[1], a[2]}};
  uint64_t to = version.load(std::memory_order_relaxed) + 1;
  self->carrier->credentials.store(to, std::memory_order_relaxed);
  version.store(to, std::memory_order_release);  // pairs with catch_up_with_credentials()
  make_all_follow(to);
  return 0;
}

void catch_up_with_credentials(core::Carrier& carrier) {
  uint64_t to = version.load(std::memory_order_acquire);
  if (carrier.credentials.load(std::memory_order_relaxed) < to) {
    // It is still the last one: the next waits until we have answered.
    const long* a = change.arguments;
    (void)sys::call(change.number, a[0], a[1], a[2]);
    carrier.credentials.store(to, std::memory_order_release);
    answers.fetch_add(1, std::memory_order_release);
    base::futex_wake(answers, 1);
  }
}

void reset_kicks_after_fork() { changing.reset(); }

}  // namespace ramie::host
