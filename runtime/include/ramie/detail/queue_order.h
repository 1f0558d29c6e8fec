// Which element of a queue is the next: the three orders of <ramie/queue.h>.  Not part of the
// interface.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace ramie::detail {

template <class T>
class fifo_order {
 public:
  [[nodiscard]] bool empty() const { return elements_.empty(); }
  [[nodiscard]] std::size_t size() const { return elements_.size(); }
  [[nodiscard]] const T& front() const { return elements_.front(); }
  void push(T&& value) { elements_.push_back(std::move(value)); }
  T pop() {
    T first = std::move(elements_.front());
    elements_.pop_front();
    return first;
  }

 private:
  std::deque<T> elements_;
};

template <class T>
class lifo_order {
 public:
  [[nodiscard]] bool empty() const { return elements_.empty(); }
  [[nodiscard]] std::size_t size() const { return elements_.size(); }
  [[nodiscard]] const T& front() const { return elements_.back(); }
  void push(T&& value) { elements_.push_back(std::move(value)); }
  T pop() {
    T last = std::move(elements_.back());
    elements_.pop_back();
    return last;
  }

 private:
  std::vector<T> elements_;
};

// A heap, whose entries are numbered so that equal ones keep their order.
template <class T, class Compare>
class priority_order {
 public:
  priority_order() = default;
  // Not explicit, so that a queue can be made with a comparison.
  priority_order(Compare compare) : later_{std::move(compare)} {}

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  [[nodiscard]] const T& front() const { return heap_.front().value; }
  void push(T&& value) {
    heap_.push_back({std::move(value), next_number_++});
    std::push_heap(heap_.begin(), heap_.end(), later_);
  }
  T pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later_);
    T first = std::move(heap_.back().value);
    heap_.pop_back();
    return first;
  }

 private:
  struct entry {
    T value;
    std::uint64_t number;
  };
  struct later {
    Compare compare;
    bool operator()(const entry& a, const entry& b) const {
      if (compare(a.value, b.value)) {
        return true;
      }
      return !compare(b.value, a.value) && a.number > b.number;
    }
  };

  std::vector<entry> heap_;
  std::uint64_t next_number_ = 0;
  later later_{};
};

}  // namespace ramie::detail
