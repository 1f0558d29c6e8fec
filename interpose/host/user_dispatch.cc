#include "interpose/host/user_dispatch.h"

#include <elf.h>
#include <linux/audit.h>
#include <signal.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "base/sys.h"
#include "core/fault.h"
#include "core/signal_frame.h"
#include "interpose/host/held_signals.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_state.h"
#include "interpose/patch/entry.h"

// The linker's name for the start of this library in memory.
extern "C" [[gnu::visibility("hidden")]] const char ramie_image[] asm("__ehdr_start");

namespace ramie::host {
namespace {

constexpr int kSetDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH
constexpr long kOff = 0;
constexpr long kOn = 1;
constexpr int kDispatched = 2;  // si_code SYS_USER_DISPATCH

constinit std::atomic<bool> chosen = false;

struct Range {
  uintptr_t start = 0;
  size_t size = 0;
};

// This library's code: calls from there are ours, and go to the kernel.
Range own_code() {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(ramie_image);
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(ramie_image + header->e_phoff);
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X) != 0) {
      return {reinterpret_cast<uintptr_t>(ramie_image) + segments[i].p_vaddr, segments[i].p_memsz};
    }
  }
  return {};
}

// Calls that return on another stack, or not at all: made where they are, as in entry.S.
bool is_made_in_place(greg_t number, const greg_t* registers) {
  constexpr greg_t kShares = 0xff00;  // CLONE_VM to CLONE_PARENT
  return number == SYS_rt_sigreturn || number == SYS_vfork ||
         (number == SYS_clone && ((registers[REG_RDI] & kShares) != 0 || registers[REG_RSI] != 0));
}

// Where calls that were made in place go on.  Every register but rcx and r11 is the program's, and
// a child of vfork or clone may be on the same stack or on none of ours: so each site has a place
// of its own, where the address is found, from its first such call on.
constexpr int kPlaces = 32;        // entry.S counts as many
constexpr greg_t kPlaceSize = 16;  // likewise

}  // namespace

extern "C" {
[[gnu::visibility("hidden")]] constinit std::atomic<greg_t> ramie_returns_of_syscall[kPlaces] = {};
[[gnu::visibility("hidden")]] constinit std::atomic<greg_t> ramie_returns_of_int80[kPlaces] = {};
}

namespace {

void make_in_place(greg_t* registers, std::atomic<greg_t>* returns, void (*first)()) {
  greg_t behind = registers[REG_RIP];
  int place = 0;
  for (; place < kPlaces; ++place) {
    greg_t found = returns[place].load(std::memory_order_relaxed);
    if (found == behind || (found == 0 && (returns[place].compare_exchange_strong(found, behind) ||
                                           found == behind))) {
      break;
    }
  }
  if (place == kPlaces) {
    registers[REG_R9] = behind;  // the place after the last one goes by that
  }
  registers[REG_RIP] = reinterpret_cast<greg_t>(first) + place * kPlaceSize;
}

// Somebody else's: a seccomp filter's, or one that was sent.
void handle_other(int signal, siginfo_t* info, ucontext_t& context) {
  bool sent = info->si_code <= 0;
  if (sent && put_off_sent(signal, *info, context)) {
    return;
  }
  core::SignalAction action = program_action(signal);
  if (action.has_handler()) {
    handle_signal(signal, info, &context);
  } else if (action.handler == 0 || !sent) {
    die_by(signal);
  }
}

void handle(int signal, siginfo_t* info, void* raw_context) {
  auto& context = *static_cast<ucontext_t*>(raw_context);
  if (info->si_code != kDispatched) {
    handle_other(signal, info, context);
    return;
  }
  greg_t* registers = context.uc_mcontext.gregs;
  greg_t behind = registers[REG_RIP];
  if (info->si_arch != AUDIT_ARCH_X86_64) {
    make_in_place(registers, ramie_returns_of_int80,
                  &ramie_int80_in_place);  // numbers of another table
    return;
  }
  if (is_made_in_place(registers[REG_RAX], registers)) {
    make_in_place(registers, ramie_returns_of_syscall, &ramie_syscall_in_place);
    return;
  }
  constexpr greg_t kRedZoneAndReturn = 136;
  registers[REG_RSP] -= kRedZoneAndReturn;
  *reinterpret_cast<greg_t*>(registers[REG_RSP]) = behind;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&ramie_dispatched_entry);
}

}  // namespace

bool has_user_dispatch() {
  return sys::call(SYS_prctl, kSetDispatch, kOff, 0, 0, 0) == 0 && own_code().size != 0;
}

void choose_user_dispatch() {
  core::fault::never_block(SIGSYS);
  patch::choose_state_mask();
  chosen.store(true, std::memory_order_relaxed);
}

bool is_dispatch_chosen() { return chosen.load(std::memory_order_relaxed); }

bool dispatch_this_thread() {
  if (!chosen.load(std::memory_order_relaxed)) {
    return true;
  }
  core::SignalAction ours{reinterpret_cast<uintptr_t>(&handle),
                          SA_SIGINFO | SA_ONSTACK | core::kSaRestorer, core::signal_restorer(),
                          // The trap of the FS base must work in there.
                          ~core::signal_bit(SIGSEGV)};
  uint64_t sigsys = core::signal_bit(SIGSYS);
  Range code = own_code();
  return core::kernel_sigaction(SIGSYS, &ours, nullptr) == 0 &&
         sys::call(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::arg(&sigsys), 0, sizeof sigsys) == 0 &&
         sys::call(SYS_prctl, kSetDispatch, kOn, static_cast<long>(code.start),
                   static_cast<long>(code.size), 0) == 0;
}

bool is_dispatch_signal(int signal) {
  return signal == SIGSYS && chosen.load(std::memory_order_relaxed);
}

void reset_user_dispatch_after_fork() { chosen.store(false, std::memory_order_relaxed); }

}  // namespace ramie::host
