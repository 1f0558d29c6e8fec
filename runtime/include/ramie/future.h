// Promises and futures between fibers, between threads, and between both: a value or an exception
// that comes later.  By the names, the rules and the errors (std::future_error) of the standard,
// with callbacks and limits beside.
//
//     ramie::promise<int> promise;
//     ramie::future<int> answer = promise.get_future();
//     ramie::spawn([&] { promise.set_value(42); }).detach();
//     std::printf("%d\n", answer.get());
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/detail/future_state.h>
#include <ramie/fiber.h>

#include <chrono>
#include <exception>
#include <functional>
#include <future>  // std::future_status, std::future_error
#include <memory>
#include <type_traits>
#include <utility>

namespace ramie {

template <class R>
class promise;
template <class R>
class shared_future;

// What both kinds of future have.  Every call but valid(), assignment and destruction throws
// std::future_error (no_state) on an empty one.  One future object is not for two threads at once.
template <class R>
class basic_future {
 public:
  // Whether there is something to wait for: until a get() of a future, a share() or a move.
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

  // Whether the value or the exception is there.
  [[nodiscard]] bool ready() const { return checked().is_ready(); }

  // Waits until it is.  Switches fibers if it isn't yet.
  void wait() const { (void)checked().wait(detail::never); }

  // The same with a limit.
  template <class Rep, class Period>
  std::future_status wait_for(const std::chrono::duration<Rep, Period>& duration) const {
    return status(checked().is_ready() || state_->wait(detail::deadline_after(duration)));
  }
  template <class Clock, class Duration>
  std::future_status wait_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return status(checked().is_ready() || state_->wait(detail::deadline_at(time)));
  }

  // Calls f() once the value or the exception is there: now if it is there already, else in the
  // flow that brings it, before that goes on.  f must not throw; it may outlive this object, and is
  // destroyed after its call.
  template <class F>
  void when_ready(F f) const {
    checked().when_ready(std::move(f));
  }

 protected:
  using state = detail::future_state<R>;

  basic_future() noexcept = default;
  explicit basic_future(std::shared_ptr<state> from) noexcept : state_(std::move(from)) {}

  [[nodiscard]] state& checked() const {
    if (state_ == nullptr) {
      throw std::future_error(std::future_errc::no_state);
    }
    return *state_;
  }

  std::shared_ptr<state> state_;

 private:
  static std::future_status status(bool ready) {
    return ready ? std::future_status::ready : std::future_status::timeout;
  }
};

// The one who gets the value.  Moves, doesn't copy.  Dropping it waits for nothing.
template <class R>
class [[nodiscard]] future : public basic_future<R> {
 public:
  future() noexcept = default;
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;
  future(const future&) = delete;
  future& operator=(const future&) = delete;

  // Waits, and returns the value or throws the exception.  The future is empty afterwards.
  R get() {
    (void)this->checked().wait(detail::never);
    auto last = std::move(this->state_);
    return last->take();
  }

  // Hands over to a future that may be copied; this one is empty afterwards.
  shared_future<R> share() noexcept { return shared_future<R>(std::move(*this)); }

 private:
  friend class promise<R>;
  friend class shared_future<R>;
  explicit future(std::shared_ptr<detail::future_state<R>> from) noexcept
      : basic_future<R>(std::move(from)) {}
};

// One of many who see the same value.  Copies; each copy is for one thread at once.
template <class R>
class shared_future : public basic_future<R> {
 public:
  shared_future() noexcept = default;
  // Implicit, as the standard's.
  shared_future(future<R>&& from) noexcept : basic_future<R>(std::move(from.state_)) {}

  // Waits, and returns the value (by reference, unless R is void) or throws the exception.  May be
  // repeated.
  decltype(auto) get() const {
    (void)this->checked().wait(detail::never);
    return this->state_->look();
  }
};

