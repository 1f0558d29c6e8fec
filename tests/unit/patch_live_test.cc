// libc at work after its system calls have been turned: every call arrives here, is counted and
// goes on to the kernel.  Each test patches in a child process of its own.
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "patched_libc.h"

namespace ramie::patch {
namespace {

// Runs `body` in a child that has patched itself.
void run_patched(bool active, void (*body)()) {
  run_in_child([active, body] {
    const Report report = apply(everything());
    if (!report.ok) {
      std::fprintf(stderr, "%s\n", std::string(report.reason.view()).c_str());
      std::_Exit(2);
    }
    ramie_patch_active = active ? 1 : 0;
    body();
  });
}

void use_files() {
  char path[] = "/tmp/ramie_patch_XXXXXX";
  const int fd = mkstemp(path);
  CHILD_EXPECT(fd >= 0);
  FILE* file = fdopen(fd, "w+");
  for (int i = 0; i < 1000; ++i) std::fprintf(file, "line %d %.3f\n", i, i / 8.0);
  std::rewind(file);
  char line[64];
  int lines = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) ++lines;
  CHILD_EXPECT(lines == 1000);
  CHILD_EXPECT(std::strcmp(line, "line 999 124.875\n") == 0);
  std::fclose(file);
  CHILD_EXPECT(unlink(path) == 0);
  CHILD_EXPECT(open("/nonexistent/file", O_RDONLY) == -1 && errno == ENOENT);
}

void use_processes() {
  const pid_t child = fork();
  if (child == 0) _exit(getppid() > 1 ? 42 : 0);
  int status = 0;
  CHILD_EXPECT(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);

  FILE* pipe = popen("echo out of a shell", "r");
  char line[64] = "";
  CHILD_EXPECT(std::fgets(line, sizeof line, pipe) != nullptr);
  CHILD_EXPECT(std::strcmp(line, "out of a shell\n") == 0);
  CHILD_EXPECT(pclose(pipe) == 0);
  CHILD_EXPECT(WEXITSTATUS(std::system("exit 7")) == 7);

  const pid_t vforked = vfork();
  if (vforked == 0) _exit(3);
  CHILD_EXPECT(waitpid(vforked, &status, 0) == vforked && WEXITSTATUS(status) == 3);
}

void use_resolver() {
  addrinfo* found = nullptr;
  CHILD_EXPECT(getaddrinfo("localhost", "80", nullptr, &found) == 0);
  freeaddrinfo(found);
}

void use_waits() {
  int ends[2];
  CHILD_EXPECT(pipe(ends) == 0);
  pollfd waiting{ends[0], POLLIN, 0};
  CHILD_EXPECT(poll(&waiting, 1, 5) == 0);
  CHILD_EXPECT(write(ends[1], "x", 1) == 1);
  CHILD_EXPECT(poll(&waiting, 1, -1) == 1);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  timeval limit{1, 0};
  CHILD_EXPECT(select(ends[0] + 1, &set, nullptr, nullptr, &limit) == 1);
  char byte;
  CHILD_EXPECT(read(ends[0], &byte, 1) == 1 && byte == 'x');
  close(ends[0]);
  close(ends[1]);
  timespec nap{0, 1'000'000};
  CHILD_EXPECT(nanosleep(&nap, nullptr) == 0);
}

// A read that a handler interrupts fails with EINTR, or goes on under SA_RESTART.
void use_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  int ends[2];
  CHILD_EXPECT(pipe(ends) == 0);
  sigaction(SIGALRM, &action, nullptr);
  ualarm(10'000, 0);
  char byte;
  CHILD_EXPECT(read(ends[0], &byte, 1) == -1 && errno == EINTR);

  static int write_end;
  write_end = ends[1];
  action.sa_handler = [](int) { (void)!write(write_end, "y", 1); };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  ualarm(10'000, 0);
  CHILD_EXPECT(read(ends[0], &byte, 1) == 1 && byte == 'y');
}

void use_threads() {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return turn % 4 == i; });
        ++turn;
        changed.notify_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHILD_EXPECT(turn == 200);
}

