// Fibers that depend on each other's results, as the rules of a makefile do:
//
//     ramie::graph<std::string, int> sums;
//     sums.spawn("c", {"a", "b"}, [](const auto& in) { return in.at("a") + in.at("b"); });
//     sums.spawn("a", {}, [] { return 1; });
//     sums.post("b", 2);
//     sums.get("c");   // 3
//
// The order of the calls doesn't matter: a fiber runs when all that it needs is there.
#pragma once

#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/sync.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace ramie {

// Any fiber and thread may use one.  Keys are ordered by <, and each has one value, or one
// exception, for good.
template <class Key, class T>
class graph {
 public:
  // At most so many of its functions run at the same time.
  explicit graph(std::size_t places = counting_semaphore<>::max())
      : places_(static_cast<std::ptrdiff_t>(places)) {}
  graph(const graph&) = delete;
  graph& operator=(const graph&) = delete;
  // Cancels what has not ended, and waits for it.
  ~graph() {
    this_fiber::cancellation_disabled quiet;
    fibers_.cancel();
    fibers_.join();
  }

  // What a function gets: the values of the keys that it needs.
  class inputs {
   public:
    // Throws std::out_of_range for a key that was not asked for.
    const T& at(const Key& key) const { return *values_.at(key); }
    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

   private:
    friend class graph;
    std::map<Key, const T*> values_;
  };

  // Gives a key its value.  Throws std::invalid_argument if the key has one, or a function.
  void post(const Key& key, T value) {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    node& made = claim(key);
    made.value.emplace(std::move(value));
    --unfinished_;
    changed_.notify_all();
  }

  // Runs f(inputs), or f(), as a fiber, once all of `needs` have values; what it returns is the
  // key's.  If it throws, or something that it needs has failed, the key has failed with that
  // exception.  Never waits.  Throws as post() does.
  template <class F>
  void spawn(const Key& key, std::vector<Key> needs, F f) {
    node* made;
    {
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(lock_);
      made = &claim(key);
      made->needs = std::move(needs);
      made->is_waiting = true;
      changed_.notify_all();  // wait() looks whether this one can ever run
    }
    try {
      fibers_.spawn([this, made, f = std::move(f)]() mutable { run(*made, f); });
    } catch (...) {
      fail(*made, std::current_exception());
      throw;
    }
  }

  // Waits until the key has a value.  The reference lives as long as the graph.  Throws what its
  // function has thrown.  Also for a key that nobody has named yet.  Switches fibers.
  const T& get(const Key& key) {
    std::unique_lock lock(lock_);
    changed_.wait(lock, [&] { return is_finished(key); });
    node& found = nodes_.at(key);
    if (found.failure) {
      std::rethrow_exception(found.failure);
    }
    return *found.value;
  }

  // Waits until all keys that were named have ended, and returns all values.  Throws the exception
  // of the first key, in their order, that has failed; std::logic_error if those that are left wait
  // for each other, or for keys that nobody has named: what another fiber posts has to be there.
  std::map<Key, T> wait() {
    std::unique_lock lock(lock_);
    changed_.wait(lock, [&] { return unfinished_ == 0 || is_stuck(); });
    if (unfinished_ > 0) {
      throw std::logic_error("graph: what is left waits for values that nobody makes");
    }
    std::map<Key, T> all;
    for (auto& [key, one] : nodes_) {
      if (one.failure) {
        std::rethrow_exception(one.failure);
      }
      all.emplace(key, *one.value);
    }
    return all;
  }

 private:
  struct node {
    std::vector<Key> needs;
    std::optional<T> value;
    std::exception_ptr failure;
    bool is_waiting = false;  // for what it needs
  };

  // All of these with the lock held.
  node& claim(const Key& key) {
    auto [place, is_new] = nodes_.try_emplace(key);
    if (!is_new) {
      throw std::invalid_argument("graph: a key is used twice");
    }
    ++unfinished_;
    return place->second;
  }
  bool is_finished(const Key& key) const {
    auto found = nodes_.find(key);
    return found != nodes_.end() && (found->second.value.has_value() || found->second.failure);
  }
  bool is_complete(const node& one) const {
    for (const Key& key : one.needs) {
      if (!is_finished(key)) {
        return false;
      }
    }
    return true;
  }
  bool is_stuck() const {
    for (const auto& [key, one] : nodes_) {
      bool is_over = one.value.has_value() || one.failure;
      if (!is_over && (!one.is_waiting || is_complete(one))) {
        return false;
      }
    }
    return true;
  }

  inputs collect(node& of) {
    std::unique_lock lock(lock_);
    changed_.wait(lock, [&] { return is_complete(of); });
    of.is_waiting = false;
    inputs found;
    for (const Key& key : of.needs) {
      node& needed = nodes_.at(key);
      if (needed.failure) {
        std::rethrow_exception(needed.failure);
      }
      found.values_.emplace(key, &*needed.value);
    }
    return found;
  }

  template <class F>
  void run(node& mine, F& f) {
    try {
      inputs found = collect(mine);
      places_.acquire();
      struct place {
        counting_semaphore<>& from;
        ~place() { from.release(); }
      } held{places_};
      std::optional<T> made;
      if constexpr (std::is_invocable_v<F&, const inputs&>) {
        made.emplace(std::invoke(f, found));
      } else {
        made.emplace(std::invoke(f));
      }
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(lock_);
      mine.value = std::move(made);
      --unfinished_;
      changed_.notify_all();
    } catch (...) {
      fail(mine, std::current_exception());
    }
  }

  void fail(node& mine, std::exception_ptr why) {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock lock(lock_);
    mine.failure = std::move(why);
    --unfinished_;
    changed_.notify_all();
  }

  mutex lock_;
  condition_variable changed_;  // a key has ended
  std::map<Key, node> nodes_;   // whose elements stay where they are
  std::size_t unfinished_ = 0;
  counting_semaphore<> places_;
  group fibers_;
};

}  // namespace ramie
