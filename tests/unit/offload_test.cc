#include "event/offload.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "core/carrier.h"
#include "core/internal_signal.h"
#include "core/sanitizer.h"
#include "core/signal_frame.h"
#include "event/helper_pool.h"
#include "event/interruptible_call.h"
#include "event/reactor.h"
#include "support/fiber_group.h"

using ramie::event::offload;
using ramie::event::offload_interruptibly;
using ramie::test::eventually;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

template <class... Arguments>
long offloaded(long number, Arguments... arguments) {
  long list[6] = {(long)arguments...};
  return offload(number, list);
}

struct BlockingPipe {
  int reader = -1;
  int writer = -1;

  BlockingPipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    reader = fds[0];
    writer = fds[1];
  }
  ~BlockingPipe() {
    close(reader);
    close(writer);
  }
  BlockingPipe(const BlockingPipe&) = delete;
  BlockingPipe& operator=(const BlockingPipe&) = delete;
};

long count_threads() {
  long count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ++count;
  }
  return count;
}

TEST(Offload, ABlockingReadLeavesTheCarrierFree) {
  BlockingPipe pipe;
  FiberGroup fibers;
  bool done = false;
  fibers.spawn([&] {
    char c = 0;
    EXPECT_EQ(offloaded(SYS_read, pipe.reader, &c, 1), 1);
    EXPECT_EQ(c, 'x');
    done = true;
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    EXPECT_FALSE(done);
    EXPECT_EQ(write(pipe.writer, "x", 1), 1);
  });
  fibers.join();
  EXPECT_TRUE(done);
}

TEST(Offload, TheResultIsTheKernels) {
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(offloaded(SYS_getpid), getpid());
    EXPECT_EQ(offloaded(SYS_fsync, -1), -EBADF);
    EXPECT_NE(offloaded(SYS_gettid), gettid());
    errno = ENOTTY;
    EXPECT_EQ(offloaded(SYS_close, -1), -EBADF);
    EXPECT_EQ(errno, ENOTTY);
  });
  fibers.join();
}

TEST(Offload, AFileLockIsWaitedFor) {
  char name[] = "/tmp/offload_testXXXXXX";
  int first = mkstemp(name);
  int second = open(name, O_RDWR | O_CLOEXEC);
  unlink(name);
  FiberGroup fibers;
  std::string order;
  ASSERT_EQ(flock(first, LOCK_EX), 0);
  fibers.spawn([&] {
    EXPECT_EQ(offloaded(SYS_flock, second, LOCK_EX), 0);
    order += "locked";
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    order += "unlocked ";
    EXPECT_EQ(flock(first, LOCK_UN), 0);
  });
  fibers.join();
  EXPECT_EQ(order, "unlocked locked");
  close(first);
  close(second);
}

TEST(Offload, ManyCallsShareFewHelpers) {
  FiberGroup fibers;
  int done = 0;
  for (int i = 0; i < 100; ++i) {
    fibers.spawn([&] {
      for (int round = 0; round < 5; ++round) {
        EXPECT_EQ(offloaded(SYS_getpid), getpid());
      }
      ++done;
    });
  }
  fibers.join();
  EXPECT_EQ(done, 100);
}

// Both ends of a FIFO block until the other comes: with a fixed number of helpers all could be
// blocked in calls that only a queued one can end.
TEST(Offload, QueuedCallsGetHelpersWhenAllAreBlocked) {
  constexpr int kPairs = 12;
  std::string directory = "/tmp/offload_fifoXXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  FiberGroup fibers;
  int opened = 0;
  for (int flags : {O_RDONLY, O_WRONLY}) {
    for (int i = 0; i < kPairs; ++i) {
      fibers.spawn([&, i, flags] {
        std::string name = directory + "/" + std::to_string(i);
        if (flags == O_RDONLY) {
          ASSERT_EQ(mkfifo(name.c_str(), 0600), 0);
        }
        long fd = offloaded(SYS_openat, AT_FDCWD, name.c_str(), flags, 0);
        EXPECT_GE(fd, 0);
        close(static_cast<int>(fd));
        ++opened;
      });
    }
  }
  fibers.join();
  EXPECT_EQ(opened, 2 * kPairs);
  std::filesystem::remove_all(directory);
}

TEST(Offload, AnInterruptionDoesNotCutTheCallShort) {
  BlockingPipe pipe;
  FiberGroup fibers;
  ramie::core::Fiber* caller = nullptr;
  int interruptions = 0;
  fibers.spawn([&] {
    caller = ramie::core::current();
    char c = 0;
    EXPECT_EQ(offloaded(SYS_read, pipe.reader, &c, 1), 1);
    EXPECT_EQ(c, 'x');
  });
  fibers.spawn([&] {
    for (int i = 0; i < 20; ++i) {
      interruptions += ramie::core::interrupt(*caller) ? 1 : 0;
      (void)ramie::core::sleep_until(in_millis(1));
    }
    EXPECT_EQ(write(pipe.writer, "x", 1), 1);
  });
  fibers.join();
  EXPECT_GT(interruptions, 0);
}

