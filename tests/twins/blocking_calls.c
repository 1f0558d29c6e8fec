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
#include <sys/wait.h>

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

static uint32_t private_word;

// Of two words, as an emulator of another system's waits has it.
static void* wait_for_either(void* argument) {
  struct futex_waitv list[2] = {
      {.val = 0, .uaddr = (uintptr_t)&private_word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
      {.val = 5, .uaddr = (uintptr_t)argument, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG}};
  while (__atomic_load_n(&private_word, __ATOMIC_ACQUIRE) == 0) {
    long result = syscall(SYS_futex_waitv, list, 2, 0, NULL, CLOCK_MONOTONIC);
    CHECK(result == 0 || errno == EAGAIN);
  }
  return NULL;
}

static void list_of_private_futexes(void) {
  uint32_t other = 5;
  pthread_t waiters[2] = {start(wait_for_either, &other), start(wait_for_either, &other)};
  nap(30);
  __atomic_store_n(&private_word, 1, __ATOMIC_RELEASE);
  CHECK(syscall(SYS_futex, &private_word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) >= 0);
  finish(waiters[0]);
  finish(waiters[1]);
  printf("woken\n");
}

#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif

// The calls of Linux 6.7, where there are any, and the old one together.
static long wait_newly(uint32_t* futex, uint32_t value) {
  const long result = syscall(SYS_futex_wait, futex, (unsigned long)value, 0xffffffffUL,
                              FUTEX_32 | FUTEX_PRIVATE_FLAG, NULL, 0);
  return result == 0 || errno != ENOSYS
             ? result
             : syscall(SYS_futex, futex, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static long wake_newly(uint32_t* futex) {
  const long woken = syscall(SYS_futex_wake, futex, 0xffffffffUL, 9, FUTEX_32 | FUTEX_PRIVATE_FLAG);
  return woken >= 0 || errno != ENOSYS
             ? woken
             : syscall(SYS_futex, futex, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0);
}

static void move_newly(uint32_t* from, uint32_t* to) {
  const uint32_t kind = FUTEX_32 | FUTEX_PRIVATE_FLAG;
  struct futex_waitv pair[2] = {{.val = *from, .uaddr = (uintptr_t)from, .flags = kind},
                                {.val = 0, .uaddr = (uintptr_t)to, .flags = kind}};
  if (syscall(SYS_futex_requeue, pair, 0, 0, 9) < 0 && errno == ENOSYS) {
    syscall(SYS_futex, from, FUTEX_CMP_REQUEUE_PRIVATE, 0, 9L, to, *from);
  }
}

static uint32_t new_word, old_word, third_word;

static void* wait_for_new_word(void* argument) {
  while (__atomic_load_n(&new_word, __ATOMIC_ACQUIRE) == 0) (void)wait_newly(&new_word, 0);
  return argument;
}

static void* wait_for_old_word(void* argument) {
  while (__atomic_load_n(&old_word, __ATOMIC_ACQUIRE) == 0) {
    syscall(SYS_futex, &old_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  }
  return argument;
}

static void newer_futex_calls(void) {
  pthread_t newly = start(wait_for_new_word, NULL);
  pthread_t of_old = start(wait_for_old_word, NULL);
  nap(30);
  __atomic_store_n(&new_word, 1, __ATOMIC_RELEASE);
  CHECK(syscall(SYS_futex, &new_word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) >= 0);
  __atomic_store_n(&old_word, 1, __ATOMIC_RELEASE);
  move_newly(&old_word, &third_word);
  CHECK(wake_newly(&third_word) >= 0);
  finish(newly);
  finish(of_old);
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

static _Atomic int has_lock;

static void* lock_once(void* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  MUST(fd >= 0);
  CHECK(flock(fd, LOCK_EX) == 0);
  has_lock = 1;
  close(fd);
  return NULL;
}

// It is given free by somebody who says nothing to us.
static void in_flock_beside_a_hog(void) {
  char path[] = "/tmp/blocking_callsXXXXXX";
  MUST(mkstemp(path) >= 0);
  int ends[2];
  MUST(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    _exit(flock(fd, LOCK_EX) != 0 || write(ends[1], "x", 1) != 1 || usleep(200000) != 0);
  }
  char c;
  MUST(read(ends[0], &c, 1) == 1);
  pthread_t locker = start(lock_once, path);
  nap(50);
  const long long end = now_ms() + 20000;
  while (!has_lock && now_ms() < end) continue;
  CHECK(has_lock);
  finish(locker);
  CHECK(waitpid(child, NULL, 0) == child);
  unlink(path);
  printf("got it\n");
}

static const struct twin_case cases[] = {
    {"beside_a_sleeper", THREADS, beside_a_sleeper},
    {"beside_talkers", THREADS, beside_talkers},
    {"list_of_futexes", THREADS, list_of_futexes},
    {"list_of_private_futexes", THREADS, list_of_private_futexes},
    {"newer_futex_calls", THREADS, newer_futex_calls},
    {"in_flock_beside_a_hog", THREADS, in_flock_beside_a_hog},
    {"many_in_flock", THREADS, many_in_flock},
};

TWIN_MAIN(cases)
