// Waiting for several things: fibers, events, futures, and whatever else is `waitable`.
//
//     std::size_t first = ramie::wait_any(fetcher, stop_event);
//     ramie::wait_all(workers);
//     for (ramie::fiber<int>& one : ramie::as_completed(workers)) use(one.get());
//
// Each takes either the things themselves, or one range of them (of handles, or of pointers).  An
// index is the place among the arguments or in the range.  Nothing is taken from the things: a
// fiber that was waited for is still to be joined or asked for its result, and does so at once; a
// semaphore that had a unit may have none any more.
// _for and _until forms have a limit.  All switch fibers if they have to wait, and end by cancel()
// and by time-out scopes.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>
#include <ramie/detail/deadline.h>
#include <ramie/sync.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace ramie {

namespace detail {

template <class T>
concept has_key = requires(const T& thing) {
  { thing.key() } -> std::same_as<wait_key>;
};

}  // namespace detail

// What can be waited for: it calls a function once when it is ready, or at once if it is (as
// ramie::future does); or it has a key() as this library's own types have.
template <class T>
concept waitable = detail::has_key<std::remove_cvref_t<T>> ||
    requires(const std::remove_cvref_t<T>& thing, std::function<void()> f) {
  thing.when_ready(std::move(f));
};

// A range of waitable things, or of pointers to them.
template <class Range>
concept waitable_range =
    std::ranges::forward_range<Range> && !waitable<Range> &&
    (waitable<std::ranges::range_reference_t<Range>> ||
     requires(std::ranges::range_reference_t<Range> it) { requires waitable<decltype(*it)>; });

namespace detail {

template <class Element>
decltype(auto) pointed_to(Element& element) {
  if constexpr (waitable<Element&>) {
    return (element);
  } else {
    return *element;
  }
}

// The things that one caller waits for, and those that are ready and not yet given out.
class waiting {
 public:
  explicit waiting(std::size_t most) {
    open_watches(&set_);
    slots_.reserve(most);  // the library keeps their addresses
  }
  waiting(const waiting&) = delete;
  waiting& operator=(const waiting&) = delete;
  ~waiting() {
    for (slot& one : slots_) {
      if (one.is_watching) {
        end_watch(&one);
      }
    }
  }

  template <class Thing>
  void add(const Thing& thing) {
    slot& made = slots_.emplace_back();
    made.index = slots_.size() - 1;
    if constexpr (has_key<Thing>) {
      watch_key(made, thing.key());
    } else {
      made.bridge = std::make_shared<event>();
      thing.when_ready([bridge = made.bridge] { bridge->set(); });
      watch_key(made, made.bridge->key());
    }
  }

  // How many have not been given out.
  [[nodiscard]] std::size_t left() const noexcept { return slots_.size() - given_; }

  // The next one that is ready; none at the deadline.
  std::optional<std::size_t> next(std::int64_t deadline) {
    if (ready_.empty()) {
      watch* fired = wait_watches(&set_, deadline);
      if (!wait_done(fired != nullptr, deadline)) {
        return std::nullopt;
      }
      for (; fired != nullptr; fired = fired->next_fired) {
        ready_.push_front(static_cast<slot*>(fired)->index);
      }
    }
    std::size_t index = ready_.front();
    ready_.pop_front();
    ++given_;
    return index;
  }

 private:
  struct slot : watch {
    std::size_t index = 0;
    bool is_watching = false;
    std::shared_ptr<event> bridge;
  };

  void watch_key(slot& made, const wait_key& key) {
    made.is_watching = begin_watch(&made, &set_, key);
    if (!made.is_watching) {
      ready_.push_back(made.index);
    }
  }

