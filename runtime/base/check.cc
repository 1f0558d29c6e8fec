#include "base/check.h"

#include <signal.h>

#include <atomic>

#include "base/format.h"
#include "base/sys.h"

namespace ramie::base {
namespace {

constinit std::atomic<DescribeCurrent> describe_current = nullptr;

}  // namespace

void set_describe_current(DescribeCurrent describe) {
  describe_current.store(describe, std::memory_order_release);  // pairs with fail()
}

void fail(const char* text, const char* file, int line) {
  Line<512> message;
  message << "ramie: " << text << " (" << file << ":" << line << ")";
  if (DescribeCurrent describe = describe_current.load(std::memory_order_acquire)) {
    char current[128];
    describe(current, sizeof current);
    message << " in " << current;
  }
  message.write_to(2);
  // abort() without libc: a core dump, whatever handler the program has for SIGABRT.
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } action{};
  sys::call(SYS_rt_sigaction, SIGABRT, sys::arg(&action), 0, 8);
  unsigned long unblock = 1UL << (SIGABRT - 1);
  sys::call(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::arg(&unblock), 0, 8);
  sys::call(SYS_tgkill, sys::getpid(), sys::gettid(), SIGABRT);
  sys::call(SYS_exit_group, 134);
  __builtin_unreachable();
}

}  // namespace ramie::base
