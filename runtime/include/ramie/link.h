// Callbacks for the end of a fiber: what fiber::link() takes and returns.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/extras.h>
#include <ramie/detail/task.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {
template <class R, class F, bool TakesException>
class link_call;
}

// How a fiber has ended.  Lives as long as the callback runs.
template <class R>
class fiber_outcome {
 public:
  // True if the function returned, false if it threw.
  [[nodiscard]] bool successful() const noexcept { return !task_->exception; }
  // What it threw; null if it returned.
  [[nodiscard]] std::exception_ptr exception() const noexcept { return task_->exception; }
  // What it returned.  Only if successful(), and not for void.
  [[nodiscard]] decltype(auto) value() const { return task_->value.peek(); }
  // Calls f with it, or, for void, with nothing.
  template <class F>
  void pass_value_to(F& f) const {
    if constexpr (std::is_void_v<R>) {
      std::invoke(f);
    } else {
      std::invoke(f, task_->value.peek());
    }
  }
  [[nodiscard]] std::uint64_t id() const noexcept { return detail::id_of(fiber_); }

 private:
  template <class, class, bool>
  friend class detail::link_call;

  fiber_outcome(const detail::task_result<R>& task, const detail::control* fiber) noexcept
      : task_(&task), fiber_(fiber) {}

  const detail::task_result<R>* task_;
  const detail::control* fiber_;
};

// A callback that was given to fiber::link().  Dropping it changes nothing.
class link {
 public:
  link() noexcept = default;
  link(link&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  link& operator=(link&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~link() {
    if (node_ != nullptr) {
      node_->release();
    }
  }

  // Takes the callback back.  True if it will not be called; false if it has been, or is just being
  // called.  Never switches.
  bool unlink() noexcept { return node_ != nullptr && node_->disarm(); }

 private:
  template <class>
  friend class fiber;
  explicit link(detail::link_node* node) noexcept : node_(node) {}

  detail::link_node* node_ = nullptr;
};

namespace detail {

template <class F, class R>
concept link_function = std::is_invocable_v<F&> || std::is_invocable_v < F&,
        const fiber_outcome<R>
& > ;

template <class R, class F, bool TakesException>
class link_call final : public link_node {
 public:
  explicit link_call(F f) : function_(std::move(f)) {}

 private:
  void call(task_base& task, const control* fiber) noexcept override {
    auto& ended = static_cast<task_result<R>&>(task);
    try {
      if constexpr (std::is_invocable_v<F&, const fiber_outcome<R>&>) {
        if constexpr (TakesException) {
          ended.more.is_observed.store(true, std::memory_order_release);
        }
        std::invoke(function_, fiber_outcome<R>(ended, fiber));
      } else {
        std::invoke(function_);
      }
    } catch (...) {
      report_lost(fiber, std::current_exception());
    }
  }

  F function_;
};

}  // namespace detail

}  // namespace ramie
