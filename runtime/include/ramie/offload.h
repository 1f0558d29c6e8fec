// Work that would block a kernel thread, a library's call or a computation, on kernel threads of
// its own, while the calling fiber waits and others run:
//
//     int size = ramie::offload([&] { return compress(buffer); });
//
// Threads are started when they are needed, and end when they have had nothing to do for a while.
// Under `ramie run` they are threads of the program like any other, so fibers themselves.
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/abi.h>
#include <ramie/detail/task.h>
#include <ramie/sync.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

namespace ramie {

// Any thread and fiber may use one.
class offload_pool {
 public:
  // Up to `most` threads; one that is idle for `idle` ends.
  explicit offload_pool(std::size_t most, std::chrono::milliseconds idle = std::chrono::seconds(5))
      : state_(std::make_shared<state>()) {
    state_->most = most == 0 ? 1 : most;
    state_->idle_time = idle;
  }
  offload_pool(const offload_pool&) = delete;
  offload_pool& operator=(const offload_pool&) = delete;
  // Idle threads end.  No run() may be under way.
  ~offload_pool() {
    std::scoped_lock lock(state_->lock);
    state_->is_ending = true;
    state_->changed.notify_all();
  }

  // Calls f() on one of the pool's threads and returns what it returns, or throws what it throws.
  // Waits for a thread if all are at work.  The call can't be cut short: neither cancel() nor a
  // time-out scope ends this wait.  f must not count on the fiber's thread-locals or locks.  Throws
  // std::system_error if no thread can be started.  Switches fibers.
  template <class F>
  decltype(auto) run(F&& f) {
    using R = std::invoke_result_t<F>;
    typed_job<R, F> mine(f);
    submit(mine);
    {
      this_fiber::cancellation_disabled quiet;
      mine.done.wait();
    }
    if (mine.exception) {
      std::rethrow_exception(mine.exception);
    }
    return static_cast<R>(mine.value.take());
  }

  // How many threads there are now.
  [[nodiscard]] std::size_t threads() const {
    std::scoped_lock lock(state_->lock);
    return state_->threads;
  }

 private:
  // On the stack of the fiber that waits.
  struct job {
    virtual void call() noexcept = 0;
    event done;

   protected:
    ~job() = default;
  };
  template <class R, class F>
  struct typed_job final : job {
    explicit typed_job(F& f) : function(f) {}
    void call() noexcept override {
      try {
        value.store([this]() -> R { return std::invoke(std::forward<F>(function)); });
      } catch (...) {
        exception = std::current_exception();
      }
    }
    F& function;
    detail::result<R> value;
    std::exception_ptr exception;
  };

  // Shared with the threads, which may outlive the pool.  The lock is held for moments and never
  // across a wait of a fiber, so an ordinary one serves.
  struct state {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<job*> jobs;
    std::size_t most = 1;
    std::size_t threads = 0;
    std::size_t idle = 0;
    std::chrono::milliseconds idle_time{};
    bool is_ending = false;
  };

  void submit(job& added) {
    std::scoped_lock lock(state_->lock);
    state_->jobs.push_back(&added);
    if (state_->jobs.size() > state_->idle && state_->threads < state_->most) {
      try {
        std::thread(work, state_).detach();
        ++state_->threads;
      } catch (const std::system_error&) {
        if (state_->threads == 0) {
          state_->jobs.pop_back();
          throw;
        }
      }
    }
    detail::outside_work(true);
    state_->changed.notify_one();
  }

  static void work(const std::shared_ptr<state>& shared) {
    std::unique_lock lock(shared->lock);
    for (;;) {
      if (!shared->jobs.empty()) {
        job* next = shared->jobs.front();
        shared->jobs.pop_front();
        lock.unlock();
        next->call();
        next->done.set();  // from here on it may be gone
        detail::outside_work(false);
        lock.lock();
        continue;
      }
      ++shared->idle;
      bool came = shared->changed.wait_for(
          lock, shared->idle_time, [&] { return !shared->jobs.empty() || shared->is_ending; });
      --shared->idle;
      if (!came || (shared->is_ending && shared->jobs.empty())) {
        --shared->threads;
        return;
      }
    }
  }

  std::shared_ptr<state> state_;
};

namespace detail {

// The pool of offload(): never destroyed, as its threads may be at work when the program ends, and
// a new one in the child of a fork, where there are no threads.
inline offload_pool& common_offload_pool() {
  constexpr std::size_t most = 64;
  struct owned {
    ::pid_t process;
    offload_pool pool;
  };
  static std::atomic<owned*> common = nullptr;
  owned* found = common.load(std::memory_order_acquire);
  if (found == nullptr || found->process != ::getpid()) {
    auto* made = new owned{::getpid(), offload_pool(most)};
    if (common.compare_exchange_strong(found, made, std::memory_order_acq_rel)) {
      return made->pool;
    }
    delete made;  // another thread was first
  }
  return found->pool;
}

}  // namespace detail

// offload_pool::run() on a pool of the process, of at most 64 threads.
template <class F>
decltype(auto) offload(F&& f) {
  return detail::common_offload_pool().run(std::forward<F>(f));
}

}  // namespace ramie
