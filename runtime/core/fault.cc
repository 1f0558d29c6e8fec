#include "core/fault.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <atomic>

#include "base/format.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/program_action.h"
#include "core/tls.h"

namespace ramie::core::fault {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackSize = 64UL << 10;
// Nothing lies right behind it: where a stack of the program's overflows by a large frame, the
// stack pointer is already beyond the guard, and would be taken for one of our handlers'.
constexpr size_t kGap = 256UL << 10;
constexpr size_t kMapped = kPage + kStackSize + kGap;
constexpr size_t kMaxThreads = 8192;

constinit std::atomic<const Hooks*> the_hooks = nullptr;
constinit std::atomic<uintptr_t> stacks[kMaxThreads] = {};
constinit std::atomic<size_t> stacks_used = 0;  // no later one was ever taken
constinit std::atomic<bool> installed = false;
constinit std::atomic<uint64_t> never_blocked = 0;

// The program's action for SIGSEGV.  The handler reads it without a lock.
constinit base::Lock writing;
constinit ProgramAction program_action;

bool is_carrier_stack(uintptr_t bottom) {
  if (bottom == 0) {
    return false;
  }
  size_t used = stacks_used.load(std::memory_order_acquire);  // pairs with start_thread()
  for (size_t i = 0; i < used; ++i) {
    if (stacks[i].load(std::memory_order_relaxed) == bottom) {
      return true;
    }
  }
  return false;
}

// Death by `signal`, as the kernel's default action does it.  A fault comes again by itself, with
// the registers that a core dump should show; a signal that was sent has to be sent again.
void die(int signal, bool sent) {
  SignalAction standard;
  kernel_sigaction(signal, &standard, nullptr);
  if (sent) {
    sys::call(SYS_tgkill, sys::getpid(), sys::gettid(), signal);
  }
}

// One line for a stack that ran over; false if `address` is in no guard.
bool report_overflow(const Hooks& hooks, uintptr_t address) {
  Overflow overflow;
  if (hooks.describe_overflow == nullptr || !hooks.describe_overflow(address, overflow)) {
    return false;
  }
  base::Line<256> line;
  line << "ramie: fiber " << overflow.fiber;
  if (overflow.name != nullptr && *overflow.name != '\0') {
    line << " \"" << overflow.name << '"';
  }
  line << ": stack overflow at " << base::Hex{address} << ", stack of " << overflow.stack_size
       << " bytes; "
       << (overflow.hosted ? "ask pthread_attr_setstacksize for more" : "set RAMIE_STACK_SIZE");
  line.write_to(2);
  return true;
}

// Of a signal that was sent while our handler runs, on whose stack nothing of the program may run.
void keep_until_return(int signal, const siginfo_t& info, ucontext_t& context) {
  set_context_mask(context, context_mask(context) | signal_bit(signal));
  sys::call(SYS_rt_sigprocmask, SIG_BLOCK, sys::arg(&context.uc_sigmask), 0, sizeof(uint64_t));
  sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), sys::gettid(), signal, sys::arg(&info));
}

// On a kernel thread that isn't a carrier, our handler already runs where the program's would.
void call_in_place(const SignalAction& action, int signal, siginfo_t* info, void* context,
                   uint64_t mask) {
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
  reinterpret_cast<void (*)(int, siginfo_t*, void*)>(action.handler)(signal, info, context);
}

void run_action(int signal, siginfo_t* info, ucontext_t& context, bool sent, bool on_carrier,
                const AlternateStack& alternate, const Hooks& hooks) {
  SignalAction action = application_action(signal);
  if (!action.has_handler()) {
    // A fault that is ignored would come again for ever: the kernel treats it as the default.
    if (action.handler == 0 || !sent) {
      die(signal, sent);
    }
    return;
  }
  if ((action.flags & SA_RESETHAND) != 0) {
    SignalAction standard = action;
    standard.handler = 0;
    (void)set_application_action(signal, standard);
  }
  uint64_t mask = context_mask(context) | action.mask;
  if ((action.flags & SA_NODEFER) == 0) {
    mask |= signal_bit(signal);
  }
  mask = blockable(mask);
  if (on_carrier && hooks.run_handler != nullptr) {
    action.flags &= ~static_cast<unsigned long>(SA_RESETHAND);  // done
    if (!hooks.run_handler(signal, *info, context, action)) {
      die(signal, sent);
    }
  } else if (on_carrier) {
    push_signal_frame(context, signal, *info, action, alternate, mask);
  } else {
    call_in_place(action, signal, info, &context, mask);
  }
}

