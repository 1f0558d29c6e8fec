#include "core/signal_frame.h"

#include <cstddef>
#include <cstring>

#include "base/sys.h"

// Debuggers and unwinders know the return address of a signal frame by these bytes.
asm(R"(
  .text
  .balign 16
  nop
  .globl ramie_signal_restorer
  .hidden ramie_signal_restorer
  .type ramie_signal_restorer, @function
ramie_signal_restorer:
  mov $15, %rax
  syscall
  .size ramie_signal_restorer, . - ramie_signal_restorer
)");

extern "C" void ramie_signal_restorer();

namespace ramie::core {
namespace {

// The kernel's ucontext ends with its 8-byte mask; libc's type goes on.
constexpr size_t kContextSize = offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t);
static_assert(kContextSize == 304);

// arch/x86/kernel/signal_64.c, struct rt_sigframe.
struct Frame {
  uintptr_t restorer;
  alignas(8) unsigned char context[kContextSize];
  siginfo_t info;
};
static_assert(sizeof(Frame) == 8 + kContextSize + 128);

constexpr size_t kRedZone = 128;
constexpr unsigned long kUcFpXstate = 1;  // uc_flags: the vector state is more than fxsave's
constexpr greg_t kDirectionFlag = 1 << 10;
constexpr greg_t kTrapFlag = 1 << 8;
constexpr greg_t kResumeFlag = 1 << 16;
// A value that sigaltstack(2) rejects.  The kernel sets the alternate stack from the frame when the
// handler returns (and ignores a failure): by then the fiber may be on another carrier, whose
// alternate stack must stay its own.
constexpr int kRejectedFlags = 0x40000000;

// Bytes of the saved floating point and vector state (struct _fpx_sw_bytes, in fxsave's last 48).
size_t vector_state_size(const ucontext_t& context) {
  constexpr size_t kFxsave = 512;
  constexpr size_t kSoftware = 464;
  constexpr uint32_t kMagic = 0x46505853;
  auto* state = reinterpret_cast<const unsigned char*>(context.uc_mcontext.fpregs);
  uint32_t words[2];
  memcpy(words, state + kSoftware, sizeof words);
  return words[0] == kMagic && (context.uc_flags & kUcFpXstate) != 0 ? words[1] : kFxsave;
}

uintptr_t align_down(uintptr_t value, uintptr_t alignment) { return value & ~(alignment - 1); }

}  // namespace

uintptr_t signal_restorer() { return reinterpret_cast<uintptr_t>(&ramie_signal_restorer); }

long kernel_sigaction(int signal, const SignalAction* action, SignalAction* before) {
  return sys::call(SYS_rt_sigaction, signal, sys::arg(action), sys::arg(before), sizeof(uint64_t));
}

uint64_t context_mask(const ucontext_t& context) {
  uint64_t mask;
  memcpy(&mask, &context.uc_sigmask, sizeof mask);
  return mask;
}

void set_context_mask(ucontext_t& context, uint64_t mask) {
  memcpy(&context.uc_sigmask, &mask, sizeof mask);
}

void push_signal_frame(ucontext_t& context, int signal, const siginfo_t& info,
                       const SignalAction& action, const AlternateStack& alternate, uint64_t mask) {
  greg_t* registers = context.uc_mcontext.gregs;
  uintptr_t top = static_cast<uintptr_t>(registers[REG_RSP]);
  bool to_alternate = (action.flags & SA_ONSTACK) != 0 && alternate.size != 0;
  top = to_alternate && !alternate.holds(top) ? alternate.base + alternate.size : top - kRedZone;

  uintptr_t state = 0;
  if (context.uc_mcontext.fpregs != nullptr) {
    size_t size = vector_state_size(context);
    state = align_down(top - size, 64);
    memcpy(reinterpret_cast<void*>(state), context.uc_mcontext.fpregs, size);
    top = state;
  }
  // A function is entered with the stack pointer 8 below a multiple of 16.
  auto* frame = reinterpret_cast<Frame*>(align_down(top - sizeof(Frame), 16) - 8);
  frame->restorer = (action.flags & kSaRestorer) != 0 ? action.restorer : signal_restorer();
  memcpy(frame->context, &context, kContextSize);
  memcpy(&frame->info, &info, sizeof info);
  auto* saved = reinterpret_cast<ucontext_t*>(frame->context);
  saved->uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(state);
  saved->uc_stack.ss_sp = reinterpret_cast<void*>(alternate.base);
  saved->uc_stack.ss_size = alternate.size;
  saved->uc_stack.ss_flags = kRejectedFlags;

  registers[REG_RIP] = static_cast<greg_t>(action.handler);
  registers[REG_RSP] = reinterpret_cast<greg_t>(frame);
  registers[REG_RDI] = signal;
  registers[REG_RSI] = reinterpret_cast<greg_t>(&frame->info);
  registers[REG_RDX] = reinterpret_cast<greg_t>(frame->context);
  registers[REG_RAX] = 0;
  registers[REG_EFL] &= ~(kDirectionFlag | kTrapFlag | kResumeFlag);
  // A handler starts with clean vector registers: without a saved state, the kernel clears them.
  context.uc_flags &= ~kUcFpXstate;
  context.uc_mcontext.fpregs = nullptr;
  set_context_mask(context, mask);
}

}  // namespace ramie::core
