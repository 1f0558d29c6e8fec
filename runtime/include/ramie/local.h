// Values that each fiber has for itself: fiber_local, which starts anew in each fiber, as a
// thread_local does in each thread; and context_value, which a fiber inherits from its spawner.
//
//     ramie::fiber_local<parser> scratch;
//     ramie::context_value<std::string> user;
//
//     ramie::context_scope as(user, "anna");
//     ramie::spawn([] { log(*user.find()); scratch->reset(); });
//
// A flow that is no spawned fiber (a kernel thread, a thread hosted by `ramie run`) has values of
// its own, too.
#pragma once

#include <ramie/detail/extras.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {
inline std::uint64_t next_local_key() noexcept {
  static std::atomic<std::uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}
}  // namespace detail

// One object, mostly a static one, stands for one value in each fiber.  The value is made at the
// first use, by T() or by the function given; it is destroyed at the end of the fiber (of the
// thread), on it, the newest value first.  Values outlive the fiber_local object itself if fibers
// do.  An access costs a search through the values that the fiber has.
template <class T>
class fiber_local {
 public:
  fiber_local() requires std::is_default_constructible_v<T> : make_([] { return new T(); }) {}
  // Each value is what `make` returns then.
  explicit fiber_local(std::function<T()> make)
      : make_([make = std::move(make)] { return new T(make()); }) {}
  fiber_local(const fiber_local&) = delete;
  fiber_local& operator=(const fiber_local&) = delete;

  // This fiber's value.  The reference is valid until the fiber ends or resets it.
  [[nodiscard]] T& get() const {
    detail::local_values& values = detail::current_storage().locals;
    if (void* found = values.find(key_)) {
      return *static_cast<T*>(found);
    }
    std::unique_ptr<T> made(make_());
    values.add(key_, made.get(), [](void* value) { delete static_cast<T*>(value); });
    return *made.release();
  }
  [[nodiscard]] T& operator*() const { return get(); }
  [[nodiscard]] T* operator->() const { return &get(); }

  // Whether this fiber has a value already.
  [[nodiscard]] bool has_value() const noexcept {
    detail::storage* stored = detail::find_storage();
    return stored != nullptr && stored->locals.find(key_) != nullptr;
  }

  // Destroys this fiber's value, if there is one.
  void reset() const noexcept {
    if (detail::storage* stored = detail::find_storage()) {
      stored->locals.remove(key_);
    }
  }

 private:
  // A number, not the address: an object at the same place later must not find these values.
  std::uint64_t key_ = detail::next_local_key();
  std::function<T*()> make_;
};

template <class T>
class context_scope;

// A value that is bound for a stretch of code, and that every fiber which is spawned in it inherits
// as it was at that moment: a user, a request's number, a logger.  It must outlive all fibers that
// may ask for it, so make it static.
template <class T>
class context_value {
 public:
  context_value() = default;
  context_value(const context_value&) = delete;
  context_value& operator=(const context_value&) = delete;

  // The innermost binding around this code, or the inherited one; null without any.  Valid as long
  // as that binding, or this fiber, lives.
  [[nodiscard]] const T* find() const noexcept {
    for (const auto* node = detail::current_context(); node != nullptr; node = node->next()) {
      if (node->key() == this) {
        return &static_cast<const binding*>(node)->value;
      }
    }
    return nullptr;
  }

  // The same, or `otherwise`.
  [[nodiscard]] T get_or(T otherwise) const {
    const T* found = find();
    return found == nullptr ? std::move(otherwise) : *found;
  }

 private:
  friend class context_scope<T>;

  struct binding final : detail::context_node {
    template <class... Args>
    binding(const void* key, detail::context_node* next, Args&&... args)
        : context_node(key, next), value(std::forward<Args>(args)...) {}
    const T value;
  };
};

// Binds a value until the scope is left.  Scopes of one fiber nest; they neither move nor copy.
template <class T>
class [[nodiscard]] context_scope {
 public:
  template <class... Args>
  explicit context_scope(const context_value<T>& variable, Args&&... args)
      : before_(detail::current_context()) {
    detail::current_storage().context =
        new typename context_value<T>::binding(&variable, before_, std::forward<Args>(args)...);
    detail::context_node::retain(before_);  // the scope's own; the binding has the storage's
  }
  ~context_scope() {
    detail::storage& mine = detail::current_storage();
    detail::context_node::release(std::exchange(mine.context, before_));
  }
  context_scope(const context_scope&) = delete;
  context_scope& operator=(const context_scope&) = delete;

 private:
  detail::context_node* before_;
};

}  // namespace ramie
