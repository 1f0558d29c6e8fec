// Futexes by system calls: those who wait for several at once beside those who wait for one, and
// the calls of Linux 6.7 that take each operation apart.
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "twin.h"

#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif

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

enum { kMany = 40, kWords = 100 };

static uint32_t long_list[kWords];

// Waits for the first `count` long_list, of which the one before the last is woken.
static void* wait_for_many(void* argument) {
  const int count = (int)as_number(argument);
  struct futex_waitv list[kWords];
  for (int i = 0; i < count; ++i)
    list[i] = (struct futex_waitv){.uaddr = (uintptr_t)(long_list + i), .flags = kPrivate};
  CHECK(syscall(SYS_futex_waitv, list, count, 0, NULL, CLOCK_MONOTONIC) == count - 2);
  return NULL;
}

static void many_lists(void) {
  pthread_t threads[kMany];
  for (int i = 0; i < kMany; ++i) threads[i] = start(wait_for_many, as_pointer(kWords));
  until_waiting(&long_list[kWords - 2], kMany);
  until_waiting(&long_list[0], kMany);
  printf("woken %ld\n", wake(&long_list[kWords - 2], kMany));
  for (int i = 0; i < kMany; ++i) finish(threads[i]);
  for (int i = 0; i < kWords; ++i) CHECK(waiting(&long_list[i]) == 0);
}

static long wait_list(struct futex_waitv* list, unsigned count, unsigned flags,
                      const struct timespec* until, clockid_t clock) {
  return syscall(SYS_futex_waitv, list, count, flags, until, clock);
}

static void* ask_lists(void* argument) {
  const struct timespec past = {1, 0}, bad = {1, -1};
  const struct timespec soon = after_ms(CLOCK_MONOTONIC, 20);
  uint32_t values[2] = {3, 4};
  struct futex_waitv list[2] = {{.val = 3, .uaddr = (uintptr_t)values, .flags = kPrivate},
                                {.val = 5, .uaddr = (uintptr_t)(values + 1), .flags = kPrivate}};
  printf("value: %s\n", said(wait_list(list, 2, 0, NULL, 0)));
  list[1].val = 4;
  printf("time: %s\n", said(wait_list(list, 2, 0, &soon, CLOCK_MONOTONIC)));
  printf("past: %s\n", said(wait_list(list, 2, 0, &past, CLOCK_REALTIME)));
  printf("bad time: %s\n", said(wait_list(list, 2, 0, &bad, CLOCK_MONOTONIC)));
  printf("bad clock: %s\n", said(wait_list(list, 2, 0, &past, CLOCK_BOOTTIME)));
  printf("flags: %s\n", said(wait_list(list, 2, 1, &past, CLOCK_MONOTONIC)));
  printf("none: %s\n", said(wait_list(list, 0, 0, &past, CLOCK_MONOTONIC)));
  printf("too many: %s\n", said(wait_list(list, 129, 0, &past, CLOCK_MONOTONIC)));
  printf("no list: %s\n", said(wait_list(NULL, 1, 0, &past, CLOCK_MONOTONIC)));
  list[1].flags = FUTEX_PRIVATE_FLAG;
  printf("size: %s\n", said(wait_list(list, 2, 0, &past, CLOCK_MONOTONIC)));
  list[1].flags = FUTEX_32;
  printf("one is shared: %s\n", said(wait_list(list, 2, 0, &past, CLOCK_MONOTONIC)));
  list[1].flags = kPrivate;
  list[1].uaddr += 2;
  printf("between: %s\n", said(wait_list(list, 2, 0, &past, CLOCK_MONOTONIC)));
  CHECK(waiting(values) == 0);
  return argument;
}

static void lists_answer(void) { finish(start(ask_lists, NULL)); }

static _Atomic int handled;

static void handle(int number) {
  (void)number;
  ++handled;
}

