// What stands behind the handles of a greenlet, and how one switches to another.  Not part of the
// interface.
//
// Who holds a greenlet: its handles, its children (as their parent), and its fiber while it runs.
// It does not hold itself, and neither does its stack: otherwise one that stands still, and that
// nobody can name any more, would stay for ever.  So nothing that owns anything lies in the frames
// that wait in a switch; what was left is kept by the fiber until the next flow has arrived.
#pragma once

#include <ramie/detail/flow.h>
#include <ramie/detail/park.h>
#include <ramie/local.h>

#include <any>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace ramie {

// Ends a greenlet whose last handle is dropped; whoever throws it into another one ends that.
class greenlet_exit {
 public:
  [[nodiscard]] const char* what() const noexcept { return "the greenlet is to end"; }
};

namespace detail {

using greenlet_function = std::function<std::any(std::any)>;

// `root` is the flow of a fiber itself, which has always begun and never ends.
enum class greenlet_status : unsigned char { root, fresh, standing_or_running, dead };

// What a switch carries: an exception, or else a value.
struct greenlet_message {
  std::any value;
  std::exception_ptr exception;
};

struct greenlet_state;
using greenlet_pointer = std::shared_ptr<greenlet_state>;

// Of each fiber.
struct greenlet_home_state {
  greenlet_pointer running;
  greenlet_pointer left;  // by the switch under way

  [[nodiscard]] const greenlet_pointer& current();
};

inline greenlet_home_state& greenlet_home() {
  static fiber_local<greenlet_home_state> homes;
  return homes.get();
}

struct greenlet_state {
  using trace_function = void (*)(const greenlet_pointer& from, const greenlet_pointer& to,
                                  bool throws);
  static inline std::atomic<trace_function> trace = nullptr;

  greenlet_status status = greenlet_status::fresh;
  const void* owner = this_flow();  // the fiber
  greenlet_pointer parent;
  greenlet_function function;
  greenlet_message message;  // for it, when it goes on
  flow_place place;
  flow_stack stack;
  std::size_t stack_size = 0;
  std::string name;

  static greenlet_pointer make(std::size_t stack_size, const char* name,
                               greenlet_function function) {
    greenlet_pointer made(new greenlet_state, dispose);
    made->parent = greenlet_home().current();
    made->function = std::move(function);
    made->stack_size = stack_size;
    made->name = name;
    return made;
  }

  // Goes on at `target`; returns when somebody switches back to the caller.
  static std::any transfer(greenlet_pointer target, greenlet_message sent) {
    greenlet_home_state& home = greenlet_home();
    (void)home.current();
    if (target->owner != this_flow()) {
      throw std::logic_error("ramie::greenlet: it belongs to another fiber");
    }
    greenlet_state* self = home.running.get();
    target = receiver(std::move(target), sent);
    if (target->status == greenlet_status::fresh) {
      target->begin();
    }
    greenlet_state* next = target.get();
    next->message = std::move(sent);
    if (next != self) {
      call_trace(home.running, target, next->message.exception != nullptr);
      home.left = std::exchange(home.running, std::move(target));
      switch_between(self->place, next->place);
    }
    greenlet_message got = std::exchange(self->message, {});
    arrived();
    return opened(got);
  }

  void adopt(const greenlet_pointer& wanted) {
    if (status == greenlet_status::root || wanted == nullptr || wanted->owner != owner) {
      throw std::logic_error("ramie::greenlet: that can't be its parent");
    }
    for (const greenlet_state* one = wanted.get(); one != nullptr; one = one->parent.get()) {
      if (one == this) {
        throw std::logic_error("ramie::greenlet: it would be its own ancestor");
      }
    }
    parent = wanted;
  }

 private:
  // Who gets a message for `target`: the dead pass it on, and one that hasn't begun dies of an
  // exception.
  static greenlet_pointer receiver(greenlet_pointer target, greenlet_message& sent) {
    for (;;) {
      if (target->status == greenlet_status::fresh && sent.exception != nullptr) {
        target->status = greenlet_status::dead;
        target->function = nullptr;
        forgive_exit(sent);
      }
      if (target->status != greenlet_status::dead) {
        return target;
      }
      target = greenlet_pointer(target->parent);
    }
  }

  // The end that was asked for is no error.
  static void forgive_exit(greenlet_message& sent) {
    try {
      std::rethrow_exception(sent.exception);
    } catch (const greenlet_exit&) {
      sent.exception = nullptr;
    } catch (...) {
    }
  }

  static std::any opened(greenlet_message& got) {
    if (got.exception != nullptr) {
      std::rethrow_exception(std::exchange(got.exception, nullptr));
    }
    return std::move(got.value);
  }

  void begin() {
    stack.create(
        stack_size, name.c_str(), place,
        [](void* state) noexcept { run(static_cast<greenlet_state*>(state)); }, this);
    status = greenlet_status::standing_or_running;
  }

  // On the stack that goes on, once it has its message: what was left may go now, which may switch.
  static void arrived() {
    greenlet_pointer left = std::move(greenlet_home().left);
    if (left != nullptr && left->status == greenlet_status::dead) {
      left->stack.release();
    }
  }

  // The whole life on the greenlet's own stack.
  static void run(greenlet_state* self) noexcept {
    exception_account().restore();
    self->live(std::exchange(self->message, {}));
    greenlet_home_state& home = greenlet_home();
    greenlet_state* next = home.running.get();
    self->status = greenlet_status::dead;
    switch_between(self->place, next->place, true);
  }

  // Afterwards the next one is the one that counts as running, and this frame owns nothing.
  void live(greenlet_message first) noexcept {
    arrived();
    greenlet_message result;
    try {
      result.value = function(opened(first));
    } catch (...) {
      result.exception = std::current_exception();
    }
    if (result.exception != nullptr) {
      forgive_exit(result);
    }
    function = nullptr;
    greenlet_home_state& home = greenlet_home();
    greenlet_pointer next = receiver(parent, result);
    call_trace(home.running, next, result.exception != nullptr);
    if (next->status == greenlet_status::fresh) {
      next->begin();
    }
    next->message = std::move(result);
    home.left = std::exchange(home.running, std::move(next));
  }

  static void call_trace(const greenlet_pointer& from, const greenlet_pointer& to, bool throws) {
    if (trace_function hook = trace.load(std::memory_order_acquire)) {
      hook(from, to, throws);
    }
  }

  // The last one who knew it is gone.  If it stands in its function, that is ended here: by a new
  // owner, who waits for it as its parent.  One that goes on in spite of it is left where it
  // stands.
  static void dispose(greenlet_state* last) noexcept {
    if (last->status == greenlet_status::standing_or_running) {
      greenlet_pointer again(last, [](greenlet_state* state) {
        if (state->status != greenlet_status::standing_or_running) {
          delete state;
        }
      });
      again->owner = this_flow();
      try {
        again->parent = greenlet_home().current();
        (void)transfer(again, {{}, std::make_exception_ptr(greenlet_exit())});
      } catch (...) {
        // What it threw instead has nobody to go to.
      }
    } else {
      delete last;
    }
  }
};

inline const greenlet_pointer& greenlet_home_state::current() {
  if (running == nullptr) {
    running = std::make_shared<greenlet_state>();
    running->status = greenlet_status::root;
  }
  return running;
}

}  // namespace detail
}  // namespace ramie
