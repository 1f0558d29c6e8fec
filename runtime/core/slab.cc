#include "core/slab.h"

#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>

#include "base/check.h"
#include "base/config.h"
#include "base/log.h"
#include "base/sys.h"

namespace ramie::core {
namespace {

// linux/mman.h and linux/pidfd.h of the kernels that have them; Debian 12's headers are older.
constexpr int kMadvPopulateWrite = 23;     // Linux 5.14
constexpr int kMadvGuardInstall = 102;     // Linux 6.13
constexpr int kPidfdSelfProcess = -10001;  // Linux 6.14

constexpr size_t kMaxSlots = 1UL << 24;
// A chunk has half as many slots as there are already, within limits; and gets memory little by
// little. Programs with few threads have little that is not in use.
constexpr uint32_t kSmallestChunk = 16;
constexpr uint32_t kLargestChunk = 128;
constexpr uint32_t kPreparedAtOnce = 32;
constexpr uint32_t kLargestChunkOfSmall = 1024;
constexpr uint32_t kSmallPreparedAtOnce = 128;

enum class Guards : uint8_t { unknown, madvise, mprotect };
constinit std::atomic<Guards> guards = Guards::unknown;

constinit std::atomic<Slab*> all_slabs = nullptr;

void* map(size_t size, int protection) {
  long memory = sys::call(SYS_mmap, 0, static_cast<long>(size), protection,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return sys::failed(memory) ? nullptr : reinterpret_cast<void*>(memory);
}

// The same advice for `size` bytes at place(i), for each i below count: by one call for many where
// the kernel takes a vector, else one by one.  False if the kernel refuses it.
template <class Place>
bool advise_each(Place place, size_t size, uint32_t count, int advice) {
  constexpr uint32_t kAtOnce = 32;  // on the stack of whoever switches
  iovec ranges[kAtOnce];
  for (uint32_t begin = 0; begin < count; begin += kAtOnce) {
    uint32_t part = std::min(count - begin, kAtOnce);
    for (uint32_t i = 0; i < part; ++i) {
      ranges[i] = {place(begin + i), size};
    }
    long done =
        sys::call(SYS_process_madvise, kPidfdSelfProcess, sys::arg(ranges), part, advice, 0);
    for (uint32_t i = 0; done != static_cast<long>(size * part) && i < part; ++i) {
      if (sys::call(SYS_madvise, sys::arg(ranges[i].iov_base), static_cast<long>(size), advice) <
          0) {
        return false;
      }
    }
  }
  return true;
}

Guards decide_guards() {
  Guards decided = Guards::mprotect;
  if (base::config().guards != base::GuardChoice::mprotect) {
    void* page = map(Slab::kPage, PROT_READ | PROT_WRITE);
    if (page != nullptr) {
      if (sys::call(SYS_madvise, sys::arg(page), Slab::kPage, kMadvGuardInstall) == 0) {
        decided = Guards::madvise;
      }
      sys::call(SYS_munmap, sys::arg(page), Slab::kPage);
    }
    if (decided == Guards::mprotect && base::config().guards == base::GuardChoice::madvise) {
      base::log_line(base::LogLevel::warn,
                     "RAMIE_GUARDS=madvise needs Linux 6.13; guard pages are made by mprotect");
    }
  }
  guards.store(decided, std::memory_order_relaxed);
  return decided;
}

Guards current_guards() {
  Guards decided = guards.load(std::memory_order_relaxed);
  return decided == Guards::unknown ? decide_guards() : decided;
}

}  // namespace

const char* guard_kind() { return current_guards() == Guards::madvise ? "madvise" : "mprotect"; }

void Slab::configure(size_t stride, size_t guard, size_t populate) {
  bool is_small = stride < kPage && guard == 0 && populate == stride;
  RAMIE_CHECK(is_small || (stride % kPage == 0 && guard + populate <= stride));
  guard_ = guard;
  populate_ = populate;
  stride_.store(stride, std::memory_order_release);  // pairs with stride()
  if (is_small) {
    return;
  }
  next_ = all_slabs.load(std::memory_order_relaxed);
  while (!all_slabs.compare_exchange_weak(next_, this, std::memory_order_release,  // with first()
                                          std::memory_order_relaxed)) {
  }
}

Slab* Slab::first() { return all_slabs.load(std::memory_order_acquire); }

// The last `count` of the free ones have been taken.  If some of them have no memory, they get it,
// and with them those that will be taken next.
void Slab::take_from_free(uint32_t count) {
  size_t left = free_count_.load(std::memory_order_relaxed) - count;
  free_count_.store(left, std::memory_order_relaxed);
  least_free_ = std::min(least_free_, left);
  size_t clean = clean_count_.load(std::memory_order_relaxed);
  if (left >= clean) [[likely]] {
    return;
  }
  size_t from = left - std::min<size_t>(left, kLargestChunk - count);
  clean_count_.store(from, std::memory_order_relaxed);
  if (populate_ > 0) {
    auto first_page = [&](uint32_t i) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
      return free_[from + i] + stride() - populate_;
    };
    (void)advise_each(first_page, populate_, static_cast<uint32_t>(clean - from),
                      kMadvPopulateWrite);
  }
}

size_t Slab::count_unwanted() const {
  size_t clean = clean_count_.load(std::memory_order_relaxed);
  return least_free_ > clean ? least_free_ - clean : 0;
}

bool Slab::give_back_memory(uint32_t count) {
  size_t clean = clean_count_.load(std::memory_order_relaxed);
  clean_count_.store(clean + count, std::memory_order_relaxed);
  auto whole = [&](uint32_t i)
                   RAMIE_NO_THREAD_SAFETY_ANALYSIS { return free_[clean + i] + guard_; };
  return advise_each(whole, stride() - guard_, count, MADV_DONTNEED);
}

// The lock is let go after each batch: somebody may be waiting for a slot.
bool Slab::trim() {
  constexpr int kBatchesAtOnce = 4;
  for (int i = 0; i < kBatchesAtOnce; ++i) {
    base::LockGuard lock(lock_);
    size_t unwanted = count_unwanted();
    if (i == 0 && to_trim_ == 0 && unwanted > kReserve) {
      to_trim_ = (unwanted - kReserve + 1) / 2;
    }
    auto batch = static_cast<uint32_t>(std::min({to_trim_, unwanted, size_t{kLargestChunk}}));
    to_trim_ -= batch;
    if (batch == 0 || !give_back_memory(batch)) {
      to_trim_ = 0;
    }
    if (to_trim_ == 0) {
      least_free_ = free_count_.load(std::memory_order_relaxed);
      return false;
    }
  }
  return true;
}

char* Slab::allocate(bool& recycled) {
  base::LockGuard lock(lock_);
  if (size_t count = free_count_.load(std::memory_order_relaxed); count > 0) {
    recycled = true;
    take_from_free(1);
    return free_[count - 1];
  }
  if (fresh_left_ == 0 && !find_fresh()) {
    return nullptr;
  }
  recycled = false;
  const Chunk& chunk = chunks_[begun_ - 1];
  char* slot = chunk.base + (chunk.slots - fresh_left_) * stride();
  if (fresh_left_ <= unprepared_) {
    uint32_t batch =
        std::min(unprepared_, stride() < kPage ? kSmallPreparedAtOnce : kPreparedAtOnce);
    unprepared_ -= batch;
    guard_slots(slot, batch);
    populate_slots(slot, batch);
  }
  --fresh_left_;
  return slot;
}

// Begins with the next chunk.
bool Slab::find_fresh() {
  if (begun_ == chunk_count_.load(std::memory_order_relaxed) && !grow(0)) {
    return false;
  }
  fresh_left_ = unprepared_ = chunks_[begun_].slots;
  ++begun_;
  return true;
}

bool Slab::promise(uint32_t count) {
  base::LockGuard lock(lock_);
  while (slot_count_ < promised_ + count) {
    if (!grow(promised_ + count - slot_count_)) {
      return false;
    }
  }
  promised_ += count;
  return true;
}

void Slab::take_promise_back(uint32_t count) {
  base::LockGuard lock(lock_);
  promised_ -= count;
}

uint32_t Slab::allocate_recycled(char** slots, uint32_t count) {
  base::LockGuard lock(lock_);
  size_t free_slots = free_count_.load(std::memory_order_relaxed);
  count = static_cast<uint32_t>(std::min<size_t>(count, free_slots));
  take_from_free(count);
  std::copy_n(free_ + free_slots - count, count, slots);
  return count;
}

void Slab::free(char* const* slots, uint32_t count) {
  base::LockGuard lock(lock_);
  size_t before = free_count_.load(std::memory_order_relaxed);
  std::copy_n(slots, count, free_ + before);
  free_count_.store(before + count, std::memory_order_relaxed);
}

void Slab::reset_after_fork() {
  lock_.reset();
  free_count_.store(0, std::memory_order_relaxed);
  clean_count_.store(0, std::memory_order_relaxed);
  least_free_ = 0;
  to_trim_ = 0;
  fresh_left_ = 0;
  promised_ = slot_count_;  // all that there are remain the parent's fibers'
  // A chunk that was being added may have been counted before its entry was copied.  No more than
  // one: each needs a mapping, for which it waits until a fork is over.
  uint32_t count = chunk_count_.load(std::memory_order_relaxed);
  if (count > 0 &&
      (chunks_ == nullptr || chunks_[count - 1].base == nullptr || chunks_[count - 1].slots == 0)) {
    chunk_count_.store(--count, std::memory_order_relaxed);
  }
  begun_ = count;
}

bool Slab::grow(uint32_t wanted) {
  if (free_ == nullptr) {
    free_ = static_cast<char**>(map(kMaxSlots * sizeof(char*), PROT_READ | PROT_WRITE));
  }
  if (chunks_ == nullptr) {
    chunks_ = static_cast<Chunk*>(map(kMaxChunks * sizeof(Chunk), PROT_READ | PROT_WRITE));
  }
  if (free_ == nullptr || chunks_ == nullptr) {
    return false;
  }
  uint32_t count = chunk_count_.load(std::memory_order_relaxed);
  if (count == kMaxChunks) {
    return false;
  }
  bool is_small = stride() < kPage;
  uint32_t slots = std::clamp(std::max(slot_count_ / 2, wanted), kSmallestChunk,
                              is_small ? kLargestChunkOfSmall : kLargestChunk);
  if (slot_count_ + slots > kMaxSlots) {
    return false;
  }
  char* base = static_cast<char*>(map(slots * stride(), PROT_READ | PROT_WRITE));
  if (base == nullptr) {
    return false;
  }
  // A huge page for the first touched byte of a stack would cost 2 MB a fiber.
  sys::call(SYS_madvise, sys::arg(base), static_cast<long>(slots * stride()), MADV_NOHUGEPAGE);
  chunks_[count] = {base, slots};
  slot_count_ += slots;
  chunk_count_.store(count + 1, std::memory_order_release);  // pairs with slot_of(), for_each()
  return true;
}

void Slab::guard_slots(char* base, uint32_t count) {
  if (guard_ == 0) {
    return;
  }
  if (current_guards() == Guards::madvise &&
      advise_each([&](uint32_t i) { return base + i * stride(); }, guard_, count,
                  kMadvGuardInstall)) {
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    long result = sys::call(SYS_mprotect, sys::arg(base + i * stride()), static_cast<long>(guard_),
                            PROT_NONE);
    if (result < 0) {
      static constinit std::atomic<bool> said = false;
      base::log_once(said, base::LogLevel::warn, "no guard page: mprotect failed with ", -result,
                     "; raise vm.max_map_count");
      return;
    }
  }
}

// Failure is harmless: the pages come by faults, more slowly.
void Slab::populate_slots(char* base, uint32_t count) {
  if (stride() < kPage) {
    uintptr_t begin = reinterpret_cast<uintptr_t>(base) & ~(kPage - 1);
    uintptr_t end = reinterpret_cast<uintptr_t>(base) + count * stride();
    (void)sys::call(SYS_madvise, static_cast<long>(begin), static_cast<long>(end - begin),
                    kMadvPopulateWrite);
  } else if (populate_ > 0) {
    (void)advise_each([&](uint32_t i) { return base + (i + 1) * stride() - populate_; }, populate_,
                      count, kMadvPopulateWrite);
  }
}

char* Slab::slot_of(uintptr_t address) const {
  uint32_t count = chunk_count_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    auto base = reinterpret_cast<uintptr_t>(chunks_[i].base);
    if (address >= base && address < base + chunks_[i].slots * stride()) {
      return chunks_[i].base + (address - base) / stride() * stride();
    }
  }
  return nullptr;
}

void Slab::for_each(void (*visit)(char*, void*), void* argument) const {
  uint32_t count = chunk_count_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t k = 0; k < chunks_[i].slots; ++k) {
      visit(chunks_[i].base + k * stride(), argument);
    }
  }
}

}  // namespace ramie::core
