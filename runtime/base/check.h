// Invariants.  A broken one means that the runtime can't be trusted any more: the process stops, on
// every build, with one line by a raw write.  Never for an application's bad input.
#pragma once

namespace ramie::base {

// Writes "ramie: <text> (file:line)" to descriptor 2, with the current fiber where there is one,
// and aborts.  Does not return.
[[noreturn, gnu::cold]] void fail(const char* text, const char* file, int line);

// Adds a line about the running fiber to fail()'s message; set by core.
using DescribeCurrent = void (*)(char* buffer, unsigned long size);
void set_describe_current(DescribeCurrent describe);

}  // namespace ramie::base

#define RAMIE_CHECK(condition)                                         \
  do {                                                                 \
    if (!(condition)) [[unlikely]] {                                   \
      ::ramie::base::fail(#condition " is false", __FILE__, __LINE__); \
    }                                                                  \
  } while (false)

// For what is looked at too often to be looked at in a program that is measured.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RAMIE_DEBUG_CHECK(condition) \
  do {                               \
  } while (false && (condition))
#else
#define RAMIE_DEBUG_CHECK(condition) RAMIE_CHECK(condition)
#endif
