// A kernel thread that switches its FS base by hand, beside one that takes its processor away.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <ucontext.h>

#include <atomic>

#include "base/sys.h"
#include "core/fault.h"
#include "core/sanitizer.h"
#include "core/tls.h"

namespace ramie::core {

// Competes for the CPU on which the calling thread is, until it goes out of scope.  To be made
// before trap mode is entered: pthread_create blocks SIGSEGV for a moment, which only the shim
// prevents.
class Rival {
 public:
  Rival() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    pthread_create(&thread_, nullptr, &spin, this);
    while (!runs_.load()) {
      sched_yield();
    }
  }
  ~Rival() {
    stop_.store(true);
    pthread_join(thread_, nullptr);
    sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  static void* spin(void* self) {
    static_cast<Rival*>(self)->runs_.store(true);
    while (!static_cast<Rival*>(self)->stop_.load()) {
      sched_yield();
    }
    return nullptr;
  }

  cpu_set_t before_;
  std::atomic<bool> runs_ = false;
  std::atomic<bool> stop_ = false;
  pthread_t thread_;
};

// What a thread control block is to us: its own address, then anything.
struct Block {
  Block* self = this;
  uint64_t value;
  char room[240];
};

inline uint64_t read_value() {
  uint64_t value;
  asm volatile("mov %%fs:8, %0" : "=r"(value));
  return value;
}

// Switches between the two and counts wrong values.  No libc in here: it has no thread control
// block.
__attribute__((noinline, no_stack_protector)) inline uint64_t count_wrong(tls::Cpu& cpu, Block& a,
                                                                          Block& b, int rounds,
                                                                          int yield_each) {
  uint64_t wrong = 0;
  uintptr_t real = cpu.current_fs;
  for (int i = 0; i < rounds; ++i) {
    Block& block = i % 2 == 0 ? a : b;
    tls::set(cpu, reinterpret_cast<uintptr_t>(&block));
    if (i % yield_each == 0) {
      sys::call(SYS_sched_yield);
      if (i % (2 * yield_each) == 0) {
        tls::refresh(cpu);
      }
    }
    wrong += read_value() != block.value;
  }
  tls::set(cpu, real);
  return wrong;
}

// Hands the handler equal faults, with the FS base that the kernel leaves after a preemption.
__attribute__((noinline, no_stack_protector)) inline bool trap_without_progress(tls::Cpu& cpu) {
  siginfo_t info;
  __builtin_memset(&info, 0, sizeof info);
  info.si_code = SEGV_ACCERR;
  ucontext_t context;
  __builtin_memset(&context, 0, sizeof context);
  bool all = true;
  for (unsigned i = 0; i < tls::Livelock::kLimit; ++i) {
    tls::write_fs_base(cpu.trap_fs);
    all = tls::handle_fault(&info, &context) && all;
  }
  return all;
}

// In the mode of a choice, if the host has it.
class TlsFixture : public testing::Test {
 protected:
  void start(base::FsChoice choice) {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
    GTEST_SKIP() << "the sanitizer needs its own thread-locals all the time";
#endif
    if (const char* refusal = tls::select(choice)) {
      GTEST_SKIP() << refusal;
    }
    ASSERT_EQ(fault::install(), 0);
    ASSERT_EQ(fault::start_thread(stack_), 0);
    ASSERT_EQ(tls::start_thread(cpu_), 0);
    started_ = true;
  }
  void TearDown() override {
    if (started_) {
      tls::stop_thread(cpu_);
      fault::stop_thread(stack_);
      fault::uninstall();
    }
  }

  Rival rival_;
  tls::Cpu cpu_;
  fault::Thread stack_;
  bool started_ = false;
};

}  // namespace ramie::core
