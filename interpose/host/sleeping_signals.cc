#include "interpose/host/sleeping_signals.h"

#include "base/backoff.h"
#include "base/lock.h"
#include "core/crew.h"
#include "core/scheduler.h"
#include "event/poller.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

using core::signal_bit;

// What every thread blocks, and when it was found: at which count of changes of masks.  Two may
// look at the same time, and the one that began earlier may end later; so under a lock.
constinit std::atomic<uint64_t> mask_changes = 1;
constinit base::Lock finding;
constinit uint64_t blocked_by_all RAMIE_GUARDED_BY(finding) = 0;
constinit uint64_t found_at RAMIE_GUARDED_BY(finding) = 0;

// Sleeps outside of the poller, see want_poller().
constinit std::atomic<uint32_t> futex_sleeps = 0;

uint64_t find_blocked_by_all() {
  base::LockGuard guard(finding);
  // Before the walk: a mask that changes meanwhile has the next one walk again.
  uint64_t now = mask_changes.load(std::memory_order_seq_cst);
  if (now != found_at) {
    uint64_t blocked = kAllSignals;
    LiveThreads threads;
    LiveThreads::for_each(
        [](Thread& thread, void* mask) { *static_cast<uint64_t*>(mask) &= thread.blocked.load(); },
        &blocked);
    blocked_by_all = blocked;
    found_at = now;
  }
  return blocked_by_all;
}

// The first thread as well.
uint64_t find_taken_by_none() {
  Thread* first = first_thread();
  return first != nullptr ? first->blocked.load() & find_blocked_by_all() : 0;
}

// A futex can't be waited for with another mask: whoever sleeps often had better do it in the
// poller.
void want_poller() {
  constexpr uint32_t kOften = 16;
  if (futex_sleeps.load(std::memory_order_relaxed) < kOften) {
    if (futex_sleeps.fetch_add(1, std::memory_order_relaxed) + 1 == kOften) {
      (void)event::start_poller();
    }
  }
}

enum class Entry : uint8_t { none, until_kicked, until_it_arrives };

// Whether the carrier lets in what nobody wants that runs there: it sleeps, or is about to, or its
// thread ends; or it is on the way to a thread that blocks it, see block_more().
Entry entry_of(const core::Carrier& carrier, uint64_t signals) {
  uint64_t open = signals & ~carrier.kernel_mask;
  if (open == 0) {
    return Entry::none;
  }
  const core::Fiber* runs = carrier.current.load(std::memory_order_acquire);
  if (runs == &carrier.loop || core::has_exited(*runs)) {
    return Entry::until_kicked;
  }
  bool is_to_block = (open & __atomic_load_n(&runs->signal_mask, __ATOMIC_RELAXED)) != 0;
  return is_to_block ? Entry::until_it_arrives : Entry::none;
}

bool some_sleeper_lets_in(uint64_t signals) {
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (carrier->kernel_tid != sys::gettid() && entry_of(*carrier, signals) != Entry::none) {
      return true;
    }
  }
  return false;
}

}  // namespace

void open_to_signals(core::Carrier& carrier, core::SleepMask* noted) {
  // The fiber that ran last may block what another thread would take.  Once more if a mask has
  // changed meanwhile: who changes it makes sleepers follow that say they let it in.  So that is
  // said first (sequentially consistent, as the masks), and done when no mask has changed since.
  const uint64_t before = carrier.kernel_mask;
  uint64_t said = before;
  for (;;) {
    Thread* first = first_thread();
    uint64_t wanted = blockable(first != nullptr ? first->blocked.load() : 0);
    if ((before & wanted) != 0) {
      wanted &= find_blocked_by_all();
    }
    // A kick must reach it at all times.
    wanted = before & (wanted | signals_kept_back()) & ~signal_bit(kKickSignal);
    // One that came in was put off, with everything blocked: the loop hands it out first.
    if (wanted == said || carrier.loop.signal_pending.load()) {
      break;
    }
    if (!carrier.kernel_mask.compare_exchange_strong(said, wanted)) {
      return;  // a signal came in and was put off: that goes first, and is blocked until then
    }
    said = wanted;
    if (noted != nullptr) {
      *noted = {before, wanted, true};
    }
  }
  if (noted == nullptr && said != before) {
    // The note itself: one that comes in before the call has changed it, and the call must not undo
    // that.
    (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&carrier.kernel_mask), 0,
                    sizeof carrier.kernel_mask);
    want_poller();
  }
}

void close_to_sleepers(uint64_t signals) {
  signals = blockable(signals);
  if (signals == 0 || !some_sleeper_lets_in(signals)) {
    return;
  }
  constexpr int kPatience = 10'000;
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (carrier->kernel_tid == sys::gettid()) {
      continue;
    }
    base::Backoff backoff;
    for (int i = 0; i < kPatience; ++i) {
      // Somebody may let it in again meanwhile, and sleepers for that one.
      signals &= find_taken_by_none();
      Entry entry = entry_of(*carrier, signals);
      if (entry == Entry::none) {
        break;
      }
      // One that arrives needs none, which could end a call of the program.
      if (i % 100 == 0 && entry == Entry::until_kicked) {
        kick(*carrier);
      }
      backoff.wait();
    }
  }
}

void open_sleepers(uint64_t signals) {
  if (signals == 0) {
    return;
  }
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (carrier->current.load(std::memory_order_acquire) == &carrier->loop &&
        (carrier->kernel_mask & signals) != 0) {
      core::wake(*carrier);
    }
  }
}

void note_masks_changed() { mask_changes.fetch_add(1, std::memory_order_seq_cst); }

void reset_sleeping_signals_after_fork() {
  futex_sleeps = 0;
  finding.reset();
}

}  // namespace ramie::host
