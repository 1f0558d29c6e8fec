// Waiting for the first of several: sends and receives on channels, a time, a descriptor.
//
//     std::optional<int> number;
//     switch (ramie::select(ramie::on_receive(numbers, number),
//                           ramie::on_send(lines, "hello"),
//                           ramie::on_readable(fd, [&] { read_from(fd); }),
//                           ramie::on_timeout(100ms))) {
//       case 0: ...
//
// One case happens, and only that one; its callback, where it has one, runs after that in the
// calling flow, outside of all locks.  Of several that are possible at once, chance decides.
#pragma once

#include <ramie/channel.h>
#include <ramie/detail/channel_wait.h>
#include <ramie/detail/deadline.h>
#include <ramie/detail/select_run.h>
#include <ramie/io.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {

struct no_callback {
  void operator()() const noexcept {}
};

template <class T, class F>
class receive_case final : public select_case {
 public:
  // F is a callback, or where to put the element.
  receive_case(channel<T>& from, F then) : from_(from), then_(std::forward<F>(then)) {}

  inner_mutex* lock() noexcept override { return &from_.lock_; }
  bool try_now() override { return from_.receive_now(received_) || from_.closed_; }
  void begin(channel_wait& operation, std::size_t index) override {
    waiter_.operation = &operation;
    waiter_.index = index;
    waiter_.element = &received_;
    from_.receivers_.push(waiter_);
  }
  void end() noexcept override { from_.receivers_.remove(waiter_); }
  void fire(bool) override {
    if constexpr (std::is_same_v<F, std::optional<T>&>) {
      then_.reset();
      if (received_) {
        then_.emplace(*std::exchange(received_, std::nullopt));
      }
    } else {
      std::invoke(then_, std::exchange(received_, std::nullopt));
    }
  }

 private:
  channel<T>& from_;
  F then_;
  std::optional<T> received_;
  channel_waiter waiter_;
};

template <class T, class F>
class send_case final : public select_case {
 public:
  send_case(channel<T>& to, T value, F then)
      : to_(to), value_(std::move(value)), then_(std::move(then)) {}

  inner_mutex* lock() noexcept override { return &to_.lock_; }
  bool try_now() override {
    was_closed_ = to_.closed_;
    return to_.send_now(value_) || was_closed_;
  }
  void begin(channel_wait& operation, std::size_t index) override {
    waiter_.operation = &operation;
    waiter_.index = index;
    waiter_.element = &value_;
    to_.senders_.push(waiter_);
  }
  void end() noexcept override { to_.senders_.remove(waiter_); }
  bool is_spent() const noexcept override { return is_spent_; }
  void fire(bool ok) override {
    is_spent_ = true;
    if (was_closed_ || !ok) {
      throw channel_closed();
    }
    std::invoke(then_);
  }

 private:
  channel<T>& to_;
  T value_;
  F then_;
  bool was_closed_ = false;
  bool is_spent_ = false;
  channel_waiter waiter_;
};

template <class F>
class timer_case final : public select_case {
 public:
  timer_case(std::int64_t deadline, F then) : deadline_(deadline), then_(std::move(then)) {}

  std::int64_t deadline() const noexcept override { return deadline_; }
  bool is_spent() const noexcept override { return is_spent_; }
  void fire(bool) override {
    is_spent_ = true;
    std::invoke(then_);
  }

 private:
  std::int64_t deadline_;
  bool is_spent_ = false;
  F then_;
};

template <class F>
class descriptor_case final : public select_descriptor {
 public:
  descriptor_case(int fd, io::events what, F then)
      : select_descriptor(fd, what), then_(std::move(then)) {}

  void fire(bool) override {
    io::events happened = result();
    if constexpr (std::is_invocable_v<F&, io::events>) {
      std::invoke(then_, happened);
    } else {
      std::invoke(then_);
    }
  }

 private:
  F then_;
};

template <class F>
class default_case final : public select_case {
 public:
  explicit default_case(F then) : then_(std::move(then)) {}
  bool is_default() const noexcept override { return true; }
  void fire(bool) override { std::invoke(then_); }

 private:
  F then_;
};

}  // namespace detail

// An element is received, and f(std::optional<T>) called, or put into `into`; without a value if
// the channel is closed and empty, which happens at once.
template <class T, class F>
requires std::is_invocable_v<F&, std::optional<T>>
[[nodiscard]] auto on_receive(channel<T>& from, F f) {
  return detail::receive_case<T, F>(from, std::move(f));
}
template <class T>
[[nodiscard]] auto on_receive(channel<T>& from, std::optional<T>& into) {
  return detail::receive_case<T, std::optional<T>&>(from, into);
}

// The value is sent; select() throws channel_closed if the channel is, or gets closed.
template <class T, class F = detail::no_callback>
[[nodiscard]] auto on_send(channel<T>& to, std::type_identity_t<T> value, F f = F()) {
  return detail::send_case<T, F>(to, std::move(value), std::move(f));
}

// A duration from now, or a point in time, has passed.
template <class Rep, class Period, class F = detail::no_callback>
[[nodiscard]] auto on_timeout(const std::chrono::duration<Rep, Period>& duration, F f = F()) {
  return detail::timer_case<F>(detail::deadline_after(duration), std::move(f));
}
template <class Clock, class Duration, class F = detail::no_callback>
[[nodiscard]] auto on_time(const std::chrono::time_point<Clock, Duration>& time, F f = F()) {
  return detail::timer_case<F>(detail::deadline_at(time), std::move(f));
}

// The descriptor is ready for one of `what`, as io::wait() has it; f may take the io::events.
// select() throws what io::wait() throws.
template <class F = detail::no_callback>
[[nodiscard]] auto on_ready(int fd, io::events what, F f = F()) {
  return detail::descriptor_case<F>(fd, what, std::move(f));
}
template <class F = detail::no_callback>
[[nodiscard]] auto on_readable(int fd, F f = F()) {
  return on_ready(fd, io::readable, std::move(f));
}
template <class F = detail::no_callback>
[[nodiscard]] auto on_writable(int fd, F f = F()) {
  return on_ready(fd, io::writable, std::move(f));
}

// No other case can happen now: select() doesn't wait.
template <class F = detail::no_callback>
[[nodiscard]] auto otherwise(F f = F()) {
  return detail::default_case<F>(std::move(f));
}

// Waits until one of the cases can happen, lets it happen, calls its callback, and returns its
// number, counted from 0.  Switches fibers if it has to wait; where a descriptor is among the
// cases, also else.  What a callback throws goes to the caller.
template <class... Cases>
requires(sizeof...(Cases) > 0 &&
         (std::is_base_of_v<detail::select_case, std::remove_cvref_t<Cases>> && ...)) std::size_t
    select(Cases&&... cases) {
  detail::select_case* all[] = {&cases...};
  return detail::run_select(all, sizeof...(Cases));
}

}  // namespace ramie
