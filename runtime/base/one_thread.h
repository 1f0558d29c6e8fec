// Whether the process has one kernel thread.  Then nobody has to be kept out, and a load and a
// store do what otherwise takes a locked instruction, which costs as much as ten others.
//
// Only where a signal handler can't come in between, or finds things as it may find them anyway.
#pragma once

#include <sys/single_threaded.h>

#include <atomic>

namespace ramie::base {

// Kernel threads that Ramie starts without libc: set before the first one is there.
inline constinit std::atomic<bool> has_own_threads = false;

// What one thread writes before it starts another one, that one sees: so nothing is to be ordered
// when the answer changes.  It changes inside of the calling thread's own calls alone, never while
// it is between two instructions of ours.
[[nodiscard]] inline bool has_one_thread() {
  return __libc_single_threaded != 0 && !has_own_threads.load(std::memory_order_relaxed);
}

// As the methods of the same names.
template <class T>
[[nodiscard]] inline bool compare_exchange(std::atomic<T>& word, T& expected, T value,
                                           std::memory_order success, std::memory_order failure) {
  if (!has_one_thread()) {
    return word.compare_exchange_strong(expected, value, success, failure);
  }
  T seen = word.load(std::memory_order_relaxed);
  if (seen != expected) {
    expected = seen;
    return false;
  }
  word.store(value, std::memory_order_relaxed);
  return true;
}

template <class T>
inline T fetch_add(std::atomic<T>& word, T value, std::memory_order order) {
  if (!has_one_thread()) {
    return word.fetch_add(value, order);
  }
  T before = word.load(std::memory_order_relaxed);
  word.store(before + value, std::memory_order_relaxed);
  return before;
}

template <class T>
inline T fetch_or(std::atomic<T>& word, T bits, std::memory_order order) {
  if (!has_one_thread()) {
    return word.fetch_or(bits, order);
  }
  T before = word.load(std::memory_order_relaxed);
  word.store(before | bits, std::memory_order_relaxed);
  return before;
}

}  // namespace ramie::base
