// Patching while libc has threads of its own, which wait in the very bytes that change.
#include <poll.h>
#include <signal.h>

#include <iostream>
#include <thread>

#include "interpose/host/other_threads.h"
#include "patched_libc.h"

namespace ramie::patch {
namespace {

// As libc starts threads for itself: glibc lets nobody block the two signals that it needs.
template <class Body>
std::thread start_as_libc_does(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(body);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

void nap() { usleep(50'000); }

void patch_beside_threads_of_libc() {
  int ends[2], own[2];
  CHILD_EXPECT(pipe(ends) == 0 && pipe(own) == 0);
  std::atomic<bool> is_over = false;
  char byte = 0;
  ssize_t taken = 0;
  std::thread reader = start_as_libc_does([&] { taken = read(ends[0], &byte, 1); });
  std::thread poller = start_as_libc_does([&] {
    pollfd wish{ends[0], POLLIN, 0};
    while (!is_over) (void)!poll(&wish, 1, 10'000);
  });
  std::thread busy = start_as_libc_does([&] {
    char c = 'c';
    while (!is_over) CHILD_EXPECT(write(own[1], &c, 1) == 1 && read(own[0], &c, 1) == 1);
  });
  nap();
  Options options = everything();
  options.standstill = &host::kThreadsOfLibc;
  const Report report = apply(options);
  if (!report.ok) std::cerr << "child: " << report.reason.view() << '\n';
  CHILD_EXPECT(report.ok);
  ramie_patch_active = 1;
  while (counts[SYS_read] == 0) nap();
  is_over = true;
  CHILD_EXPECT(write(ends[1], "xy", 2) == 2);
  busy.join();
  reader.join();
  poller.join();
  CHILD_EXPECT(taken == 1 && byte == 'x');
}

void refuse_beside_a_thread_of_the_program() {
  int ends[2];
  CHILD_EXPECT(pipe(ends) == 0);
  std::thread reader([&] {
    char byte;
    CHILD_EXPECT(read(ends[0], &byte, 1) == 1);
  });
  nap();
  Options options = everything();
  options.standstill = &host::kThreadsOfLibc;
  const Report report = apply(options);
  CHILD_EXPECT(!report.ok && report.reason.view().find("threads already") != std::string::npos);
  ramie_patch_active = 1;
  CHILD_EXPECT(write(ends[1], "x", 1) == 1);
  reader.join();
  CHILD_EXPECT(counts[SYS_read] == 0);
}

TEST(PatchedLibc, ThreadsOfLibcGoOnInsideOfTheirCalls) {
  run_in_child(patch_beside_threads_of_libc);
}

// As pthread_create() begins one: with all signals blocked, for as long as it gets no processor.
void patch_beside_a_thread_that_begins() {
  std::atomic<bool> is_over = false;
  std::thread thread = start_as_libc_does([&] {
    constexpr std::uint64_t kAll = ~std::uint64_t{0};
    std::uint64_t before = 0;
    sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&kAll), sys::arg(&before), sizeof before);
    for (int i = 0; i < 6; ++i) nap();
    sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&before), 0, sizeof before);
    while (!is_over) nap();
  });
  nap();
  Options options = everything();
  options.standstill = &host::kThreadsOfLibc;
  CHILD_EXPECT(apply(options).ok);
  is_over = true;
  thread.join();
}

TEST(PatchedLibc, AThreadOfLibcThatBeginsIsWaitedFor) {
  run_in_child(patch_beside_a_thread_that_begins);
}

TEST(PatchedLibc, IsRefusedBesideAThreadOfTheProgram) {
  run_in_child(refuse_beside_a_thread_of_the_program);
}

}  // namespace
}  // namespace ramie::patch
