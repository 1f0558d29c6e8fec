// What runs on a fiber: the closure, and then its result or exception, in one object that lies
// beside the fiber's control block, or if it is large at the top of its stack.  Not part of the
// interface.
//
// The library knows a task only by task_base; run() catches whatever the closure throws.
//
// | who is done first  | what happens to the task                                          |
// |--------------------|-------------------------------------------------------------------|
// | the fiber          | the handle destroys it, when it is dropped, if anything is left   |
// | the handle         | the fiber destroys it, at its end (finish() says so)              |
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>
#include <ramie/detail/extras.h>
#include <ramie/hooks.h>

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
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
  const R& peek() const { return *value_; }

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
  R& peek() const { return *value_; }

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
  void peek() const {}
};

// Functions that take a std::stop_token before the arguments get one, as std::jthread's do.
template <class F, class... Args>
inline constexpr bool takes_stop_token = std::is_invocable_v<F, std::stop_token, Args...>;

template <class F, class... Args>
struct spawned_result : std::invoke_result<F, Args...> {};
template <class F, class... Args>
requires takes_stop_token<F, Args...>
struct spawned_result<F, Args...> : std::invoke_result<F, std::stop_token, Args...> {
};

template <class F, class... Args>
concept spawnable = std::is_invocable_v<F, Args...> || takes_stop_token<F, Args...>;

// The part of a task that its handle reads.
template <class R>
struct task_result : task_base {
  detail::extras more;
  std::exception_ptr exception;
  [[no_unique_address]] result<R> value;
};

// The time before which a function must not run, for those that have one.
template <bool Delayed>
struct task_delay {
  void wait() const noexcept {}
};
template <>
struct task_delay<true> {
  void wait() const { wait_done(sleep_until(starts_at), starts_at); }
  std::int64_t starts_at;
};

// The end of a fiber that has more than a result.  Not inline: these frames would cost every fiber
// a line of memory.
[[gnu::noinline]] inline void end_values(extras& more, const control* fiber) noexcept {
  if (more.stored != nullptr) {
    more.stored->locals.clear();
  }
  call_hook(exit_hook, fiber, more.site());
}
[[gnu::noinline]] inline void fire_links(task_base& task, const control* fiber,
                                         link_node* first) noexcept {
  while (first != nullptr) {
    link_node* next = first->next;
    first->fire(task, fiber);
    first->release();
    first = next;
  }
}

template <class R, bool Delayed, class F, class... Args>
struct task final : task_result<R>, task_delay<Delayed> {
  template <class... Values>
  task(bool on_heap, const spawn_site& site, task_delay<Delayed> delay, Values&&... values)
      : task_delay<Delayed>(delay), closure(std::in_place, std::forward<Values>(values)...) {
    this->run = [](task_base* self, control* fiber) noexcept {
      static_cast<task*>(self)->call(fiber);
    };
    this->destroy = [](task_base* base, control* fiber) noexcept {
      auto* self = static_cast<task*>(base);
      if (self->exception && !self->more.is_observed.load(std::memory_order_acquire)) {
        report_lost(fiber, self->exception);
      }
      if (self->more.is_on_heap) {
        delete self;
      } else {
        self->~task();
      }
    };
    this->extras = &this->more;
    this->more.is_on_heap = on_heap;
    context_node* context = current_context();
    if (context != nullptr || takes_stop_token<F, Args...> || site.line != 0) {
      this->more.stored = std::make_unique<storage>();
      this->more.stored->site = site;
      this->more.stored->context = context_node::retain(context);
      if constexpr (takes_stop_token<F, Args...>) {
        this->more.stored->stop = std::stop_source();
      }
    }
  }

  void call(control* fiber) noexcept {
    try {
      task_delay<Delayed>::wait();
      if (take_cancel(fiber)) {
        throw cancelled();
      }
      this->more.has_started.store(true, std::memory_order_release);
      this->value.store([this]() -> R {
        return std::apply(
            [this](auto&&... values) -> R { return this->invoke(std::move(values)...); },
            *std::move(closure));
      });
    } catch (...) {
      this->exception = std::current_exception();
    }
    // From here on there is nobody to whom an interruption could be thrown.
    (void)forbid_interruptions();
    // Like those of a std::thread, the arguments go before anybody learns of the end.
    closure.reset();
    if (this->more.stored != nullptr || exit_hook.load(std::memory_order_relaxed) != nullptr)
        [[unlikely]] {
      end_values(this->more, fiber);
    }
    if (link_node* first = this->more.links.close()) [[unlikely]] {
      fire_links(*this, fiber, first);
    }
    if (finish(fiber, has_nothing_left())) {
      this->destroy(this, fiber);
    }
  }

  // At the end: then there is nothing for the destructor to do, nor to report.
  [[nodiscard]] bool has_nothing_left() const noexcept {
    return std::is_trivially_destructible_v<result<R>> && !this->exception &&
           this->more.stored == nullptr && !this->more.is_on_heap;
  }

  template <class... Values>
  R invoke(Values&&... values) {
    if constexpr (takes_stop_token<F, Args...>) {
      auto with_token = [this](auto&& f, auto&&... rest) -> R {
        return std::invoke(std::forward<decltype(f)>(f), this->more.stored->stop.get_token(),
                           std::forward<decltype(rest)>(rest)...);
      };
      return with_token(std::forward<Values>(values)...);
    } else {
      return std::invoke(std::forward<Values>(values)...);
    }
  }

  std::optional<std::tuple<F, Args...>> closure;
};

}  // namespace ramie::detail
