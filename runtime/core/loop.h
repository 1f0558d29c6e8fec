// What scheduler.cc, crew.cc, apart.cc, attach.cc and bare_carrier.cc have between them: the loop
// of a carrier and the count of those that are awake.  Not for others.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/carrier.h"

namespace ramie::core {

// The loop's own code, on its stack: runs ready fibers, fires timers, sleeps.  Returns where the
// carrier ends, which only a bare one does.
void run_loop(Fiber& loop);

// Makes the carrier's loop what it is, but for its stack.
void name_loop(Carrier& carrier);

// Into the list of all carriers, for good.
void publish(Carrier& carrier);

// Into the list of those of the crew, and out of it, for a bare one whose kernel thread ends.
void enlist(Carrier& carrier);
void strike_off(Carrier& carrier);

// Those that are of the crew, or have left it to stand apart; next_in_crew links them.  One that is
// struck off keeps its link, so who stands on it goes on to those behind it; and if it is enlisted
// meanwhile, to all.
[[nodiscard]] Carrier* carriers_of_crew();

// How many carriers are neither asleep nor stand by.  A bare one apart always counts as such; the
// first one as of the crew, even where it has left that.
enum class Part : uint8_t { of_crew, apart };
void carrier_fell_asleep(Part part);
void carrier_woke_up(Part part);

// Whether some carrier is awake that the watchdog looks at: of those apart, which hold up nobody,
// only while fibers have alarms on their CPU clocks.
[[nodiscard]] bool is_watchdog_needed();

// For a carrier that has said that it sleeps: tells whoever wants to know (set_deadlock_hook) when
// all do, and nothing can wake them.
void report_standstill();

// Takes the events that are there, without waiting, unless another carrier is about to.
void look_for_events(Carrier& carrier);

// Submits what fibers of this carrier have for its ring, if it has one, and takes what is over.
void look_at_ring(Carrier& carrier);

// Ends the wait in the poller.
void wake_poller();

// A carrier that has been in the poller may be long before it is there again: one that sleeps
// elsewhere takes its place.
void hand_over_polling(const Carrier& self);

// Whether some carrier is in the poller, or there is none yet.
[[nodiscard]] bool is_event_watched();

// Nobody is in the poller, and fibers wait for what it may report.
[[nodiscard]] bool are_events_missed();

// A fork's child has this carrier alone, or none.
void reset_carriers_after_fork(Carrier* only);
void reset_crew_after_fork();

// On its way to sleep a carrier lets in what some thread of the program doesn't block.  May make
// fibers ready.
//
// Where the call by which it sleeps takes a mask, that one lets them in, and none is needed before
// and after it: until end(), Carrier::kernel_mask is the mask of that call.  The kernel's own is
// the one before, which blocks more, unless the handler of a signal has set both.
class OpenToSignals {
 public:
  OpenToSignals(Carrier& carrier, bool by_call) : carrier_(carrier) {
    if (carrier.kernel_mask != 0 && signal_hooks().open != nullptr) {
      bool is_due = carrier.unlooked >= kMostUnlooked;
      carrier.unlooked = is_due ? 0 : carrier.unlooked;
      signal_hooks().open(carrier, by_call && !is_due ? &mask_ : nullptr);
    }
  }

  // For the call; null: the kernel's is right as it is.  The kernel reads the note itself: the
  // handler of a signal that comes in before the call may have changed it.
  [[nodiscard]] const std::atomic<uint64_t>* mask_of_call() const {
    return mask_.is_noted ? &carrier_.kernel_mask : nullptr;
  }

  // A call that finds an event at once lets no signal in: so not too often in a row.
  void note_call(bool may_not_have_looked) {
    carrier_.unlooked = mask_.is_noted && may_not_have_looked ? carrier_.unlooked + 1 : 0;
  }

  void end() {
    if (mask_.is_noted) {
      uint64_t noted = mask_.during;
      carrier_.kernel_mask.compare_exchange_strong(noted, mask_.before);
    }
  }

 private:
  static constexpr uint32_t kMostUnlooked = 16;

  Carrier& carrier_;
  SleepMask mask_;
};

}  // namespace ramie::core
