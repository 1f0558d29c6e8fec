// Calls that the kernel alone can make, and that wait: others go on meanwhile, at once. Under the
// preload the watchdog takes ten seconds here to find out that a kernel thread is stuck
// (RAMIE_SLICE), so what is done in time was not its doing.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "twin.h"

enum { kInTime = 7000 };

static aio_context_t context;
static int event;

static void* take_event(void* argument) {
  struct io_event taken = {0};
  struct timespec long_enough = {5, 0};
  printf("io_getevents: %s\n",
         said(syscall(SYS_io_getevents, context, 1L, 1L, &taken, argument ? &long_enough : NULL)));
  return NULL;
}

static void* look_for_none(void* argument) {
  struct io_event taken;
  struct timespec none = {0, 0};
  CHECK(syscall(SYS_io_getevents, context, 1L, 1L, &taken, &none) == 0);
  CHECK(syscall(SYS_io_getevents, context, 0L, 1L, &taken, NULL) == 0);
  return argument;
}

// An event that comes when `event` is written to.
static void expect_event(void) {
  event = eventfd(0, 0);
  context = 0;
  MUST(event >= 0 && syscall(SYS_io_setup, 4, &context) == 0);
  static struct iocb wish;
  struct iocb* wishes[] = {&wish};
  wish.aio_lio_opcode = IOCB_CMD_POLL;
  wish.aio_fildes = (uint32_t)event;
  wish.aio_buf = POLLIN;
  MUST(syscall(SYS_io_submit, context, 1L, wishes) == 1);
}

static void bring_event(void) {
  const uint64_t one = 1;
  CHECK(write(event, &one, sizeof one) == sizeof one);
}

static void forget_events(void) {
  CHECK(syscall(SYS_io_destroy, context) == 0);
  close(event);
}

// The one that brings it has a timer where the one that waits has held up the rest.
static void beside_a_sleeper(void) {
  const long long before = now_ms();
  expect_event();
  finish(start(look_for_none, NULL));
  pthread_t taker = start(take_event, NULL);
  nap(30);
  bring_event();
  finish(taker);
  CHECK(now_ms() - before < kInTime);
  forget_events();
}

static int there[2];
static int back[2];

static void* answer(void* argument) {
  char c;
  while (read(there[0], &c, 1) == 1) CHECK(write(back[1], &c, 1) == 1);
  return argument;
}

// And here they wait for descriptors.
static void beside_talkers(void) {
  const long long before = now_ms();
  expect_event();
  MUST(pipe(there) == 0 && pipe(back) == 0);
  pthread_t talker = start(answer, NULL);
  pthread_t taker = start(take_event, as_pointer(1));
  for (char c = 0; c < 100; ++c) {
    char seen = -1;
    CHECK(write(there[1], &c, 1) == 1 && read(back[0], &seen, 1) == 1 && seen == c);
  }
  bring_event();
  finish(taker);
  close(there[1]);
  finish(talker);
  CHECK(now_ms() - before < kInTime);
  forget_events();
}

static uint32_t word;

// A shared futex, which the kernel knows. FUTEX_WAITV takes them by a list of one.
static void* wait_for_word(void* argument) {
  struct futex_waitv list = {.val = 0, .uaddr = (uintptr_t)&word, .flags = FUTEX_32};
  while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0) {
    long result = syscall(SYS_futex_waitv, &list, 1, 0, NULL, CLOCK_MONOTONIC);
    CHECK(result == 0 || errno == EAGAIN);
  }
  return argument;
}

static void list_of_futexes(void) {
  const long long before = now_ms();
  pthread_t waiter = start(wait_for_word, NULL);
  nap(30);
  __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
  CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
  finish(waiter);
  CHECK(now_ms() - before < kInTime);
  printf("woken\n");
}

enum { kLockers = 12 };

static void* lock_and_unlock(void* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  MUST(fd >= 0);
  CHECK(flock(fd, LOCK_EX) == 0 && flock(fd, LOCK_UN) == 0);
  close(fd);
  return NULL;
}

static void many_in_flock(void) {
  char path[] = "/tmp/blocking_callsXXXXXX";
  const int fd = mkstemp(path);
  MUST(fd >= 0 && flock(fd, LOCK_EX) == 0);
  pthread_t lockers[kLockers];
  for (int i = 0; i < kLockers; ++i) lockers[i] = start(lock_and_unlock, path);
  nap(100);
  CHECK(flock(fd, LOCK_UN) == 0);
  for (int i = 0; i < kLockers; ++i) finish(lockers[i]);
  close(fd);
  unlink(path);
  printf("all have had it\n");
}

static const struct twin_case cases[] = {
    {"beside_a_sleeper", THREADS, beside_a_sleeper},
    {"beside_talkers", THREADS, beside_talkers},
    {"list_of_futexes", THREADS, list_of_futexes},
    {"many_in_flock", THREADS, many_in_flock},
};

TWIN_MAIN(cases)
