// One function over all elements of a range, by the fibers of a group or pool:
//
//     ramie::pool ten(10);
//     std::vector<page> pages = ramie::map(ten, fetch, urls);
//     for (page& one : ramie::imap_unordered(ten, fetch, urls)) show(one);   // as they come
//
// map() and starmap() wait for all results.  imap() and imap_unordered() give them out one by one,
// and start only as many fibers ahead of the reader as the pool has places (100 in a group without
// limit), so the range may be endless.
//
// The function is kept once and called by all fibers; each gets its element as a value.
#pragma once

#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/sync.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace ramie {

namespace detail {

template <class F, class Range>
using mapped = std::invoke_result_t<F&, std::ranges::range_value_t<Range>>;

// The fibers of a mapping that are under way, in the order of the elements.
template <class R>
class in_order {
 public:
  void add(fiber<R> made) { waiting_.push_back(std::move(made)); }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  fiber<R> take() {
    waiting_.front().join();  // before it is taken: an interruption must leave it here
    fiber<R> next = std::move(waiting_.front());
    waiting_.pop_front();
    return next;
  }
  void end() {
    this_fiber::cancellation_disabled quiet;
    kill_all(waiting_);
  }

 private:
  std::deque<fiber<R>> waiting_;
};

// The same, in the order in which they end.
template <class R>
class as_they_end {
 public:
  void add(fiber<R> made) {
    std::uint64_t id = made.id();
    fiber<R>& kept = waiting_.emplace(id, std::move(made)).first->second;
    (void)kept.link([shared = ended_, id] {
      this_fiber::cancellation_disabled quiet;
      std::scoped_lock lock(shared->lock);
      shared->ids.push_back(id);
      shared->more.notify_one();
    });
  }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  fiber<R> take() {
    std::unique_lock lock(ended_->lock);
    ended_->more.wait(lock, [&] { return !ended_->ids.empty(); });
    auto first = waiting_.find(ended_->ids.front());
    lock.unlock();
    first->second.join();  // as in_order: the link is called a moment before the end
    lock.lock();
    ended_->ids.pop_front();
    fiber<R> next = std::move(first->second);
    waiting_.erase(first);
    return next;
  }
  void end() {
    this_fiber::cancellation_disabled quiet;
    for (const auto& [id, one] : waiting_) {
      one.cancel();
    }
    for (const auto& [id, one] : waiting_) {
      one.join();
    }
  }

 private:
  struct queue {
    mutex lock;
    condition_variable more;
    std::deque<std::uint64_t> ids;
  };
  std::shared_ptr<queue> ended_ = std::make_shared<queue>();
  std::map<std::uint64_t, fiber<R>> waiting_;
};

// What imap() and imap_unordered() return: an input range, to be read once, by one fiber.  Keeps a
// range that was a temporary, and refers to one that wasn't.  (Not by std::views::all, which clang
// 14 can't compile with libstdc++ 12.)
template <class Range, class F, template <class> class Order>
class mapping {
 public:
  using result = mapped<F, Range>;
  static_assert(std::is_object_v<result>, "imap() needs a function that returns a value");

  mapping(group& by, F f, Range&& range)
      : by_(&by),
        function_(std::make_shared<F>(std::move(f))),
        range_(std::forward<Range>(range)) {}
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;
  // Cancels the fibers whose results nobody has read, and waits for them.
  ~mapping() { under_way_.end(); }

  class iterator {
   public:
    using value_type = result;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(mapping* of) : of_(of) { ++*this; }
    result& operator*() const { return *of_->current_; }
    result* operator->() const { return &*of_->current_; }
    // Waits for the next result; throws what the function threw for that element.
    iterator& operator++() {
      of_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) { return it.is_at_end(); }

   private:
    [[nodiscard]] bool is_at_end() const { return !of_->current_.has_value(); }

    mapping* of_ = nullptr;
  };

  // Waits for the first result.
  iterator begin() {
    next_ = std::ranges::begin(range_);
    return iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  static constexpr std::size_t kAhead = 100;

  void advance() {
    current_.reset();
    while (*next_ != std::ranges::end(range_) &&
           under_way_.size() < (by_->limit() == SIZE_MAX ? kAhead : by_->limit())) {
      under_way_.add(by_->submit(
          [f = function_](auto&& element) {
            return std::invoke(*f, std::forward<decltype(element)>(element));
          },
          std::ranges::range_value_t<Range>(**next_)));
      ++*next_;
    }
    if (under_way_.size() > 0) {
      current_.emplace(under_way_.take().get());
    }
  }

  group* by_;
  std::shared_ptr<F> function_;
  Range range_;
  std::optional<std::ranges::iterator_t<Range>> next_;
  std::optional<result> current_;
  Order<result> under_way_;
};

}  // namespace detail

// f(element) for all elements, and the results in their order; nothing if f returns void.  If some
// throw, the first of them in the range's order is what this throws, once the others have been
// cancelled and have ended.  Switches fibers.
template <class F, std::ranges::input_range Range>
auto map(group& by, F f, Range&& range) {
  using element = std::ranges::range_value_t<Range>;
  using R = detail::mapped<F, Range>;
  std::vector<fiber<R>> fibers;
  try {
    for (auto&& one : range) {
      fibers.push_back(by.submit([&f](auto&& kept) -> R { return std::invoke(f, std::move(kept)); },
                                 element(std::forward<decltype(one)>(one))));
    }
    if constexpr (std::is_void_v<R>) {
      for (auto& one : fibers) {
        one.get();
      }
    } else {
      std::vector<R> results;
      results.reserve(fibers.size());
      for (auto& one : fibers) {
        results.push_back(one.get());
      }
      return results;
    }
  } catch (...) {
    this_fiber::cancellation_disabled quiet;
    kill_all(fibers);
    for (const auto& one : fibers) {
      (void)one.exception();  // this one is thrown, the others are dropped
    }
    throw;
  }
}

// As map(), for elements that are tuples or pairs: f(first, second, ...).
template <class F, std::ranges::input_range Range>
auto starmap(group& by, F f, Range&& range) {
  return map(
      by,
      [f = std::move(f)](auto&& arguments) mutable -> decltype(auto) {
        return std::apply(f, std::forward<decltype(arguments)>(arguments));
      },
      std::forward<Range>(range));
}

// A range of the results f(element), to be read once, in the order of the elements.  What f throws
// for an element comes from the step to its result, and ends the reading.  The group, and a range
// that is no temporary, must outlive it.
template <class F, std::ranges::input_range Range>
auto imap(group& by, F f, Range&& range) {
  return detail::mapping<Range, F, detail::in_order>(by, std::move(f), std::forward<Range>(range));
}

// The same, in the order in which the results come.
template <class F, std::ranges::input_range Range>
auto imap_unordered(group& by, F f, Range&& range) {
  return detail::mapping<Range, F, detail::as_they_end>(by, std::move(f),
                                                        std::forward<Range>(range));
}

}  // namespace ramie