void handle(int signal, siginfo_t* info, void* raw_context) {
  if (tls::handle_fault(info, raw_context)) {
    return;
  }
  auto& context = *static_cast<ucontext_t*>(raw_context);
  bool sent = info->si_code <= 0;
  auto bottom = reinterpret_cast<uintptr_t>(context.uc_stack.ss_sp);
  bool on_carrier = is_carrier_stack(bottom);
  AlternateStack own{bottom, on_carrier ? kStackSize : 0};
  bool in_handler = own.holds(static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RSP]));
  constexpr Hooks kNone;
  const Hooks* hooks = the_hooks.load(std::memory_order_acquire);  // pairs with set_hooks()
  if (hooks == nullptr) {
    hooks = &kNone;
  }
  auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (in_handler && !sent) {
    // Only our own handlers run on this stack: one has faulted, most likely on a stack pointer that
    // leads nowhere, or to the end of a stack.  The kernel kills in that case too.
    (void)report_overflow(*hooks, address);
    die(signal, sent);
    return;
  }
  if (sent && on_carrier && hooks->put_off != nullptr && hooks->put_off(signal, *info, context)) {
    return;
  }
  if (in_handler) {
    keep_until_return(signal, *info, context);
    return;
  }
  AlternateStack alternate;
  if (on_carrier && hooks->alternate_stack != nullptr) {
    alternate = hooks->alternate_stack();
  }
  // A program that prepared for overflow (a handler and a stack for it) reports it by itself.
  SignalAction action = application_action(signal);
  bool prepared = action.has_handler() && (action.flags & SA_ONSTACK) != 0 && alternate.size != 0;
  if (!sent && !prepared && report_overflow(*hooks, address)) {
    die(signal, sent);
    return;
  }
  run_action(signal, info, context, sent, on_carrier, alternate, *hooks);
}

}  // namespace

void set_hooks(const Hooks* hooks) { the_hooks.store(hooks, std::memory_order_release); }

int install() {
  SignalAction before;
  long result = kernel_sigaction(SIGSEGV, nullptr, &before);
  if (result < 0) {
    return static_cast<int>(result);
  }
  (void)set_application_action(SIGSEGV, before);
  // Only the trap of the FS base must work while our handler runs.  Any handler of the program
  // would run on the carrier's alternate stack.
  SignalAction ours{reinterpret_cast<uintptr_t>(&handle),
                    SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | kSaRestorer,
                    signal_restorer(), ~signal_bit(SIGSEGV)};
  result = kernel_sigaction(SIGSEGV, &ours, nullptr);
  installed.store(result == 0, std::memory_order_release);  // pairs with owns()
  return static_cast<int>(result);
}

void uninstall() {
  if (installed.exchange(false, std::memory_order_acq_rel)) {
    writing.reset();  // in a fork's child its holder may be gone
    for (size_t i = stacks_used.load(std::memory_order_relaxed); i > 0; --i) {
      stacks[i - 1].store(0, std::memory_order_relaxed);  // of carriers that are the parent's
    }
    SignalAction action = application_action(SIGSEGV);
    kernel_sigaction(SIGSEGV, &action, nullptr);
  }
}

bool owns(int signal) { return signal == SIGSEGV && installed.load(std::memory_order_acquire); }

SignalAction application_action(int) { return program_action.load(); }

SignalAction set_application_action(int, const SignalAction& action) {
  base::LockGuard guard(writing);
  SignalAction before = program_action.load();
  program_action.store(action);
  return before;
}

uint64_t blockable(uint64_t mask) {
  mask &= ~never_blocked.load(std::memory_order_relaxed);
  return tls::may_trap() ? mask & ~signal_bit(SIGSEGV) : mask;
}

void never_block(int signal) {
  never_blocked.fetch_or(signal_bit(signal), std::memory_order_relaxed);
}

namespace {

// Its alternate stack, and the list of those.
int make_stack(Thread& thread) {
  long map = sys::call(SYS_mmap, 0, kMapped, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (sys::failed(map)) {
    return static_cast<int>(map);
  }
  long stack = map + static_cast<long>(kPage);
  long opened = sys::call(SYS_mprotect, stack, kStackSize, PROT_READ | PROT_WRITE);
  if (sys::failed(opened)) {
    sys::call(SYS_munmap, map, kMapped);
    return static_cast<int>(opened);
  }
  thread.stack = static_cast<uintptr_t>(stack);
  for (size_t i = 0; i < kMaxThreads; ++i) {
    uintptr_t none = 0;
    if (stacks[i].compare_exchange_strong(none, thread.stack, std::memory_order_relaxed)) {
      size_t used = stacks_used.load(std::memory_order_relaxed);
      while (used < i + 1 &&
             !stacks_used.compare_exchange_weak(used, i + 1, std::memory_order_release)) {
      }
      return 0;
    }
  }
  return -EAGAIN;
}

}  // namespace

int start_thread(Thread& thread) {
  long result = thread.stack != 0 ? 0 : make_stack(thread);
  if (result == 0) {
    stack_t ours{};
    ours.ss_sp = reinterpret_cast<void*>(thread.stack);
    ours.ss_size = kStackSize;
    result = sys::call(SYS_sigaltstack, sys::arg(&ours), sys::arg(&thread.previous));
  }
  if (result < 0) {
    stop_thread(thread);
    return static_cast<int>(result);
  }
  uint64_t segv = signal_bit(SIGSEGV);
  sys::call(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::arg(&segv), sys::arg(&thread.mask), sizeof segv);
  return 0;
}

void rest_thread(Thread& thread) {
  thread.previous.ss_flags &= ~SS_ONSTACK;
  sys::call(SYS_sigaltstack, sys::arg(&thread.previous), 0);
}

void stop_thread(Thread& thread) {
  if (thread.stack == 0) {
    return;
  }
  for (size_t i = stacks_used.load(std::memory_order_relaxed); i > 0; --i) {
    uintptr_t mine = thread.stack;
    stacks[i - 1].compare_exchange_strong(mine, 0, std::memory_order_relaxed);
  }
  rest_thread(thread);
  sys::call(SYS_munmap, static_cast<long>(thread.stack - kPage), kMapped);
  thread.stack = 0;
}

}  // namespace ramie::core::fault
