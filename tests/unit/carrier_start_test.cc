// Where no further carrier can be had: nothing is left behind, and nothing ends the process.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "core/crew.h"
#include "core/scheduler.h"

namespace {

// From here on this process makes no thread.
bool forbid_threads() {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof program / sizeof *program, const_cast<sock_filter*>(program)};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// The process's address space in bytes.
size_t mapped() {
  FILE* file = fopen("/proc/self/statm", "r");
  size_t pages = 0;
  EXPECT_EQ(fscanf(file, "%zu", &pages), 1);
  fclose(file);
  return pages * static_cast<size_t>(getpagesize());
}

// In a process of its own, where nobody else maps anything: 0, or what went wrong.
template <class Work>
int status_of(Work work) {
  pid_t pid = fork();
  if (pid == 0) {
    _exit(work());
  }
  int status = -1;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

constexpr int kNoFilter = 77;

TEST(CarrierStart, LeavesNothingBehindWhenThereIsNoThreadForIt) {
  int status = status_of([] {
    (void)ramie::core::attach();
    if (!forbid_threads()) {
      return kNoFilter;
    }
    if (ramie::core::start_carrier()) {
      return 1;
    }
    size_t before = mapped();
    for (int i = 0; i < 50; ++i) {
      if (ramie::core::start_carrier()) {
        return 2;
      }
    }
    return mapped() < before + (4U << 20) ? 0 : 3;
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoFilter) {
    GTEST_SKIP() << "the kernel takes no seccomp filter";
  }
  EXPECT_EQ(status, 0);
}

// The sanitizers need more address space than there would be.
#if !defined(RAMIE_ASAN) && !defined(RAMIE_TSAN)

TEST(CarrierStart, FailsQuietlyAtEachOfItsMappings) {
  int status = status_of([] {
    (void)ramie::core::attach();
    if (!forbid_threads()) {
      return kNoFilter;
    }
    size_t before = mapped();
    for (size_t more = 0; more < 3U << 20; more += 4096) {
      rlimit limit{before + more, RLIM_INFINITY};
      if (setrlimit(RLIMIT_AS, &limit) != 0 || ramie::core::start_carrier()) {
        return 1;
      }
    }
    return 0;
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoFilter) {
    GTEST_SKIP() << "the kernel takes no seccomp filter";
  }
  EXPECT_EQ(status, 0);
}

#endif

}  // namespace
