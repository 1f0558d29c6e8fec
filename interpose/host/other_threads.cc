#include "interpose/host/other_threads.h"

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstring>
#include <string_view>

#include "base/deadline.h"
#include "base/futex.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"
#include "core/internal_signal.h"
#include "core/signal_frame.h"
#include "interpose/patch/trampoline.h"

namespace ramie::host {
namespace {

using core::SignalAction;
using patch::Site;

constexpr int kSignal = core::kInternalSignal;
constexpr std::size_t kMostThreads = 64;
// A thread that runs a program's function for libc (SIGEV_THREAD) may have ended soon.
constexpr int kTries = 20;
constexpr std::int64_t kPause = 2'000'000;
constexpr std::int64_t kRound = 100'000;
constexpr std::int64_t kPatience = 500'000'000;

constinit char token = 0;  // its address marks the signal as ours

// 1 while threads shall wait.  Going to 0 it publishes the new text and `turned`: the release store
// in resume() pairs with the acquire loads in the handler.
constinit std::atomic<std::uint32_t> is_stopped = 0;
// How many are in the handler.
constinit std::atomic<std::uint32_t> inside = 0;
constinit std::span<const std::span<const Site>> turned;
constinit SignalAction action_before;

// Touches no thread-local, and calls nothing of libc.
void wait_in_handler(int /*signal*/, siginfo_t* info, void* context) {
  bool is_ours = core::is_marked(*info, &token);
  if (!is_ours || is_stopped.load(std::memory_order_acquire) == 0) {
    return;
  }
  inside.fetch_add(1, std::memory_order_acq_rel);
  while (is_stopped.load(std::memory_order_acquire) != 0) {
    (void)base::futex_wait(is_stopped, 1);
  }
  greg_t& pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  for (const std::span<const Site>& sites : turned) {
    pc = static_cast<greg_t>(patch::moved(static_cast<std::uintptr_t>(pc), sites));
  }
  inside.fetch_sub(1, std::memory_order_release);  // pairs with resume()
}

// Ids of the process's threads but the caller.
struct Others {
  int ids[kMostThreads] = {};
  int count = 0;
};

// False if there are too many, or can't be seen.
bool list_others(Others& others) {
  auto add = [](int id, void* argument) {
    auto& list = *static_cast<Others*>(argument);
    if (id == sys::gettid()) {
      return true;
    }
    if (list.count == static_cast<int>(kMostThreads)) {
      return false;
    }
    list.ids[list.count++] = id;
    return true;
  };
  return base::for_each_number("/proc/self/task", add, &others);
}

enum class Kind { libc, kernel, begins, program, gone };

// By its blocked signals.
Kind kind_of(int id) {
  base::Line<64> path;
  path << "/proc/self/task/" << id << "/status" << '\0';
  char text[4096];
  std::string_view status = base::read_file(path.view().data(), text, sizeof text);
  std::uint64_t blocked = 0;
  if (!base::find_signals(status, "SigBlk:\t", blocked)) {
    return Kind::gone;
  }
  // glibc's helpers: all but those that glibc needs itself.
  std::uint64_t let_in = ~blocked & ~(core::signal_bit(SIGKILL) | core::signal_bit(SIGSTOP) |
                                      core::signal_bit(kSignal) | core::signal_bit(kSignal - 1));
  // Threads of the kernel's own, which serve rings, block what glibc lets nobody block, and so does
  // pthread_create() until the new thread runs.
  if ((blocked & core::signal_bit(kSignal)) != 0) {
    return base::begins_with(status, "Name:\tiou-") ? Kind::kernel
           : let_in == 0                            ? Kind::begins
                                                    : Kind::program;
  }
  return let_in == 0 ? Kind::libc : Kind::program;
}

bool contains(const int* ids, int count, int id) {
  for (int i = 0; i < count; ++i) {
    if (ids[i] == id) {
      return true;
    }
  }
  return false;
}

void pause(std::int64_t nanos) {
  timespec span = base::to_timespec(nanos);
  sys::call(SYS_nanosleep, sys::arg(&span));
}

void let_all_go() {
  is_stopped.store(0, std::memory_order_release);
  base::futex_wake(is_stopped, INT32_MAX);
  while (inside.load(std::memory_order_acquire) != 0) {  // pairs with the handler
    pause(kRound);
  }
}

// glibc's handler leaves alone what isn't its own.  Where it has none, ours stays and does nothing:
// a signal of a try that failed may still be on its way, and its default action ends the process.
void restore_action() {
  if (action_before.has_handler()) {
    core::kernel_sigaction(kSignal, &action_before, nullptr);
  }
}

enum class Result { stopped, program_runs, failed };

constexpr const char* kUnseen = "the program has threads already, made where Ramie doesn't see it";

// One that waits makes no further threads, so the list is complete once it holds none that runs.
Result stop_all(base::Line<160>& reason) {
  int asked[kMostThreads];
  int count = 0;
  base::Deadline end = base::Deadline::after(base::now(), kPatience);
  for (;;) {
    // Before the list is made: who has stopped by now is on it, with all that it has started.
    auto stopped = static_cast<int>(inside.load(std::memory_order_acquire));
    Others others;
    if (!list_others(others)) {
      reason << "too many threads that Ramie didn't see, or no /proc";
      return Result::failed;
    }
    bool is_complete = true;
    bool begins = false;
    int alive = 0;
    for (int i = 0; i < others.count; ++i) {
      int id = others.ids[i];
      if (contains(asked, count, id)) {
        ++alive;
        continue;
      }
      Kind kind = kind_of(id);
      if (kind == Kind::program) {
        reason << kUnseen;
        return Result::program_runs;
      }
      begins |= kind == Kind::begins;
      if (kind == Kind::libc) {
        is_complete = false;
        if (count == static_cast<int>(kMostThreads)) {
          reason << "threads that Ramie didn't see come and go";
          return Result::failed;
        }
        asked[count++] = id;
        core::send_internal_signal(id, &token);
      }
    }
    if (is_complete && !begins && stopped == alive) {
      return Result::stopped;
    }
    if (end.passed(base::now())) {
      reason << (begins ? kUnseen : "a thread of libc's doesn't stop");
      return Result::failed;
    }
    pause(kRound);
  }
}

bool stop(base::Line<160>& reason) {
  SignalAction ours{reinterpret_cast<std::uintptr_t>(&wait_in_handler),
                    SA_SIGINFO | SA_ONSTACK | SA_RESTART | core::kSaRestorer,
                    core::signal_restorer(), ~std::uint64_t{0}};
  core::kernel_sigaction(kSignal, &ours, &action_before);
  turned = {};
  for (int tries = 1;; ++tries) {
    is_stopped.store(1, std::memory_order_relaxed);
    reason = {};
    Result result = stop_all(reason);
    if (result == Result::stopped) {
      return true;
    }
    let_all_go();
    if (result == Result::failed || tries == kTries) {
      restore_action();
      return false;
    }
    pause(kPause);
  }
}

void resume(std::span<const std::span<const Site>> objects) {
  turned = objects;
  let_all_go();
  restore_action();
}

}  // namespace

constinit const patch::Standstill kThreadsOfLibc{stop, resume};

}  // namespace ramie::host
