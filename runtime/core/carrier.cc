#include "core/carrier.h"

#include "core/switch.h"

// Initial-exec: the preloaded library has its place in the static TLS block of every TCB.  The name
// is spelt out in current().
extern "C" {
[[gnu::visibility("hidden")]] __thread ramie::core::Fiber* ramie_current_fiber
    __attribute__((tls_model("initial-exec"))) = nullptr;
}

asm(R"(
  .text
  .hidden ramie_return_by_jump
  .globl ramie_return_by_jump
  .type ramie_return_by_jump, @function
  .p2align 4
ramie_return_by_jump:
  .cfi_startproc
  mov %rdi, %rax
  pop %rcx
  .cfi_adjust_cfa_offset -8
  .cfi_register rip, rcx
  jmp *%rcx
  .cfi_endproc
  .size ramie_return_by_jump, . - ramie_return_by_jump
)");

namespace ramie::core {

namespace {

constinit const SignalHooks kNoHooks;
constinit std::atomic<const SignalHooks*> hooks = &kNoHooks;

}  // namespace

void become_current(Fiber* fiber) { set_current(fiber); }

void set_signal_hooks(const SignalHooks* wanted) {
  hooks.store(wanted, std::memory_order_release);  // pairs with signal_hooks()
}

const SignalHooks& signal_hooks() { return *hooks.load(std::memory_order_acquire); }

void RuntimeSection::leave_properly(Fiber& fiber) {
  if (signal_hooks().leave != nullptr) {
    signal_hooks().leave(fiber);
  }
}

Fiber& block_signals() {
  Fiber& self = *current();
  signal_hooks().block(*self.carrier, self);
  return self;
}

void fiber_main(Arrival arrival) {
  Fiber& self = arrive(arrival, true);
  send_for_next(*self.carrier);
  if (self.kind != FiberKind::loop) {
    self.runtime_depth.store(1, std::memory_order_relaxed);
    RuntimeSection::end(self);  // makes the kernel's mask the fiber's
  }
  self.entry(self);
  __builtin_unreachable();
}

}  // namespace ramie::core