void use_memory() {
  std::vector<void*> blocks;
  for (std::size_t size = 1; size < (64u << 20); size *= 3) blocks.push_back(std::malloc(size));
  for (void* block : blocks) CHILD_EXPECT(block != nullptr);
  for (void* block : blocks) std::free(block);
}

void use_libc() {
  use_files();
  use_processes();
  use_resolver();
  use_waits();
  use_signals();
  use_memory();
  use_threads();
  CHILD_EXPECT(syscall(SYS_getpid) == getpid());
  CHILD_EXPECT(syscall(SYS_fcntl, -1, F_GETFD) == -1 && errno == EBADF);
}

TEST(PatchedLibc, WorksAndSendsItsCallsHere) {
  run_patched(true, [] {
    use_libc();
    for (const long number : {SYS_read, SYS_write, SYS_futex, SYS_poll, SYS_pselect6, SYS_wait4,
                              SYS_clone, SYS_clone3, SYS_clock_nanosleep, SYS_getpid, SYS_mmap}) {
      if (counts[number] == 0) std::fprintf(stderr, "child: system call %ld\n", number);
      CHILD_EXPECT(counts[number] > 0);
    }
    CHILD_EXPECT(counts[SYS_exit] == 4);
    CHILD_EXPECT(counts[SYS_vfork] == 0 && counts[SYS_rt_sigreturn] == 0);
  });
}

TEST(PatchedLibc, WorksWhileInactiveAndSendsNothing) {
  run_patched(false, [] {
    use_libc();
    // clone3 is made on the site's own stack, so threads start by it as ever.
    for (const auto& count : counts) CHILD_EXPECT(count == 0);
  });
}

// Cancels a thread that sleeps in a patched call: the unwinder has to find its way out.
void cancel_a_reader() {
  static std::atomic<int> destroyed{0};
  static int ends[2];
  CHILD_EXPECT(pipe(ends) == 0);
  struct Witness {
    ~Witness() { ++destroyed; }
  };
  std::atomic<bool> reading{false};
  std::thread thread([&] {
    Witness witness;
    reading = true;
    char byte;
    (void)!read(ends[0], &byte, 1);
  });
  while (!reading) std::this_thread::yield();
  // Most often it is in the call by now; where it is not, the call itself sees the cancellation.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  pthread_cancel(thread.native_handle());
  thread.join();
  CHILD_EXPECT(destroyed == 1);
}

TEST(PatchedLibc, CancellationRunsDestructors) { run_patched(true, cancel_a_reader); }

TEST(PatchedLibc, CancellationRunsDestructorsWhileInactive) { run_patched(false, cancel_a_reader); }

// Names of the functions on the stack, innermost first, taken inside of a system call.
std::vector<std::string> stack_at_nanosleep;

TEST(PatchedLibc, TheStackCanBeWalkedFromInsideACall) {
  run_patched(true, [] {
    observer = [](long number) {
      if (number != SYS_clock_nanosleep) return;
      observer = nullptr;
      void* frames[16];
      const int depth = backtrace(frames, 16);
      for (int i = 0; i < depth; ++i) {
        Dl_info info;
        const bool known = dladdr(frames[i], &info) != 0 && info.dli_sname != nullptr;
        stack_at_nanosleep.push_back(known ? info.dli_sname : "");
      }
    };
    const timespec nap{0, 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, nullptr);
    bool found = false;
    for (const std::string& name : stack_at_nanosleep) {
      found |= name.find("clock_nanosleep") != std::string::npos;
    }
    CHILD_EXPECT(found);
    CHILD_EXPECT(stack_at_nanosleep.size() >= 4);
  });
}

TEST(PatchedLibc, AnExceptionPassesThroughACall) {
  run_patched(true, [] {
    observer = [](long number) {
      if (number == SYS_read) throw std::runtime_error("from below libc");
    };
    bool caught = false;
    try {
      (void)!read(-1, nullptr, 0);
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHILD_EXPECT(caught);
  });
}

}  // namespace
}  // namespace ramie::patch
