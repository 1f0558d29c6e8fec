#include "interpose/host/kick.h"

#include <atomic>

#include "base/backoff.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/scheduler.h"
#include "event/helper_pool.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/thread.h"

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

// What the changes so far have come to, for carriers that begin later.
constinit base::Lock noting;
struct Credentials {
  int users[3] = {};   // real, effective, saved
  int groups[3] = {};  // likewise
  int supplementary[1024] = {};
  long count = 0;
};
constinit Credentials credentials RAMIE_GUARDED_BY(noting);

// Carrier::credentials of those that follow no change, since their threads make each one
// themselves: with the process's credentials, or with other ones.
constexpr uint64_t kByItself = ~uint64_t{0} - 1;
constexpr uint64_t kItsOwn = ~uint64_t{0};

constexpr int64_t kPatience = 1'000'000'000;

constinit std::atomic<bool> is_stopping = false;
constinit std::atomic<uint32_t> stopped = 0;

void note_credentials() RAMIE_REQUIRES(noting) {
  int* u = credentials.users;
  int* g = credentials.groups;
  (void)sys::call(SYS_getresuid, sys::arg(u), sys::arg(u + 1), sys::arg(u + 2));
  (void)sys::call(SYS_getresgid, sys::arg(g), sys::arg(g + 1), sys::arg(g + 2));
  constexpr long kMost = sizeof credentials.supplementary / sizeof *credentials.supplementary;
  credentials.count = sys::call(SYS_getgroups, kMost, sys::arg(credentials.supplementary));
  if (credentials.count < 0) {
    static constinit std::atomic<bool> said = false;
    base::log_once(said, base::LogLevel::warn,
                   "more supplementary groups than a new carrier can take on");
  }
}

bool has_followed(const core::Carrier& carrier, uint64_t to) {
  return carrier.credentials.load(std::memory_order_acquire) >= to ||
         carrier.gone.load(std::memory_order_relaxed);
}

// Until all have followed.  A carrier that begins meanwhile is in the list before it looks at
// `version`: so it finds the change by itself, or we find it.
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

// A kick in the middle would make the change once more.
void catch_up_outside_of_kicks(core::Carrier& carrier) {
  if (carrier.credentials.load(std::memory_order_relaxed) <
      version.load(std::memory_order_acquire)) {
    AllBlocked block;
    catch_up_with_credentials(carrier);
  }
}

// Whoever holds the lock waits for this carrier as well, whose signals may be blocked.
void lock_changes(core::Carrier& carrier) RAMIE_ACQUIRE(changing) {
  base::Backoff backoff;
  while (!changing.try_lock()) {
    catch_up_outside_of_kicks(carrier);
    backoff.wait();
  }
  catch_up_outside_of_kicks(carrier);
}

bool is_last_change(long number, const long* a) RAMIE_REQUIRES(changing) {
  return change.number == number && change.arguments[0] == a[0] && change.arguments[1] == a[1] &&
         change.arguments[2] == a[2];
}

// What the caller has made, all others make now.
void hand_on_change(core::Carrier& carrier, long number, const long* a) RAMIE_REQUIRES(changing) {
  change = {number, {a[0], a[1], a[2]}};
  uint64_t to = version.load(std::memory_order_relaxed) + 1;
  if (carrier.credentials.load(std::memory_order_relaxed) != kByItself) {
    carrier.credentials.store(to, std::memory_order_relaxed);
  }
  {
    base::LockGuard noting_guard(noting);  // so that a carrier that begins makes it once
    note_credentials();
    version.store(to, std::memory_order_seq_cst);  // pairs with catch_up and take_on
  }
  make_all_follow(to);
  event::renew_helpers();
}

}  // namespace

void kick(const core::Carrier& carrier) { core::send_internal_signal(carrier.kernel_tid, &token); }

void stop_others_for_good() {
  const core::Fiber* self = core::current();
  is_stopping.store(true, std::memory_order_seq_cst);
  uint32_t kicked = 0;
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (!carrier->gone.load(std::memory_order_relaxed) &&
        (self == nullptr || carrier != self->carrier)) {
      kick(*carrier);
      ++kicked;
    }
  }
  // Whoever does not answer soon is inside the kernel, where it does no harm.
  constexpr int64_t kWhile = 5'000'000;
  base::Deadline end = base::Deadline::after(base::now(), kWhile);
  for (uint32_t seen; (seen = stopped.load(std::memory_order_acquire)) < kicked;) {
    base::futex_wait(stopped, seen, end);
    if (end.passed(base::now())) {
      return;
    }
  }
}

