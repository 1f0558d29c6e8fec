#include "interpose/host/futex.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/deadline.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "event/io_uring_ops.h"
#include "event/offload.h"
#include "interpose/host/futex_call.h"
#include "interpose/host/futex_pi.h"
#include "interpose/host/native_threads.h"
#include "interpose/host/stack_map.h"
#include "sync/parking_lot.h"

namespace ramie::host {
namespace {

using Call = FutexCall;

// Who waits in the kernel writes it and then reads the word; who wakes has written the word before,
// and reads this after the bucket's lock, which is a locked instruction wherever there is a second
// kernel thread.
constinit std::atomic<bool> private_waits_in_kernel = false;

long to_kernel(const Call& call) {
  return sys::call(SYS_futex, call.raw[0], call.raw[1], call.raw[2], call.raw[3], call.raw[4],
                   call.raw[5]);
}

// What the kernel has waiters for beside the parking lot, which had too few: how many it found.
long also_in_kernel(const Call& call, long operation, long value, long value2 = 0) {
  if ((value <= 0 && value2 <= 0) || !private_waits_in_kernel.load(std::memory_order_seq_cst)) {
    return 0;
  }
  long found = sys::call(SYS_futex, call.raw[0], operation | FUTEX_PRIVATE_FLAG, value, value2,
                         call.raw[4], call.raw[5]);
  return std::max(found, 0L);
}

// Whether whoever waits on the first word by futex(2) does so in the parking lot.
bool in_lot(const Call& call) {
  return call.is_private() || (is_thread_memory(reinterpret_cast<uintptr_t>(call.word)) &&
                               !is_native_id(call.word));  // there the kernel wakes who joins
}

// And by any other call.
bool are_all_in_lot(const Call& call) {
  return in_lot(call) && !private_waits_in_kernel.load(std::memory_order_seq_cst);
}

// The kernel's waker wakes one before it counts.
unsigned wake_count(uint32_t value) {
  return static_cast<unsigned>(std::max(static_cast<int>(value), 1));
}

long wait(const Call& call, uint32_t bits) {
  base::Deadline deadline;
  if (long error = deadline_of(call, deadline); error != 0) {
    return error;
  }
  if (bits == 0) {
    return -EINVAL;
  }
  if (long error = check(call.word); error != 0) {
    return error;
  }
  bool on_fiber = core::current() != nullptr;
  if (!in_lot(call)) {
    if (!on_fiber) {
      return to_kernel(call);
    }
    return wait_in_kernel(call, bits, deadline);
  }
  sync::ParkResult result = sync::park(call.word, {.deadline = deadline, .bits = bits},
                                       [&] { return load(call.word) == call.value; });
  switch (result.how) {
    case sync::Outcome::woken:
      return 0;
    case sync::Outcome::invalid:
      return -EAGAIN;
    case sync::Outcome::timed_out:
      return -ETIMEDOUT;
    case sync::Outcome::interrupted:
    case sync::Outcome::cancelled:  // never: no call of the public API
      break;
  }
  // On a kernel thread the kernel has run the handler, and has restarted what is to be restarted.
  return on_fiber && call.timeout == nullptr ? sys::kRestart : -EINTR;
}

long wake(const Call& call, uint32_t bits) {
  if (bits == 0) {
    return -EINVAL;
  }
  if (long error = check(call.word); error != 0) {
    return error;
  }
  unsigned wanted = wake_count(call.value);
  unsigned woken = sync::unpark(call.word, wanted, bits);
  if (woken >= wanted || are_all_in_lot(call)) {
    return static_cast<long>(woken);
  }
  long more = sys::call(SYS_futex, call.raw[0], call.raw[1], wanted - woken, 0, 0, call.raw[5]);
  return sys::failed(more) ? more : more + static_cast<long>(woken);
}

long requeue(const Call& call) {
  int wake = static_cast<int>(call.value);
  int move = call.value2;
  if (wake < 0 || move < 0) {
    return -EINVAL;
  }
  if (long error = std::min(check(call.word), check(call.word2)); error != 0) {
    return error;
  }
  bool compares = call.command() == FUTEX_CMP_REQUEUE;
  sync::RequeueResult result =
      sync::requeue(call.word, call.word2, static_cast<unsigned>(wake), static_cast<unsigned>(move),
                    [&] { return !compares || load(call.word) == call.value3; });
  if (!result.valid) {
    return -EAGAIN;
  }
  // Compares once more, so that nobody is moved who has begun to wait for another value.
  long more = also_in_kernel(call, call.command(), wake - static_cast<long>(result.woken),
                             move - static_cast<long>(result.requeued));
  return static_cast<long>(result.woken + result.requeued) + more;
}

// The part of WAKE_OP that changes the second word.  Its encoding: man 2 futex, FUTEX_OP.
struct WordOperation {
  explicit WordOperation(uint32_t encoded)
      : operation(encoded >> 28 & 7),
        comparison(encoded >> 24 & 15),
        argument(static_cast<int32_t>(encoded << 8) >> 20),
        compared(static_cast<int32_t>(encoded << 20) >> 20) {
    if ((encoded >> 28 & FUTEX_OP_OPARG_SHIFT) != 0) {
      argument = static_cast<int32_t>(1U << (argument & 31));
    }
  }