static void* wait_for_list_in_spite_of_signals(void* argument) {
  const struct timespec until = after_ms(CLOCK_MONOTONIC, 20000);
  struct futex_waitv list = {.uaddr = (uintptr_t)&word, .flags = kPrivate};
  printf("%s\n", said(wait_list(&list, 1, 0, argument ? &until : NULL, CLOCK_MONOTONIC)));
  return NULL;
}

static void lists_and_signals(void) {
  for (int i = 0; i < 4; ++i) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = i < 2 ? SA_RESTART : 0};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    handled = 0;
    pthread_t thread = start(wait_for_list_in_spite_of_signals, i % 2 ? &word : NULL);
    until_waiting(&word, 1);
    MUST(pthread_kill(thread, SIGUSR1) == 0);
    while (handled == 0) nap(1);
    if (i < 2) {
      until_waiting(&word, 1);
      CHECK(wake(&word, 1) == 1);
    }
    finish(thread);
  }
}

static long new_wait(void* on, unsigned long value, unsigned long mask, unsigned flags,
                     const struct timespec* until, clockid_t clock) {
  return syscall(SYS_futex_wait, on, value, mask, flags, until, clock);
}

static long new_wake(void* on, unsigned long mask, int count, unsigned flags) {
  return syscall(SYS_futex_wake, on, mask, count, flags);
}

static long new_move(uint32_t* from, uint32_t value, uint32_t* to, int wakes, int moves,
                     unsigned flags) {
  struct futex_waitv pair[2] = {{.val = value, .uaddr = (uintptr_t)from, .flags = flags},
                                {.uaddr = (uintptr_t)to, .flags = flags}};
  return syscall(SYS_futex_requeue, pair, 0, wakes, moves);
}

static void* ask(void* argument) {
  const unsigned long all = 0xffffffffUL;
  const struct timespec past = {1, 0}, bad = {1, -1};
  uint32_t words[2] = {3, 3};
  struct futex_waitv pair[2] = {{.val = 3, .uaddr = (uintptr_t)words, .flags = kPrivate},
                                {.uaddr = (uintptr_t)(words + 1), .flags = kPrivate}};
  printf("wake: %ld %ld\n", new_wake(words, all, 9, kPrivate), new_wake(words, all, 0, kPrivate));
  printf("size: %s\n", said(new_wake(words, all, 1, FUTEX_PRIVATE_FLAG)));
  printf("flag: %s\n", said(new_wake(words, all, 1, kPrivate | 0x40)));
  printf("no mask: %s\n", said(new_wake(words, 0, 1, kPrivate)));
  printf("wide mask: %s\n", said(new_wake(words, 1UL << 32, 1, kPrivate)));
  printf("between: %s\n", said(new_wake((char*)words + 2, all, 1, kPrivate)));
  printf("value: %s\n", said(new_wait(words, 4, all, kPrivate, NULL, 0)));
  printf("wide value: %s\n", said(new_wait(words, 1UL << 32 | 3, all, kPrivate, NULL, 0)));
  printf("wait for none: %s\n", said(new_wait(words, 3, 0, kPrivate, NULL, 0)));
  printf("past: %s\n", said(new_wait(words, 3, all, kPrivate, &past, CLOCK_MONOTONIC)));
  printf("long past: %s\n", said(new_wait(words, 3, all, kPrivate, &past, CLOCK_REALTIME)));
  printf("bad time: %s\n", said(new_wait(words, 3, all, kPrivate, &bad, CLOCK_MONOTONIC)));
  printf("bad clock: %s\n", said(new_wait(words, 3, all, kPrivate, &past, CLOCK_BOOTTIME)));
  printf("shared: %s\n", said(new_wait(words, 3, all, FUTEX_32, &past, CLOCK_MONOTONIC)));
  printf("move: %s\n", said(new_move(words, 4, words + 1, 1, 1, kPrivate)));
  printf("less than none: %s\n", said(new_move(words, 3, words + 1, -1, 1, kPrivate)));
  printf("flags: %s\n", said(syscall(SYS_futex_requeue, pair, 1, 1, 1)));
  printf("no pair: %s\n", said(syscall(SYS_futex_requeue, NULL, 0, 1, 1)));
  pair[1].__reserved = 1;
  printf("reserved: %s\n", said(syscall(SYS_futex_requeue, pair, 0, 1, 1)));
  return argument;
}

