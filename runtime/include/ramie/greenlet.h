// The raw coroutine below the scheduler: greenlets switch to each other by name, with a value, and
// nobody schedules them.  For those who build a scheduler of their own; fibers (fiber.h) are what
// everybody else wants.
//
//     ramie::greenlet pong([](std::any ball) {
//       for (;;) ball = ramie::greenlet::switch_to_parent(std::any_cast<int>(ball) + 1);
//     });
//     int ball = std::any_cast<int>(pong.switch_to(1));    // 2
//
// Each fiber (and each thread) is a greenlet itself, the root of those that are made on it, and
// they belong to it: no other fiber can switch to them.  To the scheduler they are one fiber: a
// greenlet that waits in a function of Ramie parks all of them.
//
// (After Python's greenlet.)
#pragma once

#include <ramie/detail/greenlet_state.h>
#include <ramie/fiber.h>

#include <any>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace ramie {

// A handle.  Copies stand for the same greenlet.  When the last one of a greenlet that stands in
// the middle of its function is dropped, greenlet_exit is thrown in it, on the flow that drops it.
// One that lies in the greenlet's own function counts too, so keep none there.
class greenlet {
 public:
  // None.
  greenlet() noexcept = default;

  // A greenlet that isn't started; the one that runs is its parent.  f takes the std::any of the
  // first switch, or nothing, and returns what std::any can hold, or nothing.
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, greenlet>) explicit greenlet(F f)
      : greenlet(fiber_attributes{}, std::move(f)) {}
  // The size of the stack (and the name, for the report of its overflow) as a fiber's.
  template <class F>
  greenlet(const fiber_attributes& attributes, F f)
      : state_(detail::greenlet_state::make(attributes.stack_size, attributes.name,
                                            adapted(std::move(f)))) {}

  // Lets it run, and the caller stand until somebody switches to it; what that one passes is
  // returned, or thrown.  A greenlet that isn't started begins its function with the value; one
  // that is dead passes it on to its parent.  When its function ends, its parent goes on, and gets
  // what the function returned, or, by an exception, what it threw; greenlet_exit counts as no
  // value. Throws std::logic_error if it belongs to another fiber, std::system_error without
  // memory.
  std::any switch_to(std::any value = {}) const { return transfer({std::move(value), nullptr}); }

  // The same, with an exception, which the other one throws.  One that isn't started is dead then,
  // and its parent gets the exception.
  std::any throw_into(std::exception_ptr exception) const {
    return transfer({{}, std::move(exception)});
  }
  template <class E>
  requires(!std::is_convertible_v<E, std::exception_ptr>) std::any throw_into(E exception)
  const { return throw_into(std::make_exception_ptr(std::move(exception))); }

  // Where it goes on when its function ends; none for a root.
  [[nodiscard]] greenlet parent() const { return greenlet(checked().parent); }
  // Throws std::logic_error for a root, for a greenlet of another fiber, and where it would make a
  // circle.
  void set_parent(const greenlet& parent) const { checked().adopt(parent.state_); }

  // Whether its function has begun.
  [[nodiscard]] bool started() const noexcept {
    return state_ != nullptr && state_->status != detail::greenlet_status::fresh;
  }
  // Whether its function has ended.
  [[nodiscard]] bool dead() const noexcept {
    return state_ != nullptr && state_->status == detail::greenlet_status::dead;
  }
  // Whether this is a handle of one.
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

  // Two handles of the same one are equal.
  friend bool operator==(const greenlet& a, const greenlet& b) noexcept {
    return a.state_ == b.state_;
  }

  // The one that runs.
  [[nodiscard]] static greenlet current() { return greenlet(detail::greenlet_home().current()); }

  // current().parent().switch_to(value), without a handle of the one that stands meanwhile.
  static std::any switch_to_parent(std::any value = {}) {
    return greenlet(detail::greenlet_home().current()->parent).switch_to(std::move(value));
  }

  // Called before each switch of the process, on the flow that is left; null calls nothing.  It
  // must not switch.
  using trace_hook = void (*)(const greenlet& from, const greenlet& to, bool throws);
  static void set_trace(trace_hook hook) noexcept {
    hook_.store(hook, std::memory_order_relaxed);
    detail::greenlet_state::trace.store(hook == nullptr ? nullptr : &call_hook,
                                        std::memory_order_release);
  }

 private:
  explicit greenlet(std::shared_ptr<detail::greenlet_state> state) noexcept
      : state_(std::move(state)) {}

  [[nodiscard]] detail::greenlet_state& checked() const {
    if (state_ == nullptr) {
      throw std::logic_error("ramie::greenlet: there is none");
    }
    return *state_;
  }
  [[nodiscard]] std::any transfer(detail::greenlet_message message) const {
    (void)checked();
    return detail::greenlet_state::transfer(state_, std::move(message));
  }

  static void call_hook(const std::shared_ptr<detail::greenlet_state>& from,
                        const std::shared_ptr<detail::greenlet_state>& to, bool throws) {
    hook_.load(std::memory_order_relaxed)(greenlet(from), greenlet(to), throws);
  }

  template <class F>
  static detail::greenlet_function adapted(F f) {
    return [f = std::make_shared<F>(std::move(f))](std::any value) -> std::any {
      auto call = [&]() -> decltype(auto) {
        if constexpr (std::is_invocable_v<F&, std::any>) {
          return std::invoke(*f, std::move(value));
        } else {
          return std::invoke(*f);
        }
      };
      if constexpr (std::is_void_v<decltype(call())>) {
        call();
        return {};
      } else {
        return call();
      }
    };
  }

  static inline std::atomic<trace_hook> hook_ = nullptr;
  std::shared_ptr<detail::greenlet_state> state_;
};

}  // namespace ramie