// As the shim does; glibc would refuse the number.
void handle_interrupts() {
  ramie::core::SignalAction action;
  action.handler = reinterpret_cast<uintptr_t>(+[](int, siginfo_t* info, void* context) {
    EXPECT_TRUE(ramie::event::handle_interrupt(*info, *static_cast<ucontext_t*>(context)));
  });
  action.flags = SA_SIGINFO | SA_RESTART | ramie::core::kSaRestorer;
  action.restorer = ramie::core::signal_restorer();
  ASSERT_EQ(ramie::core::kernel_sigaction(ramie::core::kInternalSignal, &action, nullptr), 0);
}

TEST(Offload, AnInterruptionEndsAnInterruptibleCall) {
  handle_interrupts();
  BlockingPipe pipe;
  FiberGroup fibers;
  ramie::core::Fiber* caller = nullptr;
  bool done = false;
  fibers.spawn([&] {
    caller = ramie::core::current();
    for (int round = 0; round < 50; ++round) {
      char c = 0;
      const long list[6] = {pipe.reader, reinterpret_cast<long>(&c), 1};
      EXPECT_EQ(offload_interruptibly(SYS_read, list), -EINTR);
    }
    // What was meant for the calls before does not touch the next one.
    EXPECT_EQ(offloaded(SYS_getpid), getpid());
    done = true;
  });
  fibers.spawn([&] {
    while (!done) {
      (void)ramie::core::interrupt(*caller);
      ramie::core::yield();
    }
  });
  fibers.join();
}

// A signal that came while the fiber was ready, or on its way into the call.
TEST(Offload, ASignalThatIsThereAlreadyEndsAnInterruptibleCall) {
  handle_interrupts();
  BlockingPipe pipe;
  FiberGroup fibers;
  fibers.spawn([&] {
    char c = 0;
    const long list[6] = {pipe.reader, reinterpret_cast<long>(&c), 1};
    (void)ramie::core::interrupt(*ramie::core::current());
    EXPECT_EQ(offload_interruptibly(SYS_read, list), -EINTR);
  });
  fibers.join();
}

TEST(Offload, HelpersTakeNoSignals) {
  static volatile sig_atomic_t handled = 0;
  static volatile sig_atomic_t handled_by = 0;
  struct sigaction action {};
  action.sa_handler = [](int) {
    handled = handled + 1;
    handled_by = static_cast<sig_atomic_t>(syscall(SYS_gettid));
  };
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  sigset_t mask;
  sigset_t before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  BlockingPipe pipe;
  FiberGroup fibers;
  fibers.spawn([&] {
    char c = 0;
    EXPECT_EQ(offloaded(SYS_read, pipe.reader, &c, 1), 1);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(2));
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &mask, &before), 0);
    EXPECT_EQ(sigismember(&before, SIGUSR1), 0) << "the creator's mask is as it was";
    kill(getpid(), SIGUSR1);
    (void)ramie::core::sleep_until(in_millis(5));
    EXPECT_EQ(handled, 0);
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(handled_by, gettid());
    EXPECT_EQ(write(pipe.writer, "x", 1), 1);
  });
  fibers.join();
}

TEST(Offload, RenewedHelpersAreOtherThreads) {
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_TRUE(eventually([] { return count_threads() <= 5; })) << "surplus helpers end";
    long before = offloaded(SYS_gettid);
    ramie::event::renew_helpers();
    std::vector<long> after;
    for (int i = 0; i < 8; ++i) {
      EXPECT_NE(offloaded(SYS_gettid), before);
    }
  });
  fibers.join();
}

#if !defined(RAMIE_ASAN) && !defined(RAMIE_TSAN)

TEST(Offload, IdleHelpersEndAndNewOnesStart) {
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(offloaded(SYS_getpid), getpid());
    EXPECT_GT(count_threads(), 1);
    EXPECT_TRUE(eventually([] { return count_threads() == 1; }));
    EXPECT_EQ(offloaded(SYS_getpid), getpid());
  });
  fibers.join();
}

// ThreadSanitizer allows no new thread in such a child.
TEST(Offload, AForkedChildHasHelpersOfItsOwn) {
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(offloaded(SYS_getpid), getpid());
    pid_t pid = fork();
    if (pid == 0) {
      ramie::core::reset_after_fork();
      ramie::event::reset_after_fork();
      _exit(offloaded(SYS_getpid) == getpid() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  });
  fibers.join();
}

#endif

}  // namespace
