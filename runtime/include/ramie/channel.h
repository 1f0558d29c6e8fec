// Channels between fibers, between threads, and between both: one sends, another one receives.
// With a capacity of 0 they meet (a rendezvous); else that many elements may be under way.
// <ramie/select.h> waits for several at once.
//
//     ramie::channel<std::string> lines;
//     auto reader = ramie::spawn([&] {
//       for (std::string& line : lines) {       // until it is closed
//         std::puts(line.c_str());
//       }
//     });
//     lines.send("hello");                       // until somebody has received it
//     lines.close();
//     reader.join();
#pragma once

#include <ramie/detail/channel_wait.h>
#include <ramie/detail/deadline.h>
#include <ramie/detail/drain_iterator.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>  // std::unique_lock
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace ramie {

// Thrown by sending into a channel that is closed.
class channel_closed : public std::runtime_error {
 public:
  channel_closed() : std::runtime_error("the channel is closed") {}
};

namespace detail {
template <class T, class F>
class receive_case;
template <class T, class F>
class send_case;
}  // namespace detail

// Any number of senders and receivers, each of them first come, first served.  Waits switch fibers,
// everything else doesn't.  A channel must outlive all calls on it: a partner may still unlock it
// when the one that it has woken returns.
template <class T>
class channel {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "an element that can't be moved has to be sent by a pointer");

 public:
  using value_type = T;

  // `capacity` elements may be under way; with 0, sender and receiver meet.
  explicit channel(std::size_t capacity = 0) : ring_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  // Sends; waits while nobody receives and `capacity` elements are under way.  Throws
  // channel_closed, also when it is closed while this waits.
  void send(T value) { (void)send_before(value, detail::never); }

  // The same without waiting: false, and the value is not moved from, where send() would wait.
  [[nodiscard]] bool try_send(T&& value) { return send_before(value, detail::no_wait); }
  [[nodiscard]] bool try_send(const T& value) {
    T copy(value);
    return send_before(copy, detail::no_wait);
  }

  // With a limit: false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool send_for(T value, const std::chrono::duration<Rep, Period>& duration) {
    return send_before(value, detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool send_until(T value, const std::chrono::time_point<Clock, Duration>& time) {
    return send_before(value, detail::deadline_at(time));
  }

  // Receives; waits while there is nothing.  Nothing, once the channel is closed and empty.
  [[nodiscard]] std::optional<T> receive() { return receive_before(detail::never); }

  // The same without waiting or with a limit: nothing also if there was none in time, see
  // is_closed().
  [[nodiscard]] std::optional<T> try_receive() { return receive_before(detail::no_wait); }
  template <class Rep, class Period>
  [[nodiscard]] std::optional<T> receive_for(const std::chrono::duration<Rep, Period>& duration) {
    return receive_before(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<T> receive_until(
      const std::chrono::time_point<Clock, Duration>& time) {
    return receive_before(detail::deadline_at(time));
  }

  // Nobody may send any more; what is under way can be received.  May be repeated.
  void close() noexcept {
    std::unique_lock guard(lock_);
    closed_ = true;
    receivers_.close();
    senders_.close();
  }
  [[nodiscard]] bool is_closed() const {
    std::unique_lock guard(lock_);
    return closed_;
  }

  // How many are under way right now; another one may change that at any time.
  [[nodiscard]] std::size_t size() const {
    std::unique_lock guard(lock_);
    return count_;
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return ring_.size(); }

  // Receives element after element, until the channel is closed and empty.
  using iterator = detail::drain_iterator<channel>;

  // For a range-for loop, each step of which receives; waits for the first element.
  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend iterator;
  template <class U, class F>
  friend class detail::receive_case;
  template <class U, class F>
  friend class detail::send_case;

  std::optional<T> take_next() { return receive(); }

  // With the lock held.  False: nobody is there to take it, or the channel is closed.
  bool send_now(T& value) {
    if (closed_) {
      return false;
    }
    if (detail::channel_waiter* receiver = receivers_.take()) {
      static_cast<std::optional<T>*>(receiver->element)->emplace(std::move(value));
      receiver->operation->finish(receiver->index, true);
      return true;
    }
    if (count_ < ring_.size()) {
      push(value);
      return true;
    }
    return false;
  }

  // With the lock held.  False: nothing is there.
  bool receive_now(std::optional<T>& into) {
    if (count_ > 0) {
      std::optional<T>& first = ring_[first_];
      into.emplace(*std::move(first));
      first.reset();
      first_ = first_ + 1 == ring_.size() ? 0 : first_ + 1;
      --count_;
      if (detail::channel_waiter* sender = senders_.take()) {
        push(*static_cast<T*>(sender->element));
        sender->operation->finish(sender->index, true);
      }
      return true;
    }
    if (detail::channel_waiter* sender = senders_.take()) {
      into.emplace(std::move(*static_cast<T*>(sender->element)));
      sender->operation->finish(sender->index, true);
      return true;
    }
    return false;
  }

  void push(T& value) {
    std::size_t place = first_ + count_;
    ring_[place < ring_.size() ? place : place - ring_.size()].emplace(std::move(value));
    ++count_;
  }

  bool send_before(T& value, std::int64_t deadline) {
    std::unique_lock guard(lock_);
    if (send_now(value)) {
      return true;
    }
    bool open = !closed_;
    if (open && deadline == detail::no_wait) {
      return false;
    }
    if (open && !wait(guard, senders_, &value, deadline, open)) {
      return false;
    }
    if (!open) {
      throw channel_closed();
    }
    return true;
  }

  std::optional<T> receive_before(std::int64_t deadline) {
    std::optional<T> received;
    std::unique_lock guard(lock_);
    if (!receive_now(received) && !closed_ && deadline != detail::no_wait) {
      bool open = true;
      (void)wait(guard, receivers_, &received, deadline, open);
    }
    return received;
  }

  // Waits for a partner.  False at the deadline; `open` tells whether the channel still was.
  bool wait(std::unique_lock<detail::inner_mutex>& guard, detail::channel_waiters& list,
            void* element, std::int64_t deadline, bool& open) {
    detail::channel_wait operation;
    detail::channel_waiter waiter;
    waiter.operation = &operation;
    waiter.element = element;
    list.push(waiter);
    guard.unlock();
    if (!operation.wait(deadline)) {
      guard.lock();
      if (operation.try_claim()) {
        list.remove(waiter);
        guard.unlock();
        return detail::wait_done(false, deadline);
      }
    }
    open = operation.ok;
    return true;
  }

  mutable detail::inner_mutex lock_;  // guards all that follows
  detail::channel_waiters senders_;
  detail::channel_waiters receivers_;
  bool closed_ = false;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::vector<std::optional<T>> ring_;
};

}  // namespace ramie
