// What runs on a fiber: the closure, and then its result or exception, in one object that lies at
// the top of the fiber's own stack.  Not part of the interface.
//
// The library knows a task only by task_base; run() catches whatever the closure throws.
//
// | who is done first  | what happens to the task                                          |
// |--------------------|-------------------------------------------------------------------|
// | the fiber          | the handle destroys it, when it is dropped                        |
// | the handle         | the fiber destroys it, at its end (finish() says so)              |
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/abi.h>

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace ramie::detail {

inline void report_lost(const control* fiber, const std::exception_ptr& exception) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    report_lost_exception(fiber, error.what());
  } catch (const cancelled&) {  // somebody wanted it so
  } catch (...) {
    report_lost_exception(fiber, "an exception that isn't a std::exception");
  }
}

// What a function returned, until somebody takes it.
template <class R>
class result {
 public:
  template <class Call>
  void store(Call&& call) {
    value_.emplace(call());
  }
  R take() { return *std::move(value_); }

 private:
  std::optional<R> value_;
};

template <class R>
class result<R&> {
 public:
  template <class Call>
  void store(Call&& call) {
    value_ = std::addressof(call());
  }
  R& take() { return *value_; }

 private:
  R* value_ = nullptr;
};

template <>
class result<void> {
 public:
  template <class Call>
  void store(Call&& call) {
    call();
  }
  void take() {}
};

// The part of a task that its handle reads.
template <class R>
struct task_result : task_base {
  result<R> value;
  std::exception_ptr exception;
};

template <class R, class F, class... Args>
struct task final : task_result<R> {
  template <class... Values>
  explicit task(bool on_heap, Values&&... values) : heap(on_heap) {
    closure.emplace(std::forward<Values>(values)...);
    this->run = [](task_base* self, control* fiber) noexcept {
      static_cast<task*>(self)->call(fiber);
    };
    this->destroy = [](task_base* base, control* fiber) noexcept {
      auto* self = static_cast<task*>(base);
      if (self->exception) {
        report_lost(fiber, self->exception);
      }
      if (self->heap) {
        delete self;
      } else {
        self->~task();
      }
    };
  }

  void call(control* fiber) noexcept {
    try {
      if (take_cancel(fiber)) {
        throw cancelled();
      }
      this->value.store([this]() -> R {
        return std::apply([](auto&&... values) -> R { return std::invoke(std::move(values)...); },
                          *std::move(closure));
      });
    } catch (...) {
      this->exception = std::current_exception();
    }
    // Like those of a std::thread, the arguments go before anybody learns of the end.
    closure.reset();
    if (finish(fiber)) {
      this->destroy(this, fiber);
    }
  }

  std::optional<std::tuple<F, Args...>> closure;
  bool heap;
};

}  // namespace ramie::detail
