// The sockets on which a read is known to wait without end: O_NONBLOCK is not set, and there is no
// SO_RCVTIMEO.  A wait on such a socket asks the kernel for neither.
//
// Both settings belong to the open file description, which other descriptors and other processes
// may share.  So something is known only of sockets that this process has made itself, and
//
// - after a call of this process that may change one of the settings, on whatever descriptor, each
//   socket is asked anew (note_setting());
// - after a call by which another process may get descriptors (fork, vfork, posix_spawn, a message
//   with control data), those that were there are asked at every wait (note_sharing()).
//
// What goes past the shim is in docs/limits.md, "Descriptors".  Any thread may call all of this.
#pragma once

#include <cstdint>

namespace ramie::ops::blocking_sockets {

// Until this is called nothing is ever known: the shim has to see every call that counts.
void enable();

// Made before a socket is: what is shared meanwhile includes it.
class Birth {
 public:
  Birth();

  // This process has made `fd`, without O_NONBLOCK.
  void note(int fd) const;

 private:
  uint32_t sharing_;
};

// Made before the kernel is asked: what is changed meanwhile counts.
class Question {
 public:
  explicit Question(int fd);

  // A read would wait without end.
  [[nodiscard]] bool is_answered() const;

  // The kernel has said so.
  void note_answer() const;

 private:
  int fd_;
  uint32_t sharing_;
  uint32_t settings_;
  uint64_t word_;
};

// After a call that may have set O_NONBLOCK or SO_RCVTIMEO.
void note_setting();

// Before and after a call by which another process may get descriptors of this one.
void note_sharing();

// The numbers mean something else; both ends included.
void forget(int fd);
void forget_range(unsigned first, unsigned last);

}  // namespace ramie::ops::blocking_sockets
