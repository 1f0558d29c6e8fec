// libc in a child process whose system calls arrive here, are counted and go on to the kernel.  For
// one source file of a test program.
#pragma once

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "base/sys.h"
#include "interpose/patch/patch.h"
#include "patch_child.h"

namespace {

using ramie::patch::NumberSet;

struct Frame {
  long rdi, rsi, rdx, r10, r8, r9;
};

std::atomic<long> counts[NumberSet::kLimit];
// Called for each system call where it is set.
void (*observer)(long number);

}  // namespace

// The end of every patched site.  clone3 is refused, so that libc takes clone, which is not turned.
extern "C" [[gnu::visibility("hidden")]] long ramie_syscall(long number, Frame* frame) {
  if (number >= 0 && number < NumberSet::kLimit) counts[number].fetch_add(1);
  if (observer != nullptr) observer(number);
  if (number == SYS_clone3) return -ENOSYS;
  return ramie::sys::call(number, frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8,
                          frame->r9);
}

namespace ramie::patch {
namespace {

template <class Body>
void run_in_child(Body body) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    body();
    std::_Exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace ramie::patch
