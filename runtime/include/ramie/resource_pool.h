// A pool of things that are dear to make, such as connections to a database:
//
//     ramie::resource_pool<connection> database([] { return connection("..."); }, {.max = 10});
//     auto db = database.acquire();    // waits while ten are in use
//     db->query("...");                // goes back when `db` is dropped
//     if (db->is_broken()) db.discard();
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/deadline.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace ramie {

// How many a pool keeps, and for how long.
struct resource_limits {
  std::size_t min = 0;  // so many are kept, even if they are idle for long
  std::size_t max = 10;
  // One that has been idle, or has existed, for longer is not handed out again.
  std::chrono::nanoseconds max_idle = std::chrono::nanoseconds::max();
  std::chrono::nanoseconds max_age = std::chrono::nanoseconds::max();
};

// Any fiber and thread may use one.  Those that are idle for too long are destroyed when the pool
// is used next, or by trim().  The one that was used last is handed out first.
template <class T>
class resource_pool {
  using clock = std::chrono::steady_clock;
  struct item {
    T value;
    clock::time_point made;
    clock::time_point idle_since;
  };

 public:
  // `make` makes one, and may wait and throw.  `is_usable`, if given, is asked before an idle one
  // is handed out; it may wait and throw, too, and the one in question is destroyed then.
  explicit resource_pool(std::function<T()> make, const resource_limits& limits = {},
                         std::function<bool(T&)> is_usable = nullptr)
      : make_(std::move(make)),
        is_usable_(std::move(is_usable)),
        limits_(limits),
        free_(static_cast<std::ptrdiff_t>(limits.max)) {}
  resource_pool(const resource_pool&) = delete;
  resource_pool& operator=(const resource_pool&) = delete;
  // All leases must have been dropped.
  ~resource_pool() = default;

  // One of the things, until it is dropped.  Moves, doesn't copy.
  class [[nodiscard]] lease {
   public:
    lease() noexcept = default;
    lease(lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), item_(std::move(other.item_)) {}
    lease& operator=(lease&& other) noexcept {
      if (this != &other) {
        give_back();
        pool_ = std::exchange(other.pool_, nullptr);
        item_ = std::move(other.item_);
      }
      return *this;
    }
    ~lease() { give_back(); }

    // The thing; only where there is one, which the lease says as a bool.
    [[nodiscard]] T& operator*() const noexcept { return item_->value; }
    [[nodiscard]] T* operator->() const noexcept { return &item_->value; }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

    // Gives it back now.
    void give_back() noexcept {
      if (resource_pool* pool = std::exchange(pool_, nullptr)) {
        pool->take_back(std::move(item_));
      }
    }
    // Destroys it instead: it is broken, or in a state that the next user must not see.
    void discard() noexcept {
      if (resource_pool* pool = std::exchange(pool_, nullptr)) {
        pool->drop(std::move(item_));
      }
    }

   private:
    friend class resource_pool;
    lease(resource_pool* pool, std::unique_ptr<item> of) noexcept
        : pool_(pool), item_(std::move(of)) {}

    resource_pool* pool_ = nullptr;
    std::unique_ptr<item> item_;
  };

  // An idle one or, while there are fewer than max, a new one; waits until one comes back.  Throws
  // what `make` throws.  Switches fibers if it waits, or `make` does.
  [[nodiscard]] lease acquire() {
    free_.acquire();
    return hand_out();
  }
  // The same with a limit on the wait; an empty lease if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] lease acquire_for(const std::chrono::duration<Rep, Period>& duration) {
    return free_.try_acquire_for(duration) ? hand_out() : lease();
  }
  // Only if that needs no waiting for others.
  [[nodiscard]] lease try_acquire() { return free_.try_acquire() ? hand_out() : lease(); }

  // Destroys those that have been idle, or have existed, for too long, and makes new ones up to
  // min.
  void trim() {
    {
      std::vector<std::unique_ptr<item>> old;  // destroyed without the lock: that may wait
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(lock_);
      take_old(old);
    }
    while (size() < limits_.min && free_.try_acquire()) {
      try {
        take_back(make_one());
      } catch (...) {
        free_.release();
        throw;
      }
    }
  }

  // How many exist, and how many of them are idle.
  [[nodiscard]] std::size_t size() const {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    return size_;
  }
  [[nodiscard]] std::size_t idle() const {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    return idle_.size();
  }

 private:
  bool is_old(const item& one, clock::time_point now) const {
    return now - one.made > limits_.max_age ||
           (now - one.idle_since > limits_.max_idle && size_ > limits_.min);
  }

  // With the lock held.
  void take_old(std::vector<std::unique_ptr<item>>& old) {
    auto now = clock::now();
    for (auto one = idle_.begin(); one != idle_.end();) {
      if (is_old(**one, now)) {
        old.push_back(std::move(*one));
        one = idle_.erase(one);
        --size_;
      } else {
        ++one;
      }
    }
  }

  // With a place taken from free_, which goes back if this throws.
  lease hand_out() {
    try {
      while (std::unique_ptr<item> one = take_idle()) {
        if (is_still_usable(one)) {
          return lease(this, std::move(one));
        }
      }
      return lease(this, make_one());
    } catch (...) {
      free_.release();
      throw;
    }
  }

  // If not, or if the question throws, it is destroyed.
  bool is_still_usable(std::unique_ptr<item>& one) {
    try {
      if (!is_usable_ || is_usable_(one->value)) {
        return true;
      }
    } catch (...) {
      destroy(std::move(one));
      throw;
    }
    destroy(std::move(one));
    return false;
  }

  std::unique_ptr<item> take_idle() {
    std::vector<std::unique_ptr<item>> old;
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    take_old(old);
    if (idle_.empty()) {
      return nullptr;
    }
    std::unique_ptr<item> last = std::move(idle_.back());
    idle_.pop_back();
    return last;
  }

  std::unique_ptr<item> make_one() {
    {
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(lock_);
      ++size_;
    }
    try {
      auto now = clock::now();
      return std::unique_ptr<item>(new item{make_(), now, now});
    } catch (...) {
      forget_one();
      throw;
    }
  }

  void forget_one() noexcept {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    --size_;
  }

  void take_back(std::unique_ptr<item> one) noexcept {
    one->idle_since = clock::now();
    if (one->idle_since - one->made > limits_.max_age) {
      drop(std::move(one));
      return;
    }
    {
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(lock_);
      idle_.push_back(std::move(one));
    }
    free_.release();
  }

  void destroy(std::unique_ptr<item> one) noexcept {
    one.reset();
    forget_one();
  }

  void drop(std::unique_ptr<item> one) noexcept {
    destroy(std::move(one));
    free_.release();
  }

  std::function<T()> make_;
  std::function<bool(T&)> is_usable_;
  resource_limits limits_;
  counting_semaphore<> free_;  // places that are not leased
  mutable mutex lock_;
  std::vector<std::unique_ptr<item>> idle_;  // the one used last at the end
  std::size_t size_ = 0;
};

}  // namespace ramie
