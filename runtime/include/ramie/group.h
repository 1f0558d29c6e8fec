// Fibers that belong together and end together:
//
//     {
//       ramie::group work;
//       work.spawn(fetch, "a");
//       work.spawn(fetch, "b");
//     }   // waits for both; if one throws, the other is cancelled, and the exception goes on
//
// A pool is a group of limited size: spawn() waits for a free place.  map.h runs a function over a
// range with either.
#pragma once

#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {

// What group::spawn() runs: f, given the group's token if it takes one.
template <class F>
struct group_call {
  template <class... Args>
  requires spawnable<F, Args...>
  void operator()(Args&&... args) {
    if constexpr (takes_stop_token<F, Args...>) {
      (void)std::invoke(std::move(f), std::move(token), std::forward<Args>(args)...);
    } else {
      (void)std::invoke(std::move(f), std::forward<Args>(args)...);
    }
  }
  // So that ramie::spawn() does not offer the fiber's own.
  template <class... Args>
  void operator()(std::stop_token, Args&&...) = delete;

  F f;
  std::stop_token token;
};

}  // namespace detail

// Not for two threads at once, apart from spawn() and cancel(), which members may call as well.
class group {
 public:
  // No limit.  Members are made with these attributes, as ramie::spawn() does.
  group() : group(fiber_attributes{}) {}
  explicit group(const fiber_attributes& members) : group(std::nullopt, members) {}
  group(const group&) = delete;
  group& operator=(const group&) = delete;

  // Waits until all members have ended, and throws what join() would.  If an exception is on its
  // way through this scope, or cancels the wait, the members are cancelled first.  The destructor
  // may throw, so a group is best a local variable.  Switches fibers.
  ~group() noexcept(false) {
    if (std::uncaught_exceptions() > uncaught_before_) {
      end_quietly();
      return;
    }
    try {
      wait_empty(detail::never);
    } catch (...) {
      end_quietly();
      throw;
    }
    rethrow();
  }

  // Runs f(args...) as a fiber of the group, on copies as ramie::spawn() makes them; an f that
  // takes a std::stop_token gets the group's.  Its result is dropped.  If it throws anything but
  // `cancelled`, the other members are cancelled, join() throws that, and until then new members
  // don't start.  Waits while the group is full.
  template <class F, class... Args>
  void spawn(F&& f, Args&&... args) {
    fiber<void> made =
        begin(detail::group_call<std::decay_t<F>>{std::forward<F>(f), get_stop_token()},
              std::forward<Args>(args)...);
    enlist(made, true);
  }

  // The same with a handle, which gets the result or the exception; this one is no failure of the
  // group.
  template <class F, class... Args>
  [[nodiscard]] auto submit(F&& f, Args&&... args) {
    auto made = begin(std::forward<F>(f), std::forward<Args>(args)...);
    enlist(made, false);
    return made;
  }

  // submit(f, args...).get(): the result of f, run in a place of the group.
  template <class F, class... Args>
  decltype(auto) apply(F&& f, Args&&... args) {
    return submit(std::forward<F>(f), std::forward<Args>(args)...).get();
  }

