// The calls of class `block`: made by the kernel, for a thread that keeps its kernel thread.
#pragma once

namespace ramie::host {

// Makes it.  Where its arguments say that it waits, another kernel thread takes the carrier's place
// meanwhile (core/blocking.h).  Outside of any RuntimeSection: handlers run as they come.
[[nodiscard]] long make_blocking_call(long number, const long* arguments);

}  // namespace ramie::host
