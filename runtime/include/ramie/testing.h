// For tests of programs on fibers: did a piece of code let others run, or did it hold them up?
//
//     ramie::switch_count before;
//     read_reply(connection);
//     EXPECT_GT(before.since(), 0);
#pragma once

#include <ramie/detail/abi.h>

#include <cstdint>

namespace ramie {

// How often the calling kernel thread has switched from one fiber to another since this was made.
// To be asked on the same kernel thread; 0 on one without fibers.
class switch_count {
 public:
  [[nodiscard]] std::uint64_t since() const noexcept { return detail::switches() - before_; }

 private:
  std::uint64_t before_ = detail::switches();
};

}  // namespace ramie
