// The part of `ramie check` that runs under the preload, in a process of its own: does the program
// still see what POSIX promises to each of its threads?
#pragma once

namespace ramie::cli {

// Starts threads that sleep in turns and look after each sleep whether what is theirs still is.
// Prints the shim's figures and `self_test <finding>` as lines of "key value".  Returns 0 if all is
// well, 1 if not.
[[nodiscard]] int self_test();

}  // namespace ramie::cli
