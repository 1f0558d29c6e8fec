// Queues between fibers, between threads, and between both: queue (first in, first out),
// lifo_queue, and priority_queue.
//
//     ramie::queue<job> jobs(100);                       // put() waits while 100 are inside
//     auto worker = ramie::spawn([&] {
//       for (job& next : jobs) {                         // until it is closed and empty
//         next.run();
//         jobs.task_done();
//       }
//     });
//     jobs.put(job(1));
//     jobs.join();                                       // until all that was put is done
//     jobs.close();
//     worker.join();
//
// A queue ends in one of two ways: close() lets the getters have what is inside, close_now() drops
// it.  Then put() throws queue_closed, and so does get() once nothing is left.
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/detail/drain_iterator.h>
#include <ramie/detail/inner_mutex.h>
#include <ramie/detail/queue_order.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <mutex>  // std::unique_lock
#include <optional>
#include <stdexcept>
#include <utility>

namespace ramie {

// Thrown by operations on a queue that is closed.
class queue_closed : public std::runtime_error {
 public:
  queue_closed() : std::runtime_error("the queue is closed") {}
};

// What the three have in common; Order says which element is the next.  Waits switch fibers,
// everything else doesn't.  Any number of fibers and threads.  Elements are moved under the queue's
// lock, so their moving should not wait for anything.
template <class T, class Order>
class basic_queue {
 public:
  using value_type = T;

  // At most `max_size` elements; 0 means no limit.
  explicit basic_queue(std::size_t max_size = 0, Order order = Order())
      : max_size_(max_size), order_(std::move(order)) {}
  basic_queue(const basic_queue&) = delete;
  basic_queue& operator=(const basic_queue&) = delete;

  // Adds an element; waits while the queue is full.  Throws queue_closed.
  void put(T value) { (void)put_before(value, detail::never); }

  // The same without waiting: false if it is full.  A value that isn't taken is not moved from.
  [[nodiscard]] bool try_put(T&& value) { return put_before(value, no_wait); }
  [[nodiscard]] bool try_put(const T& value) {
    T copy(value);
    return put_before(copy, no_wait);
  }

