#include "event/ring_calls.h"

#include <linux/io_uring.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/lock.h"
#include "core/carrier.h"
#include "core/interruptible.h"
#include "core/park.h"
#include "event/carrier_uring.h"
#include "event/descriptor_table.h"
#include "event/section.h"

namespace ramie::event {
namespace {

using base::Deadline;
using core::Carrier;
using core::Wake;

constexpr size_t kMost = 0x7fff'f000;  // MAX_RW_COUNT

core::WaitReason reason_of(const RingCall& call) {
  return {core::WaitKind::descriptor, static_cast<uint64_t>(call.fd)};
}

// The kernel may use the caller's memory as long as the call lives: nothing ends these parks early.
void end(Carrier& carrier, RingCall& call) {
  RingCall cancellation;
  call.ticket = core::prepare_park();
  cancel_call(carrier, call, cancellation);
  if (call.stage == RingCall::Stage::over) {
    core::abandon_park();
    return;
  }
  for (;;) {
    (void)core::park(reason_of(call), Deadline::never(), {});
    if (call.stage == RingCall::Stage::over) {
      return;
    }
    call.ticket = core::prepare_park();  // a signal has woken it
  }
}

long result_of(const RingCall& call, Wake wake) {
  if (call.result != -ECANCELED && call.result != -EINTR) {
    return call.result;
  }
  switch (wake) {
    case Wake::closed:
      return -EBADF;
    case Wake::cancelled:
      return -ECANCELED;
    default:
      return -EINTR;
  }
}

// On the fiber's carrier all the time, whose loop alone submits and completes: so nothing happens
// to the call between the steps but that another thread unparks it.
long make(RingCall& call) {
  WaitingSection section;
  Carrier& carrier = *core::current()->carrier;
  call.descriptor = descriptor_of(call.fd);
  if (call.descriptor == nullptr) {
    return call.fd < 0 ? -EBADF : -EAGAIN;
  }
  DescriptorWaiter waiter;
  waiter.interest = kOnlyClose;
  waiter.ticket = call.ticket = core::prepare_park();
  call.waiter = &waiter;
  note_known(call.fd);
  {
    base::LockGuard guard(call.descriptor->lock);
    call.descriptor->waiters.push_back(&waiter);
  }
  queue_call(carrier, call);
  Wake wake = core::park(reason_of(call), Deadline::never(), {});
  take_off(*call.descriptor, waiter);
  if (call.stage != RingCall::Stage::over) {
    end(carrier, call);
  }
  return result_of(call, wake);
}

}  // namespace

bool is_ring_there() {
  core::Fiber* self = core::current();
  if (self == nullptr || self->kind == core::FiberKind::hosted ||
      self->home.load(std::memory_order_relaxed) != self->carrier) {
    return false;
  }
  if (self->carrier->ring != nullptr) [[likely]] {
    return true;
  }
  core::RuntimeSection section(*self);
  return open_ring(*self->carrier);
}

long ring_receive(int fd, void* into, size_t size) {
  RingCall call;
  call.operation = IORING_OP_RECV;
  call.fd = fd;
  call.memory = reinterpret_cast<uint64_t>(into);
  call.size = static_cast<uint32_t>(std::min(size, kMost));
  Descriptor* descriptor = descriptor_of(fd);
  // A vain attempt is spared where the last one has taken all.
  if (size != 0 &&
      (descriptor == nullptr || !descriptor->holds_more.load(std::memory_order_relaxed))) {
    call.priority = IORING_RECVSEND_POLL_FIRST;
  }
  long result = make(call);
  if (descriptor != nullptr && result > 0) {
    bool more = (call.result_flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    if (more != descriptor->holds_more.load(std::memory_order_relaxed)) {
      descriptor->holds_more.store(more, std::memory_order_relaxed);
    }
  }
  return result;
}

long ring_send(int fd, const void* from, size_t size) {
  RingCall call;
  call.operation = IORING_OP_SEND;
  call.fd = fd;
  call.memory = reinterpret_cast<uint64_t>(from);
  call.size = static_cast<uint32_t>(std::min(size, kMost));
  call.flags = MSG_NOSIGNAL;
  return make(call);
}

}  // namespace ramie::event
