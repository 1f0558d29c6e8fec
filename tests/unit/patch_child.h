// What tests of apply() have in common: all that can be patched, in a child process that says what
// is not as it should be.  For one source file of a test program.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "interpose/patch/patch.h"

namespace ramie::patch {
namespace {

constexpr const char* kObjects[] = {"libc.so.6", "libgomp.so.1"};

Options everything() {
  Options options;
  options.wanted = NumberSet::all();
  options.required = required_for_hosting();
  options.objects = kObjects;
  return options;
}

// In a child, a failed expectation is a line and a bad exit.
void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "child: not true: %s (errno %d)\n", what, errno);
  std::_Exit(1);
}
#define CHILD_EXPECT(condition) expect((condition), #condition)

}  // namespace
}  // namespace ramie::patch