void stop_if_told() {
  if (!is_stopping.load(std::memory_order_acquire)) {
    return;
  }
  stopped.fetch_add(1, std::memory_order_release);
  base::futex_wake(stopped, 1);
  for (;;) {
    (void)sys::call(SYS_pause);
  }
}

core::Carrier* first_carrier() {
  core::Carrier* carrier = core::carriers();
  while (carrier != nullptr && carrier->kernel_tid != sys::getpid()) {
    carrier = carrier->next_carrier;
  }
  return carrier;
}

bool is_kick(int signal, const siginfo_t& info) {
  return signal == kKickSignal && (core::is_marked(info, &token) || core::has_lost_mark(info));
}

long change_credentials(long number, const long* a) {
  core::Fiber* self = core::current();
  if (self == nullptr || self->carrier->credentials.load(std::memory_order_relaxed) == kItsOwn) {
    return sys::call(number, a[0], a[1], a[2]);
  }
  core::Carrier& carrier = *self->carrier;
  Thread* thread = self->host != nullptr ? static_cast<Thread*>(self->host) : first_thread();
  lock_changes(carrier);
  bool is_made = thread != nullptr && thread->credentials != last_change_of_credentials() &&
                 is_last_change(number, a);
  bool is_left = !is_made || carrier.credentials.load(std::memory_order_relaxed) == kByItself;
  long result = is_left ? sys::call(number, a[0], a[1], a[2]) : 0;
  if (!is_made && result == 0) {
    hand_on_change(carrier, number, a);
  }
  if (thread != nullptr && result == 0) {
    thread->credentials = last_change_of_credentials();
  }
  changing.unlock();
  return result;
}

uint64_t stop_following(bool has_other_credentials) {
  core::Carrier& carrier = *core::current()->carrier;
  lock_changes(carrier);
  uint64_t before = carrier.credentials.load(std::memory_order_relaxed);
  if (before != kItsOwn) {
    carrier.credentials.store(has_other_credentials ? kItsOwn : kByItself,
                              std::memory_order_relaxed);
  }
  changing.unlock();
  return before;
}

void follow_again(uint64_t where_it_stopped) {
  core::Carrier& carrier = *core::current()->carrier;
  lock_changes(carrier);
  // One change at most has been made meanwhile: the next one needs this thread as well.
  AllBlocked block;
  carrier.credentials.store(where_it_stopped, std::memory_order_relaxed);
  catch_up_with_credentials(carrier);
  changing.unlock();
}

uint8_t last_change_of_credentials() {
  return static_cast<uint8_t>(version.load(std::memory_order_relaxed) & 0xf);
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

void take_on_credentials(std::atomic<uint64_t>& taken_on) {
  if (version.load(std::memory_order_seq_cst) <= taken_on.load(std::memory_order_relaxed)) {
    return;
  }
  base::LockGuard guard(noting);
  uint64_t to = version.load(std::memory_order_relaxed);
  const Credentials& c = credentials;
  if (c.count >= 0) {
    (void)sys::call(SYS_setgroups, c.count, sys::arg(c.supplementary));
  }
  // The users last: without privileges the others can't be changed any more.
  (void)sys::call(SYS_setresgid, c.groups[0], c.groups[1], c.groups[2]);
  (void)sys::call(SYS_setresuid, c.users[0], c.users[1], c.users[2]);
  taken_on.store(to, std::memory_order_release);
}

// The child's threads are carriers of its own, which have what it has: no change of the parent's is
// to be followed once more.
void reset_kicks_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  changing.reset();
  noting.reset();
  version.store(0, std::memory_order_relaxed);
  answers.store(0, std::memory_order_relaxed);
  is_stopping.store(false, std::memory_order_relaxed);
  stopped.store(0, std::memory_order_relaxed);
  credentials = {};
  if (core::Fiber* self = core::current()) {
    self->carrier->credentials.store(0, std::memory_order_relaxed);
  }
}

}  // namespace ramie::host