  // With a limit: false if that passed while it was full.
  template <class Rep, class Period>
  [[nodiscard]] bool put_for(T value, const std::chrono::duration<Rep, Period>& duration) {
    return put_before(value, detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool put_until(T value, const std::chrono::time_point<Clock, Duration>& time) {
    return put_before(value, detail::deadline_at(time));
  }

  // Takes the next element; waits while there is none.  Throws queue_closed if there will be none.
  T get() { return *next(detail::never, on_end::fail); }

  // The same without waiting, or with a limit: nothing if there was none.
  [[nodiscard]] std::optional<T> try_get() { return next(no_wait, on_end::fail); }
  template <class Rep, class Period>
  [[nodiscard]] std::optional<T> get_for(const std::chrono::duration<Rep, Period>& duration) {
    return next(detail::deadline_after(duration), on_end::fail);
  }
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<T> get_until(const std::chrono::time_point<Clock, Duration>& time) {
    return next(detail::deadline_at(time), on_end::fail);
  }

  // A copy of the next element, which stays inside.  As get() and try_get().
  T peek() {
    std::unique_lock guard(lock_);
    (void)wait_for_element(detail::never, on_end::fail);
    not_empty_.notify_one();  // the element stays: whoever put it may have woken the wrong one
    return std::as_const(order_).front();
  }
  [[nodiscard]] std::optional<T> try_peek() {
    std::unique_lock guard(lock_);
    if (!wait_for_element(no_wait, on_end::fail)) {
      return std::nullopt;
    }
    return std::as_const(order_).front();
  }

  // To be called once for each element that was put, when it is done with.  Throws std::logic_error
  // if it is called more often.
  void task_done() {
    std::unique_lock guard(lock_);
    if (unfinished_ == 0) {
      throw std::logic_error("ramie::queue: more tasks done than there were");
    }
    finish(1);
  }

  // Waits until all elements that were put are done.
  void join() { (void)join_before(detail::never); }
  // The same with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(const std::chrono::duration<Rep, Period>& duration) {
    return join_before(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Duration>& time) {
    return join_before(detail::deadline_at(time));
  }

  // No more elements come; those inside can be taken.  May be repeated.
  void close() noexcept {
    std::unique_lock guard(lock_);
    close_locked();
  }

  // The same, and what is inside is dropped, as done.
  void close_now() noexcept {
    std::optional<Order> dropped;  // destroyed without the lock
    std::unique_lock guard(lock_);
    close_locked();
    finish(order_.size());
    dropped.emplace(std::move(order_));
  }

  // Whether close() or close_now() was called.
  [[nodiscard]] bool is_closed() const {
    std::unique_lock guard(lock_);
    return closed_;
  }

  // How it is right now; another one may change that at any time.
  [[nodiscard]] std::size_t size() const {
    std::unique_lock guard(lock_);
    return order_.size();
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool full() const { return max_size_ != 0 && size() >= max_size_; }
  [[nodiscard]] std::size_t max_size() const noexcept { return max_size_; }
  // How many elements were put and are not done.
  [[nodiscard]] std::size_t unfinished() const {
    std::unique_lock guard(lock_);
    return unfinished_;
  }

  // Takes element after element, until the queue is closed and empty.
  using iterator = detail::drain_iterator<basic_queue>;

  // For a range-for loop, each step of which takes the next element; waits for the first.
  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend iterator;
  static constexpr std::int64_t no_wait = std::numeric_limits<std::int64_t>::min();
  enum class on_end { fail, nothing };

  std::optional<T> take_next() { return next(detail::never, on_end::nothing); }

  bool put_before(T& value, std::int64_t deadline) {
    std::unique_lock guard(lock_);
    for (bool in_time = true;;) {
      if (closed_) {
        throw queue_closed();
      }
      if (max_size_ == 0 || order_.size() < max_size_) {
        break;
      }
      if (!in_time || deadline == no_wait) {
        return false;
      }
      in_time = not_full_.wait(lock_, deadline);
    }
    try {
      order_.push(std::move(value));
    } catch (...) {
      not_full_.notify_one();  // the place stays for the next
      throw;
    }
    ++unfinished_;
    not_empty_.notify_one();
    return true;
  }

  std::optional<T> next(std::int64_t deadline, on_end end) {
    std::optional<T> taken;
    std::unique_lock guard(lock_);
    if (!wait_for_element(deadline, end)) {
      return taken;
    }
    std::size_t before = order_.size();
    try {
      taken.emplace(order_.pop());
    } catch (...) {
      // The element stays for the next; or it is lost, and its place free.
      (order_.size() == before ? not_empty_ : not_full_).notify_one();
      throw;
    }
    not_full_.notify_one();
    return taken;
  }

  bool wait_for_element(std::int64_t deadline, on_end end) {
    for (bool in_time = true;;) {
      if (!order_.empty()) {
        return true;
      }
      if (closed_ && end == on_end::fail) {
        throw queue_closed();
      }
      if (closed_ || !in_time || deadline == no_wait) {
        return false;
      }
      in_time = not_empty_.wait(lock_, deadline);
    }
  }

  bool join_before(std::int64_t deadline) {
    std::unique_lock guard(lock_);
    for (bool in_time = true; unfinished_ > 0;) {
      if (!in_time) {
        return false;
      }
      in_time = all_done_.wait(lock_, deadline);
    }
    return true;
  }

  void finish(std::size_t count) noexcept {
    unfinished_ -= count < unfinished_ ? count : unfinished_;
    if (unfinished_ == 0) {
      all_done_.notify_all();
    }
  }

  void close_locked() noexcept {
    closed_ = true;
    not_empty_.notify_all();
    not_full_.notify_all();
  }

  const std::size_t max_size_;
  mutable detail::inner_mutex lock_;  // guards all that follows
  detail::inner_condition not_empty_;
  detail::inner_condition not_full_;
  detail::inner_condition all_done_;
  bool closed_ = false;
  std::size_t unfinished_ = 0;
  Order order_;
};

// First in, first out.
template <class T>
using queue = basic_queue<T, detail::fifo_order<T>>;

// Last in, first out.
template <class T>
using lifo_queue = basic_queue<T, detail::lifo_order<T>>;

// The greatest first, as std::priority_queue (std::greater<T> makes it the least); among equals,
// the one that was put first.
template <class T, class Compare = std::less<T>>
using priority_queue = basic_queue<T, detail::priority_order<T, Compare>>;

}  // namespace ramie
