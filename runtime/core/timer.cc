#include "core/timer.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "base/sys.h"

namespace ramie::core {
namespace {

constexpr uint32_t kArity = 4;
constexpr uint32_t kFirstMapped = 4096;

}  // namespace

void TimerHeap::set(Timer& timer, Ticket ticket, base::Deadline deadline) {
  base::LockGuard guard(lock_);
  if (size_ == capacity_) {
    RAMIE_CHECK(grow());
  }
  timer.heap = this;
  timer.ticket = ticket;
  sift_up(size_++, {deadline.nanos, &timer});
}

bool TimerHeap::grow() {
  if (entries_ == nullptr) {
    entries_ = first_;
    capacity_ = kFirst;
    return true;
  }
  bool is_first = entries_ == first_;
  uint32_t capacity = is_first ? kFirstMapped : 2 * capacity_;
  auto size = static_cast<long>(capacity * sizeof(Entry));
  long memory = is_first
                    ? sys::call(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                    : sys::call(SYS_mremap, sys::arg(entries_),
                                static_cast<long>(capacity_ * sizeof(Entry)), size, MREMAP_MAYMOVE);
  if (sys::failed(memory)) {
    return false;
  }
  auto* entries = reinterpret_cast<Entry*>(memory);
  if (is_first) {
    std::copy_n(first_, size_, entries);
  }
  entries_ = entries;
  capacity_ = capacity;
  return true;
}

void TimerHeap::cancel(Timer& timer) {
  if (timer.heap == nullptr) {
    return;
  }
  TimerHeap& heap = *timer.heap;
  base::LockGuard guard(heap.lock_);
  if (timer.index != Timer::kNowhere) {
    heap.remove(timer.index);
  }
}

base::Deadline TimerHeap::next() {
  base::LockGuard guard(lock_);
  return size_ == 0 ? base::Deadline::never() : base::Deadline::at(entries_[0].at);
}

uint32_t TimerHeap::size() {
  base::LockGuard guard(lock_);
  return size_;
}

bool TimerHeap::take_due(int64_t now, Ticket& ticket) {
  base::LockGuard guard(lock_);
  if (size_ == 0 || entries_[0].at > now) {
    return false;
  }
  ticket = entries_[0].timer->ticket;
  remove(0);
  return true;
}

void TimerHeap::reset() {
  lock_.reset();
  base::LockGuard guard(lock_);
  for (uint32_t i = 0; i < size_; ++i) {
    entries_[i].timer->index = Timer::kNowhere;
  }
  size_ = 0;
}

void TimerHeap::place(uint32_t index, Entry entry) {
  entries_[index] = entry;
  entry.timer->index = index;
}

void TimerHeap::sift_up(uint32_t index, Entry entry) {
  while (index > 0) {
    uint32_t parent = (index - 1) / kArity;
    if (entries_[parent].at <= entry.at) {
      break;
    }
    place(index, entries_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(uint32_t index, Entry entry) {
  for (;;) {
    uint32_t first = index * kArity + 1;
    if (first >= size_) {
      break;
    }
    uint32_t least = first;
    for (uint32_t child = first + 1; child < std::min(first + kArity, size_); ++child) {
      if (entries_[child].at < entries_[least].at) {
        least = child;
      }
    }
    if (entries_[least].at >= entry.at) {
      break;
    }
    place(index, entries_[least]);
    index = least;
  }
  place(index, entry);
}

void TimerHeap::remove(uint32_t index) {
  entries_[index].timer->index = Timer::kNowhere;
  Entry last = entries_[--size_];
  if (index == size_) {
    return;
  }
  // The last element fills the gap; it may belong above or below it.
  if (index > 0 && last.at < entries_[(index - 1) / kArity].at) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

}  // namespace ramie::core
