#include "core/code_sample.h"

#include <signal.h>
#include <ucontext.h>

#include <atomic>

#include "base/futex.h"
#include "core/fault.h"
#include "core/sanitizer.h"
#include "core/signal_frame.h"

namespace ramie::core {
namespace {

// | word   | written by                       | holds                                          |
// |--------|----------------------------------|------------------------------------------------|
// | asked  | the caller; the handler, to 0    | who is asked, until that one begins to answer  |
// | answer | the handler; the caller, to 0    | 1 when pc_answered and sp_answered are there   |
//
// A handler that comes too late finds another id, or 0, and does nothing; one that has begun is
// waited for without a limit, since nothing in it waits.
constinit std::atomic<uint32_t> asked = 0;
constinit std::atomic<uint32_t> answer = 0;
constinit uintptr_t pc_answered = 0;
constinit uintptr_t sp_answered = 0;

constexpr int64_t kPatience = 50'000'000;

// No thread-local and no lock: this runs anywhere, in trap mode with an FS base that is not the
// fiber's.
RAMIE_UNINSTRUMENTED void handle(int, siginfo_t*, void* raw_context) {
  auto self = static_cast<uint32_t>(sys::gettid());
  if (!asked.compare_exchange_strong(self, 0, std::memory_order_acquire)) {
    return;
  }
  const greg_t* registers = static_cast<const ucontext_t*>(raw_context)->uc_mcontext.gregs;
  pc_answered = static_cast<uintptr_t>(registers[REG_RIP]);
  sp_answered = static_cast<uintptr_t>(registers[REG_RSP]);
  answer.store(1, std::memory_order_release);  // pairs with sample_code()
  base::futex_wake(answer, 1);
}

SignalAction our_action() {
  return {reinterpret_cast<uintptr_t>(&handle), SA_SIGINFO | SA_ONSTACK | SA_RESTART | kSaRestorer,
          signal_restorer(), ~signal_bit(SIGSEGV)};
}

// Whether the signal will come to our handler.  At the first use, that is set: not before, or the
// shim would take it for the program's when it takes over signals.
bool take_signal() {
  SignalAction action;
  SignalAction ours = our_action();
  if (kernel_sigaction(kSampleSignal, nullptr, &action) != 0) {
    return false;
  }
  if (action.handler == 0) {
    return kernel_sigaction(kSampleSignal, &ours, nullptr) == 0;
  }
  return action.handler == ours.handler;
}

}  // namespace

void prepare_samples() { fault::never_block(kSampleSignal); }

bool sample_code(int tid, uintptr_t& pc, uintptr_t& sp) {
  if (!take_signal()) {
    return false;
  }
  answer.store(0, std::memory_order_relaxed);
  asked.store(static_cast<uint32_t>(tid), std::memory_order_release);  // pairs with handle()
  base::Deadline patience = base::Deadline::after(base::now(), kPatience);
  bool sent = sys::call(SYS_tgkill, sys::getpid(), tid, kSampleSignal) == 0;
  while (sent && answer.load(std::memory_order_acquire) == 0 && patience.nanos > base::now()) {
    (void)base::futex_wait(answer, 0, patience);
  }
  auto still = static_cast<uint32_t>(tid);
  if (asked.compare_exchange_strong(still, 0, std::memory_order_relaxed)) {
    return false;
  }
  while (answer.load(std::memory_order_acquire) == 0) {
    (void)base::futex_wait(answer, 0);
  }
  pc = pc_answered;
  sp = sp_answered;
  return true;
}

}  // namespace ramie::core