  // Waits until the group is empty, and throws what the first member that failed has thrown.  The
  // group may be used on.  Switches fibers.
  void join() {
    wait_empty(detail::never);
    rethrow();
  }
  // The same with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(const std::chrono::duration<Rep, Period>& duration) {
    if (!wait_empty(detail::deadline_after(duration))) {
      return false;
    }
    rethrow();
    return true;
  }

  // Cancels all members (see cancel.h), or asks those that took the group's token to stop.  Neither
  // waits.
  void cancel() noexcept {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(state_->lock);
    state_->cancel_members();
  }
  void request_stop() noexcept { state_->stop.request_stop(); }
  [[nodiscard]] std::stop_token get_stop_token() const noexcept { return state_->stop.get_token(); }

  // How many members have not ended.
  [[nodiscard]] std::size_t size() const noexcept {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(state_->lock);
    return state_->members.size();
  }
  // How many places there are; the largest number for a group without limit.
  [[nodiscard]] std::size_t limit() const noexcept { return limit_.value_or(SIZE_MAX); }
  [[nodiscard]] bool full() const noexcept { return size() >= limit(); }

 protected:
  group(std::optional<std::size_t> limit, const fiber_attributes& members)
      : limit_(limit), attributes_(members), state_(std::make_shared<state>(limit.value_or(0))) {}

 private:
  // Shared with the members: the last of them may still be unlocking when the group is gone.
  struct state {
    explicit state(std::size_t places) : free_places(static_cast<std::ptrdiff_t>(places)) {}

    void cancel_members() noexcept {
      for (detail::control* member : members) {
        detail::cancel(member);
      }
    }

    mutex lock;
    condition_variable emptied;
    std::list<detail::control*> members;  // each one retained
    std::exception_ptr failure;
    counting_semaphore<> free_places;
    std::stop_source stop;
  };

  template <class F, class... Args>
  auto begin(F&& f, Args&&... args) {
    if (limit_.has_value()) {
      state_->free_places.acquire();
    }
    try {
      return ramie::spawn(attributes_, std::forward<F>(f), std::forward<Args>(args)...);
    } catch (...) {
      leave_place(*state_, limit_.has_value());
      throw;
    }
  }

  static void leave_place(state& of, bool limited) noexcept {
    if (limited) {
      of.free_places.release();
    }
  }

  // Puts a new fiber on the list, and arranges that it leaves it at its end, which may be now.
  template <class R>
  void enlist(const fiber<R>& member, bool fails_group) {
    this_fiber::cancellation_disabled quiet;
    detail::control* control = member.control_;
    auto place = [&] {
      std::scoped_lock lock(state_->lock);
      if (state_->failure) {
        detail::cancel(control);
      }
      return state_->members.insert(state_->members.end(), control);
    }();
    detail::retain(control);
    auto leave = [shared = state_, place,
                  limited = limit_.has_value()](const std::exception_ptr& failure) {
      {
        std::scoped_lock lock(shared->lock);
        if (failure && !shared->failure && !is_cancelled(failure)) {
          shared->failure = failure;
          shared->cancel_members();
        }
        detail::release(*place);
        shared->members.erase(place);
        if (shared->members.empty()) {
          shared->emptied.notify_all();
        }
      }
      leave_place(*shared, limited);
    };
    if (fails_group) {
      (void)member.link([leave](const fiber_outcome<R>& end) { leave(end.exception()); });
    } else {
      (void)member.link([leave] { leave(nullptr); });
    }
  }

  static bool is_cancelled(const std::exception_ptr& exception) noexcept {
    try {
      std::rethrow_exception(exception);
    } catch (const cancelled&) {
      return true;
    } catch (...) {
      return false;
    }
  }

  bool wait_empty(std::int64_t deadline) {
    std::unique_lock lock(state_->lock);
    auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline));
    return state_->emptied.wait_until(lock, until, [&] { return state_->members.empty(); });
  }

  void rethrow() {
    std::exception_ptr failure;
    {
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(state_->lock);
      failure = std::exchange(state_->failure, nullptr);
    }
    if (failure) {
      std::rethrow_exception(failure);
    }
  }

  void end_quietly() noexcept {
    this_fiber::cancellation_disabled quiet;
    cancel();
    (void)wait_empty(detail::never);
  }

  std::optional<std::size_t> limit_;
  fiber_attributes attributes_;
  std::shared_ptr<state> state_;
  int uncaught_before_ = std::uncaught_exceptions();
};

// A group with a limited number of places; spawn(), submit() and apply() wait for a free one.
class pool : public group {
 public:
  explicit pool(std::size_t places, const fiber_attributes& members = {})
      : group(places, members) {}
};

}  // namespace ramie
