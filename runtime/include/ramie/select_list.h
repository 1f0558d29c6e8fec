// select() over cases whose number is known only when the program runs:
//
//     ramie::select_list inputs;
//     for (auto& line : lines) {
//       inputs.on_receive(*line, [](std::optional<std::string> text) { ... });
//     }
//     inputs.on_readable(0, [] { ... });
//     for (;;) {
//       std::size_t which = inputs.select();
//     }
#pragma once

#include <ramie/detail/channel_wait.h>
#include <ramie/detail/select_run.h>
#include <ramie/select.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace ramie {

// Cases as select.h has them, numbered from 0 in the order in which they were added.  A receive, a
// descriptor and the default happen as often as they are selected; a send and a time happen once
// and are spent.  For one fiber or thread at a time; what cases refer to must outlive them.
class select_list {
 public:
  // Each takes what the function of that name in select.h takes, and returns the case's number.
  // They never switch.
  template <class... Args>
  std::size_t on_receive(Args&&... args) {
    return add([&] { return ramie::on_receive(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_send(Args&&... args) {
    return add([&] { return ramie::on_send(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_timeout(Args&&... args) {
    return add([&] { return ramie::on_timeout(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_time(Args&&... args) {
    return add([&] { return ramie::on_time(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_ready(Args&&... args) {
    return add([&] { return ramie::on_ready(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_readable(Args&&... args) {
    return add([&] { return ramie::on_readable(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t on_writable(Args&&... args) {
    return add([&] { return ramie::on_writable(std::forward<Args>(args)...); });
  }
  template <class... Args>
  std::size_t otherwise(Args&&... args) {
    return add([&] { return ramie::otherwise(std::forward<Args>(args)...); });
  }

  // As ramie::select(): waits for one of the cases that are not spent, lets it happen, calls its
  // callback, and returns its number.  Switches fibers if it has to wait.  Throws std::logic_error
  // if no case is left, and what select() throws.
  std::size_t select() {
    std::vector<detail::select_case*> left;
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      if (!cases_[i]->is_spent()) {
        left.push_back(cases_[i].get());
        numbers.push_back(i);
      }
    }
    if (left.empty()) {
      throw std::logic_error("ramie::select_list: there is nothing to wait for");
    }
    return numbers[detail::run_select(left.data(), left.size())];
  }

  // How many cases there are, spent ones included.
  [[nodiscard]] std::size_t size() const noexcept { return cases_.size(); }
  void clear() noexcept { cases_.clear(); }

 private:
  // Cases stay where they are made.
  template <class Make>
  std::size_t add(Make make) {
    cases_.push_back(std::unique_ptr<detail::select_case>(new auto(make())));
    return cases_.size() - 1;
  }

  std::vector<std::unique_ptr<detail::select_case>> cases_;
};

}  // namespace ramie
