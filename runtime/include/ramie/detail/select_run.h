// How select() waits, whatever its cases are.  Not part of the interface.
//
// 1. With the locks of all channels held, in the order of their addresses: does one of the cases
//    that are possible now, chosen by chance.
// 2. If there is none, puts a waiter into the list of each channel, unlocks, and waits for a
//    partner to choose one of them (channel_wait.h).
// 3. Takes the waiters out again.
//
// A descriptor's case has a fiber that waits for it, and is its partner.
#pragma once

#include <poll.h>
#include <ramie/detail/channel_wait.h>
#include <ramie/fiber.h>
#include <ramie/io.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

namespace ramie::detail {

class select_descriptor : public select_case {
 public:
  select_descriptor(int fd, io::events what) : fd_(fd), what_(what) {}

  void look() override {
    is_ready_ = false;
    short wanted = static_cast<short>(((what_ & io::readable) != 0 ? POLLIN : 0) |
                                      ((what_ & io::writable) != 0 ? POLLOUT : 0));
    pollfd one{fd_, wanted, 0};
    if (::poll(&one, 1, 0) > 0) {
      is_ready_ = true;
      if ((one.revents & POLLNVAL) != 0) {
        error_ = std::make_exception_ptr(
            std::system_error(EBADF, std::generic_category(), "ramie::select"));
      }
      constexpr int failed = POLLERR | POLLHUP;
      happened_ = static_cast<io::events>(
          what_ & (((one.revents & (POLLIN | failed)) != 0 ? io::readable : io::none) |
                   ((one.revents & (POLLOUT | failed)) != 0 ? io::writable : io::none)));
    }
  }
  bool try_now() override { return is_ready_; }

  void begin(channel_wait& operation, std::size_t index) override {
    partner_ = spawn({.stays = true}, [this, &operation, index] {
      io::events happened = io::none;
      std::exception_ptr error;
      try {
        happened = io::wait(fd_, what_);
      } catch (const std::system_error&) {
        error = std::current_exception();
      }  // any other one is the cancellation by end()
      if (operation.try_claim()) {
        happened_ = happened;
        error_ = std::move(error);
        operation.finish(index, true);
      }
    });
  }
  void end() noexcept override {
    if (partner_.joinable()) {
      this_fiber::cancellation_disabled quiet;
      partner_.cancel();
      partner_.join();
      partner_.detach();
    }
  }

 protected:
  io::events result() {
    if (error_ != nullptr) {
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
    return happened_;
  }

 private:
  int fd_;
  io::events what_;
  bool is_ready_ = false;
  io::events happened_ = io::none;
  std::exception_ptr error_;
  fiber<void> partner_;
};

// Chance needs no quality here, and no order between threads.
inline std::uint32_t select_chance() noexcept {
  static std::atomic<std::uint32_t> state = 1;
  std::uint32_t next = state.load(std::memory_order_relaxed) * 1664525U + 1013904223U;
  state.store(next, std::memory_order_relaxed);
  return next >> 16;
}

// An array that lies on the stack while it is small.
template <class T, std::size_t Few>
class small_array {
 public:
  explicit small_array(std::size_t size)
      : many_(size > Few ? new T[size] : nullptr), all_(many_ ? many_.get() : few_) {}
  T& operator[](std::size_t i) { return all_[i]; }
  T* data() { return all_; }

 private:
  T few_[Few] = {};
  std::unique_ptr<T[]> many_;
  T* all_;
};

// The locks of the cases, each once, in the order of their addresses.
class select_locks {
 public:
  select_locks(select_case* const* cases, std::size_t count) : locks_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (inner_mutex* one = cases[i]->lock()) {
        locks_[count_++] = one;
      }
    }
    std::sort(locks_.data(), locks_.data() + count_, std::less<>());
    count_ = static_cast<std::size_t>(std::unique(locks_.data(), locks_.data() + count_) -
                                      locks_.data());
  }
  void lock() noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      locks_[i]->lock();
    }
  }
  void unlock() noexcept {
    for (std::size_t i = count_; i > 0; --i) {
      locks_[i - 1]->unlock();
    }
  }

 private:
  small_array<inner_mutex*, 8> locks_;
  std::size_t count_ = 0;
};

// The cases' numbers in an order made by chance.
using select_order = small_array<std::size_t, 8>;
inline void shuffle(select_order& order, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t place = select_chance() % (i + 1);
    order[i] = order[place];
    order[place] = i;
  }
}

// With the locks held: the number of the case that was done, or `count`.
inline std::size_t try_cases(select_case* const* cases, select_order& order, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (cases[order[i]]->try_now()) {
      return order[i];
    }
  }
  return count;
}

// Nobody may find a waiter of an operation that is gone.
inline void end_cases(select_case* const* cases, std::size_t count, select_locks& locks) noexcept {
  locks.lock();
  for (std::size_t i = 0; i < count; ++i) {
    if (cases[i]->lock() != nullptr) {
      cases[i]->end();
    }
  }
  locks.unlock();
  for (std::size_t i = 0; i < count; ++i) {
    if (cases[i]->lock() == nullptr) {
      cases[i]->end();
    }
  }
}

inline std::size_t run_select(select_case* const* cases, std::size_t count) {
  std::size_t fallback = count;
  std::size_t timer = count;
  std::int64_t deadline = never;
  for (std::size_t i = 0; i < count; ++i) {
    cases[i]->look();
    if (cases[i]->is_default()) {
      fallback = i;
    }
    if (cases[i]->deadline() < deadline) {
      deadline = cases[i]->deadline();
      timer = i;
    }
  }
  select_order order(count);  // allocates, which must not fail under the locks
  shuffle(order, count);
  select_locks locks(cases, count);
  locks.lock();
  std::size_t chosen = try_cases(cases, order, count);
  if (chosen == count) {
    chosen = fallback;
  }
  if (chosen != count) {
    locks.unlock();
    cases[chosen]->fire(true);
    return chosen;
  }

  channel_wait operation;
  for (std::size_t i = 0; i < count; ++i) {
    if (cases[i]->lock() != nullptr) {
      cases[i]->begin(operation, i);
    }
  }
  locks.unlock();
  std::exception_ptr failed;
  try {
    for (std::size_t i = 0; i < count; ++i) {
      if (cases[i]->lock() == nullptr) {
        cases[i]->begin(operation, i);  // may throw: no memory for a fiber
      }
    }
  } catch (...) {
    failed = std::current_exception();
  }
  bool done = failed == nullptr && operation.wait(deadline);
  // If a partner was faster, its element is moved already, and the operation done once its case
  // has ended.
  bool has_given_up = !done && operation.try_claim();
  end_cases(cases, count, locks);  // once: the callback may destroy the channels
  if (has_given_up) {
    if (failed != nullptr) {
      std::rethrow_exception(failed);
    }
    (void)wait_done(false, timer == count ? never : deadline);
    chosen = timer;
    cases[chosen]->fire(true);
    return chosen;
  }
  chosen = operation.chosen;
  cases[chosen]->fire(operation.ok);
  return chosen;
}

}  // namespace ramie::detail
