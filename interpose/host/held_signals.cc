#include "interpose/host/held_signals.h"

#include <atomic>

#include "core/carrier.h"
#include "core/scheduler.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

// | state   | holder          | taker           |
// |---------|-----------------|-----------------|
// | empty   | -> changing     | finds nothing   |
// | changing| lets it be      | finds nothing   |
// | full    | lets it be      | -> changing     |
//
// Whoever made it `changing` writes or reads `info`, then says full or empty (release, pairs with
// the acquire of the next one).  Who interrupts that on the same kernel thread must not wait for
// it.
enum class State : uint32_t { empty, changing, full };

struct Place {
  std::atomic<State> state = State::empty;
  siginfo_t info = {};
};
constinit Place segv;
constinit Place sigsys;

Place& place_of(int signal) { return signal == SIGSYS ? sigsys : segv; }

bool change(Place& place, State from) {
  return place.state.compare_exchange_strong(from, State::changing, std::memory_order_seq_cst);
}

}  // namespace

void hold(int signal, const siginfo_t& info) {
  Place& place = place_of(signal);
  if (change(place, State::empty)) {
    place.info = info;
    place.state.store(State::full, std::memory_order_seq_cst);
  }
}

// Sequentially consistent, with the masks: who holds one looks for takers afterwards, and who
// unblocks one looks here afterwards.
uint64_t held_signals() {
  uint64_t held = 0;
  if (segv.state.load(std::memory_order_seq_cst) == State::full) {
    held |= core::signal_bit(SIGSEGV);
  }
  if (sigsys.state.load(std::memory_order_seq_cst) == State::full) {
    held |= core::signal_bit(SIGSYS);
  }
  return held;
}

bool take_held(int signal, siginfo_t& info) {
  Place& place = place_of(signal);
  if (!change(place, State::full)) {
    return false;
  }
  info = place.info;
  place.state.store(State::empty, std::memory_order_seq_cst);
  return true;
}

bool put_off_sent(int signal, const siginfo_t& info, const ucontext_t& context) {
  core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    return false;
  }
  const auto* thread = static_cast<const Thread*>(fiber->host);
  bool blocked = thread != nullptr && (thread->blocked.load() & core::signal_bit(signal)) != 0;
  // Where a thread runs that lets it in, nothing of the program will run any more.  In the loop
  // nobody knows yet whether there is one.
  if (fiber->kind != core::FiberKind::loop && !blocked && !program_action(signal).has_handler()) {
    return false;
  }
  // Where the kick is blocked, all signals are: on our stack, or in the middle of a hand-over.
  core::AlternateStack ours{reinterpret_cast<uintptr_t>(context.uc_stack.ss_sp),
                            context.uc_stack.ss_size};
  bool busy = fiber->runtime_depth.load(std::memory_order_relaxed) > 0 ||
              (core::context_mask(context) & core::signal_bit(kKickSignal)) != 0 ||
              ours.holds(static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RSP]));
  if (!blocked && !busy) {
    return false;
  }
  hold(signal, info);
  core::put_off_signal(*fiber->carrier);
  return true;
}

void take_over_held(Thread& thread, uint64_t mask) {
  AllBlocked block;
  for (uint64_t wanted = held_signals() & ~mask; wanted != 0; wanted &= wanted - 1) {
    int signal = __builtin_ctzl(wanted) + 1;
    siginfo_t info;
    if (take_held(signal, info)) {
      give(thread, signal, info);
    }
  }
}

void reset_held_after_fork() {
  segv.state.store(State::empty, std::memory_order_relaxed);
  sigsys.state.store(State::empty, std::memory_order_relaxed);
}

}  // namespace ramie::host
