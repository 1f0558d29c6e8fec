#include "event/descriptor_table.h"

#include <sys/epoll.h>
#include <sys/mman.h>

#include <atomic>

#include "base/backoff.h"
#include "base/sys.h"
#include "core/park.h"
#include "event/kept_files.h"
#include "event/poller.h"
#include "event/reactor.h"
#include "event/section.h"

namespace ramie::event {
namespace {

using base::Lock;
using base::LockGuard;
using core::Ticket;
using core::Wake;

constexpr int kMaxDescriptors = 1 << 20;  // the default of fs.nr_open
constexpr uint32_t kTrouble = EPOLLERR | EPOLLHUP;
constexpr uint32_t kMixed = kTrouble | EPOLLRDHUP | EPOLLPRI;

// One lazily touched reservation, indexed by descriptor; mapped at the first wait.
constinit Lock mapping;
constinit std::atomic<Descriptor*> table = nullptr;
// Every descriptor of which something is known is below.
constinit std::atomic<int> known_end = 0;

// Wakes the waiters that `events` concern.  Returns the events that woke nobody.
//
// A waiter that is off the list owns its node again as soon as it is unparked, so the node isn't
// touched afterwards.  One whose park had ended already doesn't count: it won't look at the event.
uint32_t wake_waiters(Descriptor& descriptor, uint32_t events, Wake why)
    RAMIE_REQUIRES(descriptor.lock) {
  uint32_t unclaimed = events;
  for (DescriptorWaiter* waiter = descriptor.waiters.front(); waiter != nullptr;) {
    DescriptorWaiter* next = descriptor.waiters.next(waiter);
    uint32_t wanted = waiter->interest == kOnlyClose ? kOnlyClose : waiter->interest | kTrouble;
    if ((events & wanted) != 0) {
      Ticket ticket = waiter->ticket;
      descriptor.waiters.remove(waiter);
      if (core::unpark(ticket, why)) {
        unclaimed &= ~wanted;
      }
    }
    waiter = next;
  }
  return unclaimed;
}

// Counts an event, before anybody is woken by it or finds it, and writes what it tells.  A reader
// may change the word meanwhile, and loses.
void set_input(Descriptor& descriptor, Input input) RAMIE_REQUIRES(descriptor.lock) {
  uint32_t word = descriptor.input.load(std::memory_order_relaxed);
  // Release pairs with InputGlance().
  descriptor.input.store(with_input(word + kOneInputEvent, input), std::memory_order_release);
}

void note_input(Descriptor& descriptor, uint32_t events) RAMIE_REQUIRES(descriptor.lock) {
  Input before = input_of(descriptor.input.load(std::memory_order_relaxed));
  if ((events & kMixed) != 0) {
    set_input(descriptor, Input::mixed);
  } else if ((events & EPOLLIN) != 0 && before != Input::mixed) {
    set_input(descriptor, before == Input::unknown ? Input::unknown : Input::trusted);
  }
}

void on_event(int fd, uint32_t generation, uint32_t events) {
  Descriptor& descriptor = table.load(std::memory_order_relaxed)[fd];
  LockGuard guard(descriptor.lock);
  if (descriptor.registered && descriptor.generation == generation) {
    note_input(descriptor, events);
    descriptor.ready |= wake_waiters(descriptor, events, Wake::unparked);
  }
}

// A ring's entry has been written that the kernel is yet to take: it would find the descriptor's
// next file.  Acquire: where the kernel has taken it, it has looked up the file.
bool is_being_submitted(const DescriptorWaiter& waiter) {
  if (waiter.taken == nullptr) {
    return false;
  }
  unsigned left = waiter.taken_after - __atomic_load_n(waiter.taken, __ATOMIC_ACQUIRE);
  return left - 1 < kMostEntries;  // else it is one of long ago
}

bool is_being_submitted(const Descriptor& descriptor) RAMIE_REQUIRES(descriptor.lock) {
  for (DescriptorWaiter* waiter = descriptor.waiters.front(); waiter != nullptr;
       waiter = descriptor.waiters.next(waiter)) {
    if (is_being_submitted(*waiter)) {
      return true;
    }
  }
  return false;
}

// Submitting is one call, which the carrier makes right after it has written the entries: who
// closes a descriptor on another one waits for that.  Without the lock, which the carrier may want.
void let_submissions_pass(Descriptor& descriptor) RAMIE_REQUIRES(descriptor.lock) {
  base::Backoff backoff;
  while (is_being_submitted(descriptor)) {
    descriptor.lock.unlock();
    backoff.wait();
    descriptor.lock.lock();
  }
}

// Those that use it now use the file alone, by another number if it is kept for them.
void note_closing(Descriptor& descriptor, int fd, bool keeps) RAMIE_REQUIRES(descriptor.lock) {
  uint64_t before = descriptor.uses.load(std::memory_order_relaxed);
  while (!descriptor.uses.compare_exchange_weak(before, (before & ~(kOneClosing - 1)) + kOneClosing,
                                                std::memory_order_relaxed)) {
  }
  if (keeps && count_of(before) != 0) {
    keep_file(fd, closings_of(before), count_of(before));
  }
}

void forget_all_of(int fd, Wake why, bool keeps = false) {
  Descriptor* descriptor = descriptor_of(fd);
  if (descriptor == nullptr || fd >= known_end.load(std::memory_order_relaxed)) {
    return;
  }
  Section section;
  LockGuard guard(descriptor->lock);
  // Also where no registration succeeded after something was learned.
  set_input(*descriptor, Input::unknown);
  descriptor->holds_more.store(false, std::memory_order_relaxed);
  if (why == Wake::closed) {
    note_closing(*descriptor, fd, keeps);
  }
  let_submissions_pass(*descriptor);
  if (descriptor->registered) {
    descriptor->registered = false;
    descriptor->ready = 0;
    descriptor->shared = false;
    descriptor->reader = descriptor->writer = nullptr;
    // Under the lock, for epoll knows nothing of generations: who registers anew comes afterwards.
    unwatch(fd);
    ++descriptor->generation;
  }
  (void)wake_waiters(*descriptor, ~0U, why);
}

void forget_all_of_range(unsigned first, unsigned last, Wake why, bool keeps = false) {
  auto end = static_cast<unsigned>(known_end.load(std::memory_order_relaxed));
  for (unsigned fd = first; fd < end && fd <= last; ++fd) {
    forget_all_of(static_cast<int>(fd), why, keeps);
  }
}

int map_table() {
  LockGuard guard(mapping);
  if (table.load(std::memory_order_relaxed) != nullptr) {
    return 0;
  }
  long memory = sys::call(SYS_mmap, 0, sizeof(Descriptor) * kMaxDescriptors, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(memory)) {
    return static_cast<int>(memory);
  }
  set_descriptor_handler(on_event);
  table.store(reinterpret_cast<Descriptor*>(memory),
              std::memory_order_release);  // with start_descriptors()
  return 0;
}

}  // namespace

int start_descriptors() {
  if (table.load(std::memory_order_acquire) == nullptr) [[unlikely]] {
    if (int result = map_table(); result < 0) {
      return result;
    }
  }
  return start_poller();
}

Descriptor* descriptor_of(int fd) {
  Descriptor* all = table.load(std::memory_order_acquire);
  return all == nullptr || fd < 0 || fd >= kMaxDescriptors ? nullptr : &all[fd];
}

long ensure_registered(Descriptor& descriptor, int fd) RAMIE_REQUIRES(descriptor.lock) {
  if (descriptor.registered) {
    return 0;
  }
  note_known(fd);
  if (long result = watch(fd, descriptor.generation); sys::failed(result)) {
    return result;
  }
  descriptor.registered = true;
  return 0;
}

// Before the kernel is asked: who has closed the file of which the kernel spoke sees it.
void note_known(int fd) {
  int end = known_end.load(std::memory_order_relaxed);
  while (end <= fd && !known_end.compare_exchange_weak(end, fd + 1, std::memory_order_relaxed)) {
  }
}

bool take_ready(Descriptor& descriptor, uint32_t interest) RAMIE_REQUIRES(descriptor.lock) {
  uint32_t wanted = interest | kTrouble;
  bool is_ready = (descriptor.ready & wanted) != 0;
  descriptor.ready &= ~wanted;
  return is_ready;
}

bool note_user(Descriptor& descriptor, const DescriptorWaiter& waiter)
    RAMIE_REQUIRES(descriptor.lock) {
  auto note = [&](const core::Fiber*& user) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
    descriptor.shared |= user != nullptr && user != waiter.ticket.fiber;
    user = waiter.ticket.fiber;
  };
  if ((waiter.interest & EPOLLOUT) != 0) {
    note(descriptor.writer);
  }
  if ((waiter.interest & ~static_cast<uint32_t>(EPOLLOUT)) != 0) {
    note(descriptor.reader);
  }
  return descriptor.shared;
}

void take_off(Descriptor& descriptor, DescriptorWaiter& waiter) {
  LockGuard guard(descriptor.lock);
  if (waiter.linked()) {
    descriptor.waiters.remove(&waiter);
  }
}

void forget(int fd) { forget_all_of(fd, Wake::closed); }

void forget_again(int fd) { forget_all_of(fd, Wake::unparked); }

void forget_but_keep(int fd) { forget_all_of(fd, Wake::closed, true); }

void forget_range(unsigned first, unsigned last) {
  forget_all_of_range(first, last, Wake::closed, true);
}

void forget_range_again(unsigned first, unsigned last) {
  forget_all_of_range(first, last, Wake::unparked);
}

void reset_reactor() {
  mapping.reset();
  Descriptor* all = table.exchange(nullptr, std::memory_order_relaxed);
  if (all != nullptr) {
    (void)sys::call(SYS_munmap, sys::arg(all), sizeof(Descriptor) * kMaxDescriptors);
  }
  known_end.store(0, std::memory_order_relaxed);
  reset_kept_files();
}

}  // namespace ramie::event
