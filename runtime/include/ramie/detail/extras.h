// What the headers keep for each fiber beside its function: who wants to hear of its end, its stop
// source, its fiber-local and inherited values.  Not part of the interface.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/spawn_site.h>
#include <sys/single_threaded.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

namespace ramie::detail {

// A callback for the end of a fiber, in the fiber's list and in the hands of a ramie::link.
class link_node {
 public:
  link_node() = default;
  link_node(const link_node&) = delete;
  link_node& operator=(const link_node&) = delete;
  virtual ~link_node() = default;

  // By the ending fiber, or by who comes later.
  void fire(task_base& task, const control* fiber) noexcept {
    if (disarm()) {
      call(task, fiber);
    }
  }
  // True for one caller: the callback either runs or has been taken back.
  bool disarm() noexcept { return armed_.exchange(false, std::memory_order_acq_rel); }

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }

  link_node* next = nullptr;

 private:
  virtual void call(task_base& task, const control* fiber) noexcept = 0;

  std::atomic<bool> armed_ = true;
  std::atomic<std::uint32_t> references_ = 1;
};

// The callbacks of one fiber.  The head is a stack of nodes until the fiber's function has ended,
// and then, for ever, the mark `closed`.
class link_list {
 public:
  // False when the function has ended: nobody will fire the node.
  [[nodiscard]] bool add(link_node* node) noexcept {
    link_node* head = head_.load(std::memory_order_acquire);
    do {
      if (head == closed()) {
        return false;
      }
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_release,
                                          std::memory_order_acquire));
    return true;
  }

  [[nodiscard]] bool is_closed() const noexcept {
    return head_.load(std::memory_order_acquire) == closed();  // pairs with close()
  }

  // The nodes in the order in which they came.
  [[nodiscard]] link_node* close() noexcept {
    link_node* newest;
    // A locked instruction costs as much as ten others, and waits besides for what was written
    // before, which in a burst of fibers is not in the cache.
    if (__libc_single_threaded != 0) {
      newest = head_.load(std::memory_order_relaxed);
      head_.store(closed(), std::memory_order_relaxed);
    } else {
      newest = head_.exchange(closed(), std::memory_order_acq_rel);
    }
    link_node* oldest = nullptr;
    while (newest != nullptr) {
      link_node* next = std::exchange(newest->next, oldest);
      oldest = std::exchange(newest, next);
    }
    return oldest;
  }

 private:
  // An address that no node has.
  link_node* closed() const noexcept {
    return reinterpret_cast<link_node*>(const_cast<std::atomic<link_node*>*>(&head_));
  }

  std::atomic<link_node*> head_ = nullptr;
};

// Inherited values: an immutable list that shares its tail with the lists of other fibers.
class context_node {
 public:
  context_node(const void* key, context_node* next) noexcept : key_(key), next_(next) {}
  context_node(const context_node&) = delete;
  context_node& operator=(const context_node&) = delete;

  [[nodiscard]] const void* key() const noexcept { return key_; }
  [[nodiscard]] context_node* next() const noexcept { return next_; }

  static context_node* retain(context_node* node) noexcept {
    if (node != nullptr) {
      node->references_.fetch_add(1, std::memory_order_relaxed);
    }
    return node;
  }
  static void release(context_node* node) noexcept {
    while (node != nullptr && node->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      context_node* next = node->next_;
      delete node;
      node = next;
    }
  }

 protected:
  virtual ~context_node() = default;

 private:
  const void* key_;
  context_node* next_;
  std::atomic<std::uint32_t> references_ = 1;
};

// The values that one fiber, or one kernel thread, has of all fiber_local objects.
class local_values {
 public:
  local_values() = default;
  local_values(const local_values&) = delete;
  local_values& operator=(const local_values&) = delete;
  ~local_values() { clear(); }

  [[nodiscard]] void* find(std::uint64_t key) const noexcept {
    for (const entry& one : entries_) {
      if (one.key == key) {
        return one.value;
      }
    }
    return nullptr;
  }
  void add(std::uint64_t key, void* value, void (*destroy)(void*)) {
    entries_.push_back({key, value, destroy});
  }
  void remove(std::uint64_t key) noexcept {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].key == key) {
        entry gone = entries_[i];
        entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
        gone.destroy(gone.value);
        return;
      }
    }
  }
  // The newest first; a destructor may add others.
  void clear() noexcept {
    while (!entries_.empty()) {
      entry gone = entries_.back();
      entries_.pop_back();
      gone.destroy(gone.value);
    }
  }

 private:
  struct entry {
    std::uint64_t key;
    void* value;
    void (*destroy)(void*);
  };
  std::vector<entry> entries_;
};

// What few fibers have: made at the first use.
struct storage {
  storage() = default;
  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;
  ~storage() { context_node::release(context); }

  local_values locals;
  context_node* context = nullptr;
  std::stop_source stop{std::nostopstate};
  spawn_site site;
};

// Lies in a fiber's task, where every byte counts: stacks are far apart, so a burst of fibers
// misses the caches once for each line of memory that a fiber touches.
struct extras {
  link_list links;
  std::unique_ptr<storage> stored;
  std::atomic<bool> has_started = false;
  // Somebody was told of the exception; it isn't lost then.
  std::atomic<bool> is_observed = false;
  bool is_on_heap = false;  // the task

  [[nodiscard]] spawn_site site() const noexcept {
    return stored == nullptr ? spawn_site() : stored->site;
  }
};

// Where the running code finds its values: a fiber in its task, a kernel thread (its main flow, or
// a hosted one) in a thread-local.  Light fibers never leave their kernel thread, so the address of
// a thread-local stays right across switches.
inline std::unique_ptr<storage>& storage_place() noexcept {
  task_base* task = current_task();
  if (task != nullptr && task->extras != nullptr) {
    return task->extras->stored;
  }
  static thread_local std::unique_ptr<storage> of_thread;
  return of_thread;
}

// Null if there is none yet.
inline storage* find_storage() noexcept { return storage_place().get(); }

inline storage& current_storage() {
  std::unique_ptr<storage>& place = storage_place();
  if (place == nullptr) {
    place = std::make_unique<storage>();
  }
  return *place;
}

// The innermost binding of the running code.
inline context_node* current_context() noexcept {
  storage* stored = find_storage();
  return stored == nullptr ? nullptr : stored->context;
}

}  // namespace ramie::detail
