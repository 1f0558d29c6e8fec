// How operations on channels wait for each other: the part without the elements.  Not part of the
// interface.
//
// An operation (a send, a receive, or a select of several) that can't be done at once puts a
// channel_waiter into the list of each channel it is about, and waits on the word of its
// channel_wait:
//
// | word    | means                                                                           |
// |---------|---------------------------------------------------------------------------------|
// | waiting | nobody has chosen this operation                                                |
// | claimed | a partner has, or the operation itself when it gives up: no other one may       |
// | done    | the partner is through: the element is moved; nothing of it is touched any more |
//
// A partner claims, moves the element and says `done`, all of it with the channel locked.  So who
// gives up and finds himself claimed locks the channel, and then it is done.
#pragma once

#include <ramie/detail/inner_mutex.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ramie::detail {

inline constexpr std::int64_t no_wait = std::numeric_limits<std::int64_t>::min();

class channel_wait {
 public:
  // Which case was chosen, and whether the channel was open: for the operation, once it is done.
  std::size_t chosen = 0;
  bool ok = false;

  [[nodiscard]] bool try_claim() noexcept {
    std::uint32_t seen = waiting;
    return word_.compare_exchange_strong(seen, claimed, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  // By who claimed it.  The operation may be gone afterwards.
  void finish(std::size_t index, bool open) noexcept {
    chosen = index;
    ok = open;
    const void* address = &word_;
    word_.store(done, std::memory_order_release);  // pairs with wait() and is_done()
    unpark_on(address, 1);
  }

  [[nodiscard]] bool is_done() const noexcept {
    return word_.load(std::memory_order_acquire) == done;
  }

  // True if it is done.  False at the deadline, at an interruption, or while it is claimed.
  [[nodiscard]] bool wait(std::int64_t deadline) const noexcept {
    for (;;) {
      std::uint32_t seen = word_.load(std::memory_order_acquire);
      if (seen != waiting) {
        return seen == done;
      }
      parked how = park_on(word_, waiting, deadline);
      if (how == parked::timed_out || how == parked::cancelled) {
        return is_done();
      }
    }
  }

 private:
  enum : std::uint32_t { waiting, claimed, done };

  word word_ = waiting;
};

struct channel_waiter {
  channel_waiter* before = nullptr;
  channel_waiter* next = nullptr;
  bool is_listed = false;
  channel_wait* operation = nullptr;
  std::size_t index = 0;    // of the case
  void* element = nullptr;  // where it is to be moved from (a T) or to (a std::optional<T>)
};

// The list of a channel's senders or receivers, guarded by the channel's lock.
class channel_waiters {
 public:
  void push(channel_waiter& added) noexcept {
    added.before = last_;
    added.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &added;
    last_ = &added;
    added.is_listed = true;
  }

  void remove(channel_waiter& removed) noexcept {
    if (removed.is_listed) {
      (removed.before == nullptr ? first_ : removed.before->next) = removed.next;
      (removed.next == nullptr ? last_ : removed.next->before) = removed.before;
      removed.is_listed = false;
    }
  }

  // The first one that nobody else has chosen, claimed; or null.
  [[nodiscard]] channel_waiter* take() noexcept {
    while (channel_waiter* first = first_) {
      remove(*first);
      if (first->operation->try_claim()) {
        return first;
      }
    }
    return nullptr;
  }

  // Tells all of them that the channel is closed.
  void close() noexcept {
    while (channel_waiter* waiter = take()) {
      waiter->operation->finish(waiter->index, false);
    }
  }

 private:
  channel_waiter* first_ = nullptr;
  channel_waiter* last_ = nullptr;
};

// What select() does with a case.  With the lock held where there is one.
class select_case {
 public:
  select_case() = default;
  select_case(const select_case&) = delete;
  select_case& operator=(const select_case&) = delete;
  virtual ~select_case() = default;

  [[nodiscard]] virtual inner_mutex* lock() noexcept { return nullptr; }
  // Before any lock is taken: looks at what has none.
  virtual void look() {}
  // Does it, if that is possible now.
  [[nodiscard]] virtual bool try_now() { return false; }
  // Begins and ends to wait.  Without a lock, the two may switch fibers.
  virtual void begin(channel_wait&, std::size_t) {}
  virtual void end() noexcept {}
  [[nodiscard]] virtual std::int64_t deadline() const noexcept { return never; }
  [[nodiscard]] virtual bool is_default() const noexcept { return false; }
  // It has happened, and can't again.
  [[nodiscard]] virtual bool is_spent() const noexcept { return false; }
  // Once everything is unlocked: calls what is to be called.
  virtual void fire(bool ok) = 0;
};

}  // namespace ramie::detail
