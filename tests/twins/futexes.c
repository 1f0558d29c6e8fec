// Futexes by system calls: those who wait for several at once beside those who wait for one, and
// the calls of Linux 6.7 that take each operation apart.
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "twin.h"

enum { kPrivate = FUTEX_32 | FUTEX_PRIVATE_FLAG };

static uint32_t word, other;

static void* wait_for_list(void* argument) {
  struct futex_waitv list[2] = {{.uaddr = (uintptr_t)argument, .flags = kPrivate},
                                {.uaddr = (uintptr_t)&list[0].val, .flags = kPrivate}};
  CHECK(syscall(SYS_futex_waitv, list, 2, 0, NULL, CLOCK_MONOTONIC) == 0);
  return NULL;
}

static void* wait_for_one(void* argument) {
  CHECK(syscall(SYS_futex, argument, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0);
  return NULL;
}

// Told by a move onto itself.
static long waiting(uint32_t* on) {
  return syscall(SYS_futex, on, FUTEX_REQUEUE_PRIVATE, 0, (long)INT_MAX, on, 0);
}

static void until_waiting(uint32_t* on, long count) {
  const long long end = now_ms() + 5000;
  while (waiting(on) != count && now_ms() < end) nap(1);
  CHECK(waiting(on) == count);
}

static long wake(uint32_t* on, int count) {
  return syscall(SYS_futex, on, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void lists_are_moved(void) {
  pthread_t threads[] = {start(wait_for_list, &word), start(wait_for_one, &word),
                         start(wait_for_list, &word), start(wait_for_list, &word)};
  until_waiting(&word, 4);
  printf("changed: %s\n",
         said(syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 9, 9L, &other, 1)));
  printf("one %ld\n", syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 0, 1L, &other, 0));
  printf("there %ld\n", waiting(&other));
  printf("rest %ld\n", syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 9L, &other, 0));
  printf("left %ld\n", waiting(&word));
  printf("woken %ld\n", wake(&other, 9));
  for (int i = 0; i < 4; ++i) finish(threads[i]);
}

static void lists_are_woken_by_an_operation(void) {
  pthread_t threads[] = {start(wait_for_list, &word), start(wait_for_one, &word),
                         start(wait_for_list, &other), start(wait_for_one, &other)};
  until_waiting(&word, 2);
  until_waiting(&other, 2);
  const uint32_t if_one = FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 1);
  const uint32_t if_zero = FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ, 0);
  printf("of the first %ld\n",
         syscall(SYS_futex, &word, FUTEX_WAKE_OP_PRIVATE, 9, 9L, &other, if_one));
  printf("left %ld\n", waiting(&other));
  printf("of the second %ld\n",
         syscall(SYS_futex, &word, FUTEX_WAKE_OP_PRIVATE, 9, 9L, &other, if_zero));
  printf("now %u\n", other);
  for (int i = 0; i < 4; ++i) finish(threads[i]);
}

static const struct twin_case cases[] = {
    {"lists_are_moved", THREADS, lists_are_moved},
    {"lists_are_woken_by_an_operation", THREADS, lists_are_woken_by_an_operation},
};

TWIN_MAIN(cases)
