// What a range-for loop over a queue or a channel uses: takes element after element until nothing
// comes any more.  Not part of the interface.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

namespace ramie::detail {

// Source has take_next(), which waits for an element and returns nothing when there will be none.
template <class Source>
class drain_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = typename Source::value_type;
  using difference_type = std::ptrdiff_t;
  using pointer = value_type*;
  using reference = value_type&;

  drain_iterator() = default;
  explicit drain_iterator(Source& from)
      : from_(&from), current_(std::make_shared<std::optional<value_type>>(from.take_next())) {}

  value_type& operator*() const { return **current_; }
  value_type* operator->() const { return &**current_; }
  drain_iterator& operator++() {
    current_->reset();
    if (std::optional<value_type> next = from_->take_next()) {
      current_->emplace(*std::move(next));
    }
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const drain_iterator& it, std::default_sentinel_t) {
    return it.current_ == nullptr || !it.current_->has_value();
  }

 private:
  Source* from_ = nullptr;
  std::shared_ptr<std::optional<value_type>> current_;  // shared, since iterators are copied
};

}  // namespace ramie::detail
