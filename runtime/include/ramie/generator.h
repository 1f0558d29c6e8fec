// Generators with a stack of their own: a function that yields values, also from within the
// functions that it calls, and a loop that takes them.
//
//     ramie::generator<int> numbers([](auto& yield) {
//       for (int i = 0;; ++i) yield(i);
//     });
//     for (int i : numbers) if (i > 10) break;
//
// No scheduler is involved, and no fiber: the function runs when a value is asked for, as a part of
// the one who asks.  If it waits in a function of Ramie, so does he.
#pragma once

#include <ramie/detail/flow.h>
#include <ramie/fiber.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace ramie {

namespace detail {

// What ends a generator that nobody asks any more; passes through its function.
struct generator_abandoned {};

// All of a generator but the values.
class generator_flow {
 public:
  virtual ~generator_flow() = default;
  generator_flow(const generator_flow&) = delete;
  generator_flow& operator=(const generator_flow&) = delete;

  [[nodiscard]] bool is_done() const noexcept { return done_; }

  // Lets the function run until it yields or ends, and throws what it has thrown.
  void resume() {
    if (done_) {
      return;
    }
    if (running_) {
      throw std::logic_error("ramie::generator: it is running already");
    }
    go_on();
    if (exception_ != nullptr) {
      std::rethrow_exception(std::exchange(exception_, nullptr));
    }
  }

  // By the function.
  void suspend() {
    if (!abandoned_) {
      running_ = false;
      switch_between(place_, caller_);
    }
    if (abandoned_) {
      throw generator_abandoned();
    }
  }

 protected:
  explicit generator_flow(std::size_t stack_size) {
    stack_.create(
        stack_size, "generator", place_,
        [](void* self) noexcept { static_cast<generator_flow*>(self)->run(); }, this);
  }

  // Ends the function where it stands, if it has begun; its destructors run.
  void abandon() noexcept {
    abandoned_ = true;
    if (started_ && !done_) {
      go_on();
    }
  }

  virtual void call() = 0;

 private:
  void go_on() noexcept {
    started_ = true;
    running_ = true;
    switch_between(caller_, place_);
    if (done_) {
      stack_.release();
    }
  }

  void run() noexcept {
    exception_account().restore();
    try {
      call();
    } catch (const generator_abandoned&) {
    } catch (...) {
      exception_ = std::current_exception();
    }
    done_ = true;
    running_ = false;
    switch_between(place_, caller_, true);
  }

  flow_place place_;
  flow_place caller_;
  flow_stack stack_;
  std::exception_ptr exception_;
  bool started_ = false;
  bool running_ = false;
  bool done_ = false;
  bool abandoned_ = false;
};

}  // namespace detail

// Yields values of T, or, for a T&, references.  Moves, doesn't copy.  Not for two threads at once,
// but each value may be asked for by another fiber or thread.  Dropping a generator ends its
// function by an exception, thrown where that yields; a function that catches everything must throw
// it on.
template <class T>
class [[nodiscard]] generator {
  using value = std::remove_reference_t<T>;

 public:
  // What the function gets, to be called with each value; yields are no switches between fibers.
  class yielder {
   public:
    yielder(const yielder&) = delete;
    yielder& operator=(const yielder&) = delete;

    // Hands out a value, and returns when the next one is asked for.  Throws if the generator is
    // dropped meanwhile: let that pass.
    void operator()(T yielded) {
      flow_.current = std::addressof(yielded);
      flow_.suspend();
    }

   private:
    friend class generator;
    class flow_base;
    explicit yielder(flow_base& flow) : flow_(flow) {}
    flow_base& flow_;
  };

  // f(yielder&) is the function.  Throws std::system_error if there is no memory for a stack.
  template <class F>
  requires std::is_invocable_v<F&, yielder&>
  explicit generator(F f) : generator(fiber_attributes{}, std::move(f)) {}
  // Of the attributes, only the size of the stack counts.
  template <class F>
  requires std::is_invocable_v<F&, yielder&> generator(const fiber_attributes& attributes, F f)
      : flow_(std::make_unique<flow<F>>(attributes.stack_size, std::move(f))) {}

  generator(generator&&) noexcept = default;
  generator& operator=(generator&&) noexcept = default;

  // The next value, or nothing after the end.  Throws what the function throws.  Not for a T&.
  std::optional<value> next() requires(!std::is_reference_v<T>) {
    advance(*flow_);
    if (flow_->current == nullptr) {
      return std::nullopt;
    }
    return std::optional<value>(std::move(*flow_->current));
  }

  // Each step lets the function run to its next value, which lives until the next step.
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::remove_cv_t<value>;
    using difference_type = std::ptrdiff_t;
    using pointer = value*;
    using reference = value&;

    iterator() = default;
    value& operator*() const { return *flow_->current; }
    value* operator->() const { return flow_->current; }
    iterator& operator++() {
      advance(*flow_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) {
      return it.flow_ == nullptr || it.flow_->current == nullptr;
    }

   private:
    friend class generator;
    explicit iterator(typename yielder::flow_base& flow) : flow_(&flow) {}
    typename yielder::flow_base* flow_ = nullptr;
  };

  // Asks for the next value; so a loop goes on where the last one stopped.
  [[nodiscard]] iterator begin() {
    advance(*flow_);
    return iterator(*flow_);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  static void advance(typename yielder::flow_base& flow) {
    flow.current = nullptr;
    flow.resume();
  }

  template <class F>
  class flow final : public yielder::flow_base {
   public:
    flow(std::size_t stack_size, F f) : yielder::flow_base(stack_size), f_(std::move(f)) {}
    ~flow() override { this->abandon(); }

   private:
    void call() override {
      yielder yield(*this);
      std::invoke(f_, yield);
      this->current = nullptr;
    }
    F f_;
  };

  std::unique_ptr<typename yielder::flow_base> flow_;
};

template <class T>
class generator<T>::yielder::flow_base : public detail::generator_flow {
 public:
  using generator_flow::generator_flow;
  std::remove_reference_t<T>* current = nullptr;  // lies on the function's stack
};

}  // namespace ramie