// The one who brings the value.  Dropping it without one brings std::future_error (broken_promise).
// Bringing the value never switches fibers, unless a callback does.
template <class R>
class promise {
 public:
  promise() : state_(std::make_shared<detail::future_state<R>>()) {}
  promise(promise&& other) noexcept = default;
  promise& operator=(promise&& other) noexcept {
    promise(std::move(other)).swap(*this);
    return *this;
  }
  ~promise() {
    if (state_ != nullptr) {
      state_->abandon();
    }
  }

  // Each gets what the other was.
  void swap(promise& other) noexcept { state_.swap(other.state_); }

  // Once; else std::future_error (future_already_retrieved).
  future<R> get_future() {
    checked()->mark_retrieved();
    return future<R>(state_);
  }

  // Each throws std::future_error (promise_already_satisfied) if there was one before, and what
  // copying throws, which leaves the promise as it was.
  template <class Value = R>
  requires(!std::is_void_v<R>) void set_value(Value&& value) {
    checked()->store([&] { return detail::hold<R>(std::forward<Value>(value)); });
  }
  void set_value() requires std::is_void_v<R> {
    checked()->store([] { return detail::nothing{}; });
  }
  void set_exception(std::exception_ptr exception) { checked()->fail(std::move(exception)); }

 private:
  // A reference of its own: whoever sees the value may destroy the promise before that is done.
  std::shared_ptr<detail::future_state<R>> checked() const {
    if (state_ == nullptr) {
      throw std::future_error(std::future_errc::no_state);
    }
    return state_;
  }

  std::shared_ptr<detail::future_state<R>> state_;
};

// A function whose result goes into a future.
template <class Signature>
class packaged_task;

// Moves, doesn't copy.  Its functions throw std::future_error as the standard's do.
template <class R, class... Args>
class packaged_task<R(Args...)> {
 public:
  packaged_task() noexcept = default;
  // With a function, which is copied or moved.
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, packaged_task>) explicit packaged_task(F&& f)
      : call_(std::make_unique<callable<std::decay_t<F>>>(std::forward<F>(f))), promise_() {}

  // Whether there is a function.
  [[nodiscard]] bool valid() const noexcept { return call_ != nullptr; }

  // Once; else std::future_error (future_already_retrieved).
  future<R> get_future() {
    check();
    return promise_.get_future();
  }

  // Calls the function, once; else std::future_error (promise_already_satisfied).
  void operator()(Args... args) {
    check();
    detail::fulfil(promise_, [&]() -> R { return call_->call(std::forward<Args>(args)...); });
  }

  // Forgets the result: the next call is for a new future.
  void reset() {
    check();
    promise_ = promise<R>();
  }

 private:
  struct callable_base {
    virtual ~callable_base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct callable final : callable_base {
    template <class From>
    explicit callable(From&& from) : f(std::forward<From>(from)) {}
    R call(Args... args) override { return std::invoke(f, std::forward<Args>(args)...); }
    F f;
  };

  void check() const {
    if (call_ == nullptr) {
      throw std::future_error(std::future_errc::no_state);
    }
  }

  std::unique_ptr<callable_base> call_;
  promise<R> promise_;
};

// Runs f(args...) as a fiber, whose result goes into the future.  Dropping the future waits for
// nothing, unlike std::async's.  Throws what spawn() throws.
template <class F, class... Args>
requires std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>
auto async(F&& f, Args&&... args) {
  using R = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;
  promise<R> result;
  future<R> coming = result.get_future();
  spawn(
      [result = std::move(result),
       f = std::decay_t<F>(std::forward<F>(f))](std::decay_t<Args>&&... values) mutable {
        detail::fulfil(result,
                       [&]() -> R { return std::invoke(std::move(f), std::move(values)...); });
      },
      std::forward<Args>(args)...)
      .detach();
  return coming;
}

// A future for a fiber's result.  Another fiber waits for it.
template <class R>
future<R> to_future(fiber<R> from) {
  return async([from = std::move(from)]() mutable -> R { return from.get(); });
}

}  // namespace ramie
