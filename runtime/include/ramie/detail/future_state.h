// What a promise and its futures share.  Not part of the interface.
//
// | status   | means                                                              |
// |----------|--------------------------------------------------------------------|
// | empty    | nothing is there, nobody brings it                                 |
// | claimed  | somebody is writing the value; he is the only one who may          |
// | ready    | the value or the exception is there, and never changes             |
// | + parked | somebody may be parked on the status (only before `ready`)         |
#pragma once

#include <ramie/detail/inner_mutex.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <future>  // std::future_error
#include <memory>
#include <mutex>  // std::lock_guard
#include <optional>
#include <type_traits>
#include <utility>

namespace ramie::detail {

// What is stored for an R: nothing can be stored for void, and a reference as a pointer.
struct nothing {};
template <class R>
using stored =
    std::conditional_t<std::is_void_v<R>, nothing,
                       std::conditional_t<std::is_reference_v<R>, std::remove_reference_t<R>*, R>>;

template <class R, class Value>
stored<R> hold(Value&& value) {
  if constexpr (std::is_reference_v<R>) {
    return std::addressof(value);
  } else {
    return static_cast<R>(std::forward<Value>(value));
  }
}

class future_state_base {
 public:
  future_state_base() = default;
  future_state_base(const future_state_base&) = delete;
  future_state_base& operator=(const future_state_base&) = delete;
  ~future_state_base() {
    while (callbacks_ != nullptr) {
      callbacks_ = std::move(callbacks_->next);
    }
  }

  [[nodiscard]] bool is_ready() const noexcept {
    return status_.load(std::memory_order_acquire) == ready;  // pairs with publish()
  }

  // False if the deadline passed first.
  bool wait(std::int64_t deadline) {
    for (;;) {
      std::uint32_t seen = status_.load(std::memory_order_acquire);
      if (seen == ready) {
        return true;
      }
      if ((seen & is_parked) == 0 &&
          !status_.compare_exchange_weak(seen, seen | is_parked, std::memory_order_relaxed)) {
        continue;
      }
      if (!wait_on(status_, seen | is_parked, deadline)) {
        return is_ready();
      }
    }
  }

  template <class F>
  void when_ready(F f) {
    if (!is_ready()) {
      auto added = std::make_unique<callback_of<F>>(std::move(f));
      std::unique_lock guard(lock_);
      if (!is_ready()) {
        added->next = std::move(callbacks_);
        callbacks_ = std::move(added);
        return;
      }
      guard.unlock();
      added->call();
      return;
    }
    f();
  }

  void mark_retrieved() {
    if (retrieved_.exchange(true, std::memory_order_relaxed)) {
      throw std::future_error(std::future_errc::future_already_retrieved);
    }
  }

  void fail(std::exception_ptr exception) {
    claim();
    exception_ = std::move(exception);
    publish();
  }

  // The promise goes.
  void abandon() noexcept {
    if (try_claim()) {
      try {
        throw std::future_error(std::future_errc::broken_promise);
      } catch (...) {
        exception_ = std::current_exception();
      }
      publish();
    }
  }

 protected:
  void claim() {
    if (!try_claim()) {
      throw std::future_error(std::future_errc::promise_already_satisfied);
    }
  }
  // Storing the value failed: as if nobody had tried.  Release pairs with try_claim() by the next.
  void unclaim() noexcept { status_.fetch_and(~is_claimed, std::memory_order_release); }

  void publish() noexcept {
    std::unique_ptr<callback> called;
    {
      // Whoever adds a callback either sees `ready`, or has added it before.
      std::lock_guard guard(lock_);
      called = std::move(callbacks_);
      // Release pairs with is_ready() and wait().
      if ((status_.exchange(ready, std::memory_order_release) & is_parked) != 0) {
        unpark_on(&status_, everybody);
      }
    }
    called = reversed(std::move(called));
    while (called != nullptr) {
      called->call();
      called = std::move(called->next);
    }
  }

  void rethrow() const {
    if (exception_ != nullptr) {
      std::rethrow_exception(exception_);
    }
  }

 private:
  static constexpr std::uint32_t is_claimed = 1;
  static constexpr std::uint32_t ready = 2;
  static constexpr std::uint32_t is_parked = 4;

  struct callback {
    virtual ~callback() = default;
    virtual void call() noexcept = 0;
    std::unique_ptr<callback> next;
  };
  template <class F>
  struct callback_of final : callback {
    explicit callback_of(F from) : f(std::move(from)) {}
    void call() noexcept override { f(); }
    F f;
  };

  // In the order in which they were added.
  static std::unique_ptr<callback> reversed(std::unique_ptr<callback> list) noexcept {
    std::unique_ptr<callback> result;
    while (list != nullptr) {
      std::unique_ptr<callback> next = std::move(list->next);
      list->next = std::move(result);
      result = std::move(list);
      list = std::move(next);
    }
    return result;
  }

  bool try_claim() noexcept {
    std::uint32_t seen = status_.load(std::memory_order_relaxed);
    do {
      if ((seen & (is_claimed | ready)) != 0) {
        return false;
      }
      // Acquire pairs with unclaim().
    } while (!status_.compare_exchange_weak(seen, seen | is_claimed, std::memory_order_acquire,
                                            std::memory_order_relaxed));
    return true;
  }

  word status_ = 0;
  std::atomic<bool> retrieved_ = false;
  inner_mutex lock_;
  std::unique_ptr<callback> callbacks_;  // the last first; guarded by lock_
  std::exception_ptr exception_;         // written by who claimed, before `ready`
};

template <class R>
class future_state : public future_state_base {
 public:
  template <class Make>
  void store(Make make) {
    claim();
    try {
      value_.emplace(make());
    } catch (...) {
      unclaim();
      throw;
    }
    publish();
  }

  // For the only one who takes it.
  R take() {
    rethrow();
    if constexpr (std::is_reference_v<R>) {
      return static_cast<R>(**value_);
    } else if constexpr (!std::is_void_v<R>) {
      return *std::move(value_);
    }
  }

  // For everybody.
  decltype(auto) look() const {
    rethrow();
    if constexpr (std::is_reference_v<R>) {
      return static_cast<R>(**value_);
    } else if constexpr (!std::is_void_v<R>) {
      return static_cast<const R&>(*value_);
    }
  }

 private:
  std::optional<stored<R>> value_;
};

// Puts what the call returns or throws into the promise.  Throws if there is something already.
template <class R, template <class> class Promise, class Call>
void fulfil(Promise<R>& promise, Call call) {
  try {
    if constexpr (std::is_void_v<R>) {
      call();
      promise.set_value();
    } else {
      promise.set_value(call());
    }
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
}

}  // namespace ramie::detail
