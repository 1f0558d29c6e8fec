// Time limits for a stretch of code, however many waits it has:
//
//     ramie::timeout limit(2s);
//     request = read_request(connection);   // any wait in here throws timeout_error after 2 s
//
// A scope ends waits in functions of Ramie, and no computation: code that never waits is not
// stopped.  Scopes nest, and each error says whose time was over:
//
//     catch (const ramie::timeout_error& error) { if (!limit.owns(error)) throw; ... }
//
// with_timeout() does just that around one function.
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/abi.h>
#include <ramie/detail/deadline.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {
inline std::uint64_t next_scope_id() noexcept {
  static std::atomic<std::uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}
}  // namespace detail

// A scope guard of the running fiber; it belongs to that fiber, and neither moves nor copies.  When
// its time is over, the wait under way or the next one throws timeout_error, once: afterwards the
// scope limits nothing any more.  A kernel thread without fibers gets what fibers need
// (docs/reference/api.md) by its first scope.
class [[nodiscard]] timeout {
 public:
  template <class Rep, class Period>
  explicit timeout(const std::chrono::duration<Rep, Period>& duration)
      : timeout(detail::deadline_after(duration)) {}
  template <class Clock, class Duration>
  explicit timeout(const std::chrono::time_point<Clock, Duration>& time)
      : timeout(detail::deadline_at(time)) {}
  ~timeout() { detail::leave_scope(&scope_); }
  timeout(const timeout&) = delete;
  timeout& operator=(const timeout&) = delete;

  // Starts anew with another limit, also one that has ended.
  template <class Rep, class Period>
  void restart(const std::chrono::duration<Rep, Period>& duration) {
    detail::move_scope(&scope_, detail::deadline_after(duration));
  }

  // No limit from here on.
  void cancel() { detail::move_scope(&scope_, detail::never); }

  // Whether the error is this scope's own, or that of another one around or within it.
  [[nodiscard]] bool owns(const timeout_error& error) const noexcept {
    return error.scope() == scope_.id;
  }

  // Whether this scope has thrown.
  [[nodiscard]] bool has_ended() const noexcept { return scope_.has_ended; }

  // Never used twice in a process.
  [[nodiscard]] std::uint64_t id() const noexcept { return scope_.id; }

 private:
  explicit timeout(std::int64_t deadline) {
    scope_.deadline = deadline;
    scope_.id = detail::next_scope_id();
    detail::enter_scope(&scope_);
  }

  detail::scope scope_;
};

// Returns f(), or, if that takes longer than `limit`, the fallback: a value, or what the function
// `fallback` returns.  f is left by timeout_error.  Switches fibers where f does.
template <class Rep, class Period, class F, class Fallback>
auto with_timeout(const std::chrono::duration<Rep, Period>& limit, F&& f, Fallback&& fallback) {
  using R = std::invoke_result_t<F>;
  timeout scope(limit);
  try {
    return std::invoke(std::forward<F>(f));
  } catch (const timeout_error& error) {
    if (!scope.owns(error)) {
      throw;
    }
  }
  if constexpr (std::is_invocable_r_v<R, Fallback>) {
    return static_cast<R>(std::invoke(std::forward<Fallback>(fallback)));
  } else {
    return static_cast<R>(std::forward<Fallback>(fallback));
  }
}

// The same without a fallback: throws timeout_error.
template <class Rep, class Period, class F>
decltype(auto) with_timeout(const std::chrono::duration<Rep, Period>& limit, F&& f) {
  timeout scope(limit);
  return std::invoke(std::forward<F>(f));
}

}  // namespace ramie
