// What is known of a TCP socket's input without asking the kernel: whether a read would be in vain.
//
// A read that gets less than it asked for has emptied the socket (man 7 epoll, "Questions and
// answers", 9), so the next one would find nothing until an event has come.  Then it is not tried:
//
//     for (;;) {
//       InputGlance input(fd);
//       if (!input.is_empty()) {
//         <read without blocking; less than asked for: input.got_less(); -EAGAIN: got_nothing()>
//       }
//       <wait_fd(fd, POLLIN, ...)>
//     }
#pragma once

#include <cstdint>

namespace ramie::event {

struct Descriptor;

// Made before a read, asked for what it knows, and told afterwards how the read went.  Any thread.
class InputGlance {
 public:
  explicit InputGlance(int fd);

  // There is nothing to read, no end of the stream and no error, unless an event is on its way:
  // wait_fd() does not miss it.
  [[nodiscard]] bool is_empty() const { return is_empty_; }

  // The read got something, and less than it asked for.
  void got_less() const {
    if (is_trusted_) {
      note_drained();
    }
  }

  // The read would have blocked.  The first time finds out what kind of socket it is.
  void got_nothing() const;

 private:
  void note_drained() const;

  int fd_;
  Descriptor* descriptor_;
  uint32_t word_ = 0;
  bool is_empty_ = false;
  bool is_trusted_ = false;
};

// Reads of this socket may get less than there is, or wait for more than there is, from here on.
void distrust_input(int fd);

}  // namespace ramie::event