  [[nodiscard]] bool known() const {
    return operation <= FUTEX_OP_XOR && comparison <= FUTEX_OP_CMP_GE;
  }

  uint32_t apply(std::atomic_ref<uint32_t> word) const {
    auto operand = static_cast<uint32_t>(argument);
    switch (operation) {
      case FUTEX_OP_SET:
        return word.exchange(operand);
      case FUTEX_OP_ADD:
        return word.fetch_add(operand);
      case FUTEX_OP_OR:
        return word.fetch_or(operand);
      case FUTEX_OP_ANDN:
        return word.fetch_and(~operand);
      default:
        return word.fetch_xor(operand);
    }
  }

  [[nodiscard]] bool holds(uint32_t before) const {
    auto seen = static_cast<int32_t>(before);
    switch (comparison) {
      case FUTEX_OP_CMP_EQ:
        return seen == compared;
      case FUTEX_OP_CMP_NE:
        return seen != compared;
      case FUTEX_OP_CMP_LT:
        return seen < compared;
      case FUTEX_OP_CMP_LE:
        return seen <= compared;
      case FUTEX_OP_CMP_GT:
        return seen > compared;
      default:
        return seen >= compared;
    }
  }

  uint32_t operation;
  uint32_t comparison;
  int32_t argument;
  int32_t compared;
};

long wake_op(const Call& call) {
  WordOperation operation(call.value3);
  if (!operation.known()) {
    return -ENOSYS;
  }
  if (long error = std::min(check(call.word), check(call.word2)); error != 0) {
    return error;
  }
  long first = wake_count(call.value);
  long second = wake_count(static_cast<uint32_t>(call.value2));
  bool holds = false;
  sync::PairResult woken = sync::unpark_two(
      call.word, static_cast<unsigned>(first), call.word2, static_cast<unsigned>(second), [&] {
        holds = operation.holds(operation.apply(std::atomic_ref<uint32_t>(*call.word2)));
        return holds;
      });
  const long of_second[6] = {call.raw[4]};
  long more = also_in_kernel(call, FUTEX_WAKE, first - static_cast<long>(woken.first));
  if (holds) {
    more += also_in_kernel(Call{of_second}, FUTEX_WAKE, second - static_cast<long>(woken.second));
  }
  return static_cast<long>(woken.first + woken.second) + more;
}

void warn_once(int command) {
  static constinit std::atomic<bool> said = false;
  base::log_once(said, base::LogLevel::warn, "futex operation ", command,
                 " waits in the kernel and blocks its carrier");
}

}  // namespace

long futex(const long* a) {
  Call call{a};
  int command = call.command();
  if (call.is_realtime() && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2) {
    return to_kernel(call);  // -ENOSYS
  }
  switch (command) {
    case FUTEX_WAIT:
      return wait(call, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
      return wait(call, call.value3);
    case FUTEX_WAKE:
      return wake(call, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return wake(call, call.value3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      return call.is_private() ? requeue(call) : to_kernel(call);
    case FUTEX_WAKE_OP:
      return call.is_private() ? wake_op(call) : to_kernel(call);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      return lock_pi(call);
    case FUTEX_TRYLOCK_PI:
      return try_lock_pi(call);
    case FUTEX_UNLOCK_PI:
      return unlock_pi(call);
    case FUTEX_WAIT_REQUEUE_PI:
      warn_once(command);
      return to_kernel(call);
    default:
      return to_kernel(call);
  }
}

long wait_in_kernel(const FutexCall& call, uint32_t bits, base::Deadline deadline) {
  long result = event::uring_wait_futex(call.word, call.value, bits, deadline);
  if (result == -ENOSYS) {
    result = event::offload_interruptibly(SYS_futex, call.raw);
  }
  return result == -EINTR && call.timeout == nullptr ? sys::kRestart : result;
}

void wake_in_kernel_too() { private_waits_in_kernel.store(true, std::memory_order_seq_cst); }

void wake_address(void* address, int count) {
  unsigned woken = sync::unpark(address, static_cast<unsigned>(count));
  // Elsewhere than in stacks somebody may wait for it in the kernel.  The memory may be gone by
  // now: the kernel answers EFAULT then.
  if (!is_stack_memory(reinterpret_cast<uintptr_t>(address)) &&
      woken < static_cast<unsigned>(count)) {
    (void)sys::call(SYS_futex, sys::arg(address), FUTEX_WAKE, count);
  }
}

}  // namespace ramie::host
