// The table, and what surrounds each operation.
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "core/carrier.h"
#include "event/section.h"
#include "interpose/host/binding.h"
#include "interpose/host/blocking_calls.h"
#include "interpose/host/call_signals.h"
#include "interpose/host/cpu_clocks.h"
#include "interpose/host/entry.h"
#include "interpose/host/families.h"
#include "interpose/host/futex.h"
#include "interpose/host/give_way.h"
#include "interpose/host/handlers.h"
#include "interpose/host/hosting.h"
#include "interpose/host/lend.h"
#include "interpose/host/native_threads.h"
#include "interpose/host/passed_call.h"
#include "interpose/host/thread.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/descriptor_hints.h"
#include "interpose/ops/ops.h"

namespace ramie::host {
namespace {

constexpr long kTableSize = 512;

enum class Class : uint8_t { forward, block, park, offload, emulate };

struct Row {
  Handler handler = nullptr;
  Class kind = Class::forward;
  uint8_t family = 0;
  bool is_ours = false;  // its handler has nothing to pass on
};

struct Table {
  Row rows[kTableSize] = {};
};

constexpr Table make_table() {
  Table table;
#define ROW(number, cls, handler) \
  table.rows[number] = {handler, Class::cls, family_of(number), false};
#include "interpose/syscalls.gen.h"
#undef ROW
  for (Row& row : table.rows) {
    // Not those that a thread may have to make itself, see must_make_itself().
    row.is_ours = row.handler != nullptr && row.kind != Class::block && row.kind != Class::offload;
  }
  return table;
}

constinit const Table table = make_table();

// Whoever adds a call that waits says to which family it belongs.
constexpr bool has_family_where_it_waits() {
  Table made = make_table();
  for (long number = 0; number < kTableSize; ++number) {
    const Row& row = made.rows[number];
    bool waits = row.kind == Class::park || row.kind == Class::offload;
    if (waits != (row.family != 0 || is_of_threads(number))) {
      return false;
    }
  }
  return true;
}
static_assert(has_family_where_it_waits());

// Of RAMIE_PATCH; all bits until it is first needed.
constexpr unsigned kNotRead = ~0U;
constinit std::atomic<unsigned> families_off = kNotRead;

// Which families the kernel has of this thread's calls.
unsigned families_off_for(const Thread* thread) {
  unsigned off = families_off.load(std::memory_order_relaxed);
  return thread != nullptr ? off | thread->families_off.load(std::memory_order_relaxed) : off;
}

// Calls that a helper thread would make, in another namespace and with other rights than the
// thread's own (kernel_state.cc).  The kernel thread on which it waits itself is nobody else's.
bool must_make_itself(const Thread* thread, long number, const long* arguments) {
  if (thread == nullptr || !thread->has_kernel_state.load(std::memory_order_relaxed) ||
      !is_on_own_kernel_thread(*thread)) {
    return false;
  }
  if (number == SYS_semop || number == SYS_semtimedop || number == SYS_msgsnd ||
      number == SYS_msgrcv) {
    return true;
  }
  core::RuntimeSection section(*thread->fiber);
  return ops::waits_to_open(number, arguments);
}

// What of a family is Ramie's all the same: calls that don't wait, and those that may set a signal
// mask for as long as they wait, which only Ramie would know.
bool stays_ours(long number, const long* arguments) {
  switch (number) {
    case SYS_fcntl:
      return arguments[1] != F_SETLKW && arguments[1] != F_OFD_SETLKW;
    case SYS_ppoll:
      return arguments[3] != 0;
    case SYS_pselect6:
      return arguments[5] != 0;
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
      return arguments[4] != 0;
    default:
      return false;
  }
}

// How a thread gives a name to another one that is hosted (names.h).
bool may_be_about_name(long number, const long* arguments) {
  return number == SYS_open || number == SYS_openat || number == SYS_creat ||
         (number == SYS_write &&
          ops::descriptor_hints.get(static_cast<int>(arguments[0]), ops::Direction::write) ==
              ops::Way::thread_name);
}

// Whether the kernel makes all calls of this thread that it can make.
bool is_kernels_own(const Thread& thread) {
  return thread.families_off.load(std::memory_order_relaxed) != 0 &&
         is_on_own_kernel_thread(thread);
}

// Whether the call is left to the kernel: by RAMIE_PATCH, or by RAMIE_NATIVE for one thread.
bool is_off(const Row& row, const Thread* thread, long number, const long* arguments) {
  if ((row.family & families_off_for(thread)) == 0) [[likely]] {
    return false;
  }
  unsigned off = families_off.load(std::memory_order_relaxed);
  if (off == kNotRead) {
    off = base::config().families_off;
    families_off.store(off, std::memory_order_relaxed);
  }
  if ((row.family & families_off_for(thread)) == 0 || stays_ours(number, arguments)) {
    return false;
  }
  return (row.family & off) != 0 ||
         (is_kernels_own(*thread) && !may_be_about_name(number, arguments));
}

const Row& row_of(long number) {
  static constexpr Row kUnknown;
  return number >= 0 && number < kTableSize ? table.rows[number] : kUnknown;
}

// After which a thread may have to yield.  Not after those of locks: python3 makes such a call with
// a lock held, as it hands its interpreter's lock over, and who waits for that would wait longer.
constexpr uint8_t kOfDescriptors =
    bit(base::Family::io) | bit(base::Family::socket) | bit(base::Family::poll);

// Once, on a fiber of the program: the operation; as the section ends, the signals that came
// meanwhile.
[[gnu::always_inline]] inline long run_once(const Row& row, core::Fiber& fiber, Thread* thread,
                                            const long* arguments) {
  core::RuntimeSection section(fiber);
  long result = row.handler(arguments);
  if (may_come_with_signal(result) && thread != nullptr) [[unlikely]] {
    take_call_signal(*thread);
  }
  if (fiber.carrier->yield_wish.is_there()) [[unlikely]] {
    if ((row.family & kOfDescriptors) != 0) {
      give_way(fiber);
    }
  }
  return result;
}

// The same, then maybe the operation again.
[[gnu::hot]] long run(const Row& row, core::Fiber& fiber, Thread* thread, const long* arguments) {
  for (;;) {
    unsigned before = thread != nullptr ? thread->interruptions : 0;
    long result = run_once(row, fiber, thread, arguments);
    if (result != sys::kRestart && result != kRestartAlways) {
      return result;
    }
    if (result == sys::kRestart && thread != nullptr && thread->interruptions != before) {
      return -EINTR;
    }
  }
}

// After a call that no handler has seen.
void note_kernels_own(long number, const long* arguments) {
  if ((number == SYS_ioctl && static_cast<unsigned>(arguments[1]) == FIONBIO) ||
      (number == SYS_fcntl && arguments[1] == F_SETFL)) {
    ops::blocking_sockets::note_setting();
  } else if (number == SYS_sendmsg || number == SYS_sendmmsg) {
    ops::blocking_sockets::note_sharing();
  }
}

// Before a call.
void note_kernel_waiter(long number) {
  if (number == SYS_futex_waitv) {
    wake_in_kernel_too();
  }
}

// What makes a descriptor's number mean something else, or decides how its reads wait.
bool changes_descriptor(long number, const long* arguments) {
  switch (number) {
    case SYS_close:
    case SYS_dup2:
    case SYS_dup3:
    case SYS_close_range:
      return true;
    case SYS_fcntl:
      return arguments[1] == F_SETFL;
    default:
      return false;
  }
}

// Futexes on which fibers wait, descriptors that change their meaning under them, settings that
// decide how they wait; stacks of theirs, of which glibc gives the oldest back.
bool is_for_every_thread(long number, const long* arguments) {
  return is_futex(number) || number == SYS_setsockopt || number == SYS_munmap ||
         number == SYS_mprotect || changes_descriptor(number, arguments);
}

// Among them the signal by which libc has each thread change its credentials.
bool is_signal_for_fiber(long number, const long* arguments) {
  if (number != SYS_tgkill && number != SYS_rt_tgsigqueueinfo) {
    return false;
  }
  int tid = static_cast<int>(arguments[1]);
  const Thread* first = first_thread();
  return is_virtual_tid(tid) || (first != nullptr && first->tid == tid);
}

// Timers that may signal a fiber, and the clocks of fibers.
bool is_of_fibers_time(long number, const long* arguments) {
  switch (number) {
    case SYS_timer_create:
    case SYS_timer_settime:
    case SYS_timer_gettime:
    case SYS_timer_delete:
    case SYS_timer_getoverrun:
      return is_hosting();
    case SYS_clock_gettime:
    case SYS_clock_getres:
      return is_virtual_tid(thread_of_clock(arguments[0]));
    default:
      return false;
  }
}

// A kernel thread that runs no fiber has its calls made by the kernel, but for those that concern
// fibers.
long from_other_thread(const Row& row, long number, const long* arguments) {
  if (is_for_every_thread(number, arguments)) {
    return row.handler(arguments);
  }
  if (is_signal_for_fiber(number, arguments) || is_of_fibers_time(number, arguments)) {
    event::Section section;
    return row.handler(arguments);
  }
  if (number == SYS_clone || number == SYS_fork) {
    return row.handler(arguments);
  }
  if (is_native_thread() &&
      (number == SYS_clone3 || number == SYS_exit || number == SYS_exit_group)) {
    return row.handler(arguments);
  }
  // Its child would begin on another stack, in the middle of this function: libc takes clone then,
  // which is never turned.
  if (number == SYS_clone3) {
    return -ENOSYS;
  }
  note_kernel_waiter(number);
  bool shares = number == SYS_sendmsg || number == SYS_sendmmsg;
  if (shares) {
    ops::blocking_sockets::note_sharing();
  }
  long result = kernel(number, arguments);
  note_kernels_own(number, arguments);
  if (shares) {
    ops::blocking_sockets::note_sharing();
  }
  return result;
}

// The child of vfork, or of posix_spawn, has descriptors of its own, and its own end, but the
// memory of the parent: what is known there of the parent's must stay.
bool is_borrowers_own(long number, const long* arguments) {
  return (changes_descriptor(number, arguments) || number == SYS_exit ||
          number == SYS_exit_group) &&
         is_borrower_of_hosting();
}

long dispatch(long number, const long* arguments) {
  const Row& row = row_of(number);
  core::Fiber* fiber = core::current();
  if ((fiber == nullptr || fiber->host == nullptr) && is_borrowers_own(number, arguments)) {
    return kernel(number, arguments);
  }
  if (fiber == nullptr) {
    return from_other_thread(row, number, arguments);
  }
  auto* thread = static_cast<Thread*>(fiber->host);
  if (thread != nullptr && thread->lends_memory) [[unlikely]] {
    if (is_borrower()) {
      return kernel(number, arguments);
    }
    stop_lending(*thread);
  }
  if (row.kind == Class::block) {
    bool is_kernels = row.handler == nullptr || thread == nullptr ||
                      (number == SYS_io_uring_enter && is_kernels_own(*thread));
    long result = is_kernels ? sys::kPassOn : run(row, *fiber, thread, arguments);
    if (is_kernels && thread != nullptr && number == SYS_io_uring_enter && arguments[1] != 0) {
      fiber->carrier->has_submitted = true;  // else the operation sees to that
    }
    if (result == sys::kPassOn) {
      note_kernel_waiter(number);
      result = make_blocking_call(number, arguments);
      note_kernels_own(number, arguments);
    }
    return result;
  }
  if (row.handler == nullptr || is_off(row, thread, number, arguments) ||
      (row.kind == Class::offload && must_make_itself(thread, number, arguments))) {
    return passed_call(number, arguments);
  }
  return run(row, *fiber, thread, arguments);
}

// Inside libc a light fiber may hold a lock that libc knows by its owner, and that owner is the TCB
// which all light fibers of the carrier share; so there it blocks, unless blocking could not end.
bool may_park_inside_libc(long number) {
  return is_futex(number) || number == SYS_clone3 || number == SYS_clone ||
         row_of(number).kind == Class::emulate;
}

long call_inside_libc(long number, const long* arguments) {
  if (!on_light_fiber() || may_park_inside_libc(number)) {
    return dispatch(number, arguments);
  }
  note_kernel_waiter(number);
  long result = kernel(number, arguments);
  note_kernels_own(number, arguments);
  return result;
}

}  // namespace

long call(long number, long a, long b, long c, long d, long e, long f) {
  const long arguments[6] = {a, b, c, d, e, f};
  return dispatch(number, arguments);
}

long finish(long result) {
  if (sys::failed(result)) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

}  // namespace ramie::host

// From interpose/symbols/vfork.S.
extern "C" [[gnu::visibility("hidden")]] long ramie_finish(long result) {
  return ramie::host::finish(result);
}

// From interpose/patch/entry.S.  Most calls are of hosted threads, and for a handler: those take
// the short way.
//
// Where the kernel keeps its memory apart from a program's (page table isolation), the processor
// may have to look up each page anew after each system call, and its caches hold little of ours.
// So what all calls need is "hot": the linker puts that on few pages.
extern "C" [[gnu::visibility("hidden"), gnu::hot]] long ramie_syscall(long number,
                                                                      const long* arguments) {
  using namespace ramie;
  const host::Row& row = host::row_of(number);
  core::Fiber* fiber = core::current();
  if (fiber != nullptr && fiber->host != nullptr && row.is_ours) [[likely]] {
    auto& thread = *static_cast<host::Thread*>(fiber->host);
    if ((row.family & host::families_off_for(&thread)) == 0 && !thread.lends_memory) [[likely]] {
      return host::run(row, *fiber, &thread, arguments);
    }
  }
  return host::call_inside_libc(number, arguments);
}