  watch_set set_;
  std::vector<slot> slots_;
  std::deque<std::size_t> ready_;
  std::size_t given_ = 0;
};

template <class Range>
void add_all(waiting& all, Range& range) {
  for (auto&& one : range) {
    all.add(pointed_to(one));
  }
}

template <class Range>
std::size_t count(Range& range) {
  return static_cast<std::size_t>(std::ranges::distance(range));
}

// Up to n of them, in the order in which they became ready.
template <class Range>
std::vector<std::size_t> first_ready(Range& range, std::size_t n, std::int64_t deadline) {
  waiting all(count(range));
  add_all(all, range);
  std::vector<std::size_t> found;
  while (found.size() < n && all.left() > 0) {
    std::optional<std::size_t> index = all.next(deadline);
    if (!index.has_value()) {
      break;
    }
    found.push_back(*index);
  }
  return found;
}

template <class... Things>
std::optional<std::size_t> any_of(std::int64_t deadline, const Things&... things) {
  waiting all(sizeof...(Things));
  (all.add(things), ...);
  return all.next(deadline);
}

template <class Range>
std::optional<std::size_t> any_in(std::int64_t deadline, Range& range) {
  std::vector<std::size_t> found = first_ready(range, 1, deadline);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

template <class... Things>
bool all_of(std::int64_t deadline, const Things&... things) {
  waiting all(sizeof...(Things));
  (all.add(things), ...);
  while (all.left() > 0) {
    if (!all.next(deadline).has_value()) {
      return false;
    }
  }
  return true;
}

template <class Range>
bool all_in(std::int64_t deadline, Range& range) {
  std::size_t n = count(range);
  return first_ready(range, n, deadline).size() == n;
}

}  // namespace detail

// Waits until one is ready, and returns which.  At least one is needed.
template <waitable... Things>
std::size_t wait_any(const Things&... things) {
  static_assert(sizeof...(Things) > 0);
  return *detail::any_of(detail::never, things...);
}
template <waitable_range Range>
std::size_t wait_any(Range&& range) {
  return detail::any_in(detail::never, range).value();
}
// The same with a limit: none if that passed first.
template <class Rep, class Period, waitable... Things>
std::optional<std::size_t> wait_any_for(const std::chrono::duration<Rep, Period>& duration,
                                        const Things&... things) {
  return detail::any_of(detail::deadline_after(duration), things...);
}
template <class Rep, class Period, waitable_range Range>
std::optional<std::size_t> wait_any_for(const std::chrono::duration<Rep, Period>& duration,
                                        Range&& range) {
  return detail::any_in(detail::deadline_after(duration), range);
}

// Waits until all are ready.
template <waitable... Things>
void wait_all(const Things&... things) {
  (void)detail::all_of(detail::never, things...);
}
template <waitable_range Range>
void wait_all(Range&& range) {
  (void)detail::all_in(detail::never, range);
}
// The same with a limit: false if that passed first.
template <class Rep, class Period, waitable... Things>
[[nodiscard]] bool wait_all_for(const std::chrono::duration<Rep, Period>& duration,
                                const Things&... things) {
  return detail::all_of(detail::deadline_after(duration), things...);
}
template <class Rep, class Period, waitable_range Range>
[[nodiscard]] bool wait_all_for(const std::chrono::duration<Rep, Period>& duration, Range&& range) {
  return detail::all_in(detail::deadline_after(duration), range);
}

// Waits until n of a range are ready (all, if there are fewer), and returns which, in the order in
// which they became so.  With a limit, those that are by then.
template <waitable_range Range>
std::vector<std::size_t> wait_n(std::size_t n, Range&& range) {
  return detail::first_ready(range, n, detail::never);
}
template <class Rep, class Period, waitable_range Range>
std::vector<std::size_t> wait_n_for(const std::chrono::duration<Rep, Period>& duration,
                                    std::size_t n, Range&& range) {
  return detail::first_ready(range, n, detail::deadline_after(duration));
}

// The elements of a range in the order in which they become ready: an input range, to be read once.
// Each step waits for the next.  The range must stay as it is meanwhile.
template <waitable_range Range>
class as_completed {
 public:
  explicit as_completed(Range& range) : as_completed(range, detail::never) {}
  // Ends when the limit has passed, even if some are not ready.
  template <class Rep, class Period>
  as_completed(Range& range, const std::chrono::duration<Rep, Period>& limit)
      : as_completed(range, detail::deadline_after(limit)) {}
  as_completed(const as_completed&) = delete;
  as_completed& operator=(const as_completed&) = delete;

  class iterator {
   public:
    using value_type = std::ranges::range_value_t<Range>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(as_completed* of) : of_(of) { of_->advance(); }
    std::ranges::range_reference_t<Range> operator*() const { return *of_->current(); }
    iterator& operator++() {
      of_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) { return it.is_over(); }

   private:
    [[nodiscard]] bool is_over() const { return !of_->current_.has_value(); }

    as_completed* of_ = nullptr;
  };

  // Waits for the first one.
  iterator begin() { return iterator(this); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  as_completed(Range& range, std::int64_t deadline)
      : all_(detail::count(range)), deadline_(deadline) {
    for (auto it = std::ranges::begin(range); it != std::ranges::end(range); ++it) {
      places_.push_back(it);
    }
    detail::add_all(all_, range);
  }

  void advance() {
    current_.reset();
    if (all_.left() > 0) {
      current_ = all_.next(deadline_);
    }
  }
  [[nodiscard]] auto current() const { return places_[*current_]; }

  detail::waiting all_;
  std::int64_t deadline_;
  std::vector<std::ranges::iterator_t<Range>> places_;
  std::optional<std::size_t> current_;
};

}  // namespace ramie