static void newer_answers(void) { finish(start(ask, NULL)); }

static void newer_answers_alone(void) { ask(NULL); }

static void* wait_newly(void* mask) {
  CHECK(new_wait(&word, 0, (unsigned long)as_number(mask), kPrivate, NULL, 0) == 0);
  return NULL;
}

static void newer_calls_beside_older(void) {
  pthread_t threads[] = {start(wait_newly, as_pointer(1)), start(wait_newly, as_pointer(2)),
                         start(wait_for_one, &word), start(wait_for_list, &word)};
  until_waiting(&word, 4);
  printf("of a mask %ld\n", new_wake(&word, 4, 1, kPrivate));
  printf("moved %ld\n", new_move(&word, 0, &other, 1, 1, kPrivate));
  printf("left %ld\n", waiting(&word));
  printf("woken %ld\n", new_wake(&word, 0xffffffffUL, 9, kPrivate));
  printf("moved ones %ld\n", new_wake(&other, 0xffffffffUL, 9, kPrivate));
  for (int i = 0; i < 4; ++i) finish(threads[i]);
}

static uint32_t* shared;

static void* wait_shared(void* argument) {
  CHECK(new_wait(shared, 0, 0xffffffffUL, FUTEX_32, NULL, 0) == 0);
  return argument;
}

static void newer_calls_of_processes(void) {
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(shared != MAP_FAILED);
  pthread_t threads[] = {start(wait_shared, NULL), start(wait_shared, NULL)};
  for (long moved = 0; moved < 2; nap(1)) moved += new_move(shared, 0, shared + 1, 0, 9, FUTEX_32);
  for (int i = 0; i < 2; ++i) printf("woken %ld\n", new_wake(shared + 1, 1, 1, FUTEX_32));
  for (int i = 0; i < 2; ++i) finish(threads[i]);
  munmap(shared, 4096);
}

static void* wait_in_spite_of_signals(void* argument) {
  const struct timespec until = after_ms(CLOCK_REALTIME, 20000);
  const long result = as_number(argument) == 0
                          ? new_wait(&word, 0, 1, kPrivate, NULL, 0)
                          : new_wait(&word, 0, 1, kPrivate, &until, CLOCK_REALTIME);
  printf("%s\n", said(result));
  return NULL;
}

static void newer_waits_and_signals(void) {
  for (int i = 0; i < 4; ++i) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = i < 2 ? SA_RESTART : 0};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    handled = 0;
    pthread_t thread = start(wait_in_spite_of_signals, as_pointer(i % 2));
    until_waiting(&word, 1);
    MUST(pthread_kill(thread, SIGUSR1) == 0);
    while (handled == 0) nap(1);
    if (i < 2) {
      until_waiting(&word, 1);
      CHECK(new_wake(&word, 1, 1, kPrivate) == 1);
    }
    finish(thread);
  }
}

static const struct twin_case cases[] = {
    {"lists_are_moved", THREADS, lists_are_moved},
    {"lists_are_woken_by_an_operation", THREADS, lists_are_woken_by_an_operation},
    {"many_lists", THREADS, many_lists},
    {"lists_answer", THREADS, lists_answer},
    {"lists_and_signals", THREADS, lists_and_signals},
    {"newer_answers", THREADS, newer_answers},
    {"newer_answers_alone", ALONE, newer_answers_alone},
    {"newer_calls_beside_older", THREADS, newer_calls_beside_older},
    {"newer_calls_of_processes", THREADS, newer_calls_of_processes},
    {"newer_waits_and_signals", THREADS, newer_waits_and_signals},
};

TWIN_MAIN(cases)
