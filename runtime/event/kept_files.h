// Calls in progress keep their file, as in the kernel: where a descriptor is closed for which such
// calls wait, the file gets another number, of ours, and they go on with that one.
//
// A call begins to use a descriptor with its first wait (reactor.h), and ends the use when it has
// its result.  The word Descriptor::uses counts both the uses and the closings, so that a use is
// ended without a lock where nothing was closed meanwhile.
//
// | who                 | does to the word                                      |
// |---------------------|-------------------------------------------------------|
// | the first wait      | one use more, and remembers how many closings         |
// | forget_but_keep()   | one closing more, no uses: those become the file's    |
// | end_use()           | one use less, if there was no closing; else it fails  |
#pragma once

#include <cstdint>

namespace ramie::event {

// Of one call.
struct FileUse {
  bool keeps = true;  // the file, if it is closed; else the wait ends
  bool begun = false;
  uint32_t closings = 0;  // of the descriptor, before it
  // A wait has ended since poll(2) says that there is an error, after that many events.
  bool has_seen_error = false;
  uint32_t seen_after = 0;
};

// One that has begun.  False: the descriptor was closed since, see drop_kept().
[[nodiscard]] bool end_use(int fd, const FileUse& use);

// The other number of the file that was closed under that use; -1 if it couldn't be kept.
[[nodiscard]] int kept_number(int fd, const FileUse& use);

// The use of a file that was closed ends.  The number that nobody uses any more, which the caller
// gives back (discard()), or -1.
[[nodiscard]] int drop_kept(int fd, const FileUse& use);

// For who closes descriptor `fd`, after its closing number `closings`: `users` calls go on with the
// file.
void keep_file(int fd, uint32_t closings, uint32_t users);

void reset_kept_files();

}  // namespace ramie::event
