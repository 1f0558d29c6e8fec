// C++20 coroutines beside fibers: a task<T> awaits fibers, futures, times and channels, and a fiber
// (or thread) waits for a task.
//
//     ramie::task<int> twice(ramie::channel<int>& numbers) {
//       co_await ramie::after(10ms);
//       std::optional<int> number = co_await ramie::next_of(numbers);
//       co_return number.value_or(0) * 2;
//     }
//     int result = twice(numbers).get();
//
// A task begins when somebody awaits it or asks for its result, on his flow.  What it awaits is
// waited for by a fiber of that kernel thread, which then goes on with the task: so between two
// awaits a task may also call what waits.
#pragma once

#include <ramie/channel.h>
#include <ramie/detail/deadline.h>
#include <ramie/detail/future_state.h>
#include <ramie/fiber.h>
#include <ramie/future.h>
#include <ramie/sync.h>

#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace ramie {

template <class T = void>
class task;

namespace detail {

class task_promise_base {
 public:
  std::coroutine_handle<> continuation;  // who awaits the task
  event* done = nullptr;                 // or who waits for it

  std::suspend_always initial_suspend() noexcept { return {}; }
  auto final_suspend() noexcept {
    struct ending {
      std::coroutine_handle<> continuation;
      event* done;

      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
        if (continuation) {
          return continuation;
        }
        if (done != nullptr) {
          done->set();  // and nothing of the task is touched any more
        }
        return std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    return ending{continuation, done};
  }
};

template <class T>
class task_promise : public task_promise_base {
 public:
  future_state<T> state;

  ramie::task<T> get_return_object() noexcept;
  template <class Value = T>
  void return_value(Value&& value) {
    state.store([&] { return hold<T>(std::forward<Value>(value)); });
  }
  void unhandled_exception() { state.fail(std::current_exception()); }
};

template <>
class task_promise<void> : public task_promise_base {
 public:
  future_state<void> state;

  ramie::task<void> get_return_object() noexcept;
  void return_void() {
    state.store([] { return nothing{}; });
  }
  void unhandled_exception() { state.fail(std::current_exception()); }
};

// Awaits a call that waits: a fiber makes it, and goes on with the coroutine.
template <class F>
class fiber_await {
  using R = std::invoke_result_t<F&>;

 public:
  explicit fiber_await(F f) : f_(std::move(f)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    spawn({.stays = true}, [this, waiting] {
      try {
        state_.store([this] {
          if constexpr (std::is_void_v<R>) {
            f_();
            return nothing{};
          } else {
            return hold<R>(f_());
          }
        });
      } catch (...) {
        state_.fail(std::current_exception());
      }
      waiting.resume();
    }).detach();
  }
  R await_resume() { return state_.take(); }

 private:
  F f_;
  future_state<R> state_;
};

}  // namespace detail

// A coroutine that returns T.  Moves, doesn't copy.  It is awaited, or asked for its result, once.
// One that has begun must not be dropped before it has ended.
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;

  // Moves, doesn't copy.
  task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~task() {
    if (handle_) {
      handle_.destroy();
    }
  }

  // Runs it, waits for its end, and returns its result, or throws what it has thrown.  Switches
  // fibers if it awaits anything.  The wait ends by no cancellation: what the task awaits belongs
  // to its frame.
  T get() {
    event done;
    handle_.promise().done = &done;
    handle_.resume();
    {
      this_fiber::cancellation_disabled quiet;
      done.wait();
    }
    return handle_.promise().state.take();
  }

  // Within another task: begins this one, whose result, or exception, the expression has.
  auto operator co_await() noexcept {
    struct awaiter {
      std::coroutine_handle<promise_type> handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
        handle.promise().continuation = waiting;
        return handle;
      }
      T await_resume() { return handle.promise().state.take(); }
    };
    return awaiter{handle_};
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
ramie::task<T> task_promise<T>::get_return_object() noexcept {
  return ramie::task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline ramie::task<void> task_promise<void>::get_return_object() noexcept {
  return ramie::task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}
}  // namespace detail

// Runs a task on the calling flow, to its end.
template <class T>
T sync_wait(task<T> waited) {
  return waited.get();
}

// To be awaited: what f(), which may wait, returns.
template <class F>
[[nodiscard]] auto on_fiber(F f) {
  return detail::fiber_await<F>(std::move(f));
}

// To be awaited: a duration passes.
template <class Rep, class Period>
[[nodiscard]] auto after(const std::chrono::duration<Rep, Period>& duration) {
  return on_fiber([duration] { sleep_for(duration); });
}

// To be awaited: the next element, or nothing once the channel is closed and empty.
template <class T>
[[nodiscard]] auto next_of(channel<T>& from) {
  return on_fiber([&from] { return from.receive(); });
}

// co_await of a fiber, and of a future: their results.
template <class R>
auto operator co_await(fiber<R>&& awaited) {
  return on_fiber([awaited = std::move(awaited)]() mutable -> R { return awaited.get(); });
}
template <class R>
auto operator co_await(future<R>&& awaited) {
  return on_fiber([awaited = std::move(awaited)]() mutable -> R { return awaited.get(); });
}

}  // namespace ramie
