// io_uring by liburing: rings of the program's own. A thread that waits for completions holds up
// nobody, on one carrier neither: the watchdog takes ten seconds here to find out that a kernel
// thread is stuck (RAMIE_SLICE), and all is done in time.
#include <liburing.h>
#include <signal.h>
#include <stdint.h>

#include "processors.h"

enum { kInTime = 7000, kEntries = 16, kManyReads = 12 };

struct ring {
  struct io_uring ring;
  unsigned flags;
  int ends[2];
};

static int there_are_rings(unsigned flags) {
  struct io_uring ring;
  if (io_uring_queue_init(kEntries, &ring, flags) != 0) {
    printf("no such rings here\n");
    return 0;
  }
  io_uring_queue_exit(&ring);
  return 1;
}

static void* write_later(void* ends) {
  nap(30);
  CHECK(write(((int*)ends)[1], "x", 1) == 1);
  return NULL;
}

static void ask_for_byte(struct ring* r, char* byte) {
  struct io_uring_sqe* wish = io_uring_get_sqe(&r->ring);
  MUST(wish != NULL);
  io_uring_prep_read(wish, r->ends[0], byte, 1, 0);
}

static void take(struct ring* r, struct io_uring_cqe* taken) {
  printf("%d\n", taken->res);
  io_uring_cqe_seen(&r->ring, taken);
}

// Submitting and waiting in one call and in two, with a time-out that ends it and one that doesn't.
static void* wait_in_each_way(void* argument) {
  struct ring* r = argument;
  struct io_uring_params wish = {.flags = r->flags};
  MUST(io_uring_queue_init_params(kEntries, &r->ring, &wish) == 0 && pipe(r->ends) == 0);
  CHECK(wish.flags == r->flags);
  struct io_uring_cqe* taken = NULL;
  char byte;

  ask_for_byte(r, &byte);
  pthread_t writer = start(write_later, r->ends);
  printf("submit and wait: %d\n", io_uring_submit_and_wait(&r->ring, 1));
  CHECK(io_uring_peek_cqe(&r->ring, &taken) == 0);
  take(r, taken);
  finish(writer);

  ask_for_byte(r, &byte);
  printf("submit: %d\n", io_uring_submit(&r->ring));
  struct __kernel_timespec soon = {0, 10000000};
  printf("wait: %d\n", io_uring_wait_cqe_timeout(&r->ring, &taken, &soon));
  writer = start(write_later, r->ends);
  struct __kernel_timespec late = {5, 0};
  printf("wait: %d\n", io_uring_wait_cqe_timeout(&r->ring, &taken, &late));
  take(r, taken);
  finish(writer);

  // More than one, which come one by one.
  for (int i = 0; i < 3; ++i) ask_for_byte(r, &byte);
  printf("submit: %d\n", io_uring_submit(&r->ring));
  pthread_t writers[3];
  for (int i = 0; i < 3; ++i) writers[i] = start(write_later, r->ends);
  printf("wait: %d\n", io_uring_wait_cqe_nr(&r->ring, &taken, 3));
  printf("ready: %u\n", io_uring_cq_ready(&r->ring));
  io_uring_cq_advance(&r->ring, 3);
  for (int i = 0; i < 3; ++i) finish(writers[i]);

  io_uring_queue_exit(&r->ring);
  close(r->ends[0]);
  close(r->ends[1]);
  return NULL;
}

static void with_flags(unsigned flags) {
  if (!there_are_rings(flags)) return;
  struct ring r = {.flags = flags};
  const long long before = now_ms();
  finish(start(wait_in_each_way, &r));
  CHECK(now_ms() - before < kInTime);
}

static void plain(void) { with_flags(0); }

static void for_one_thread(void) {
  with_flags(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
}

static void with_late_work(void) {
  with_flags(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
}

static void with_a_kernel_thread(void) { with_flags(IORING_SETUP_SQPOLL); }

// One that waits, and others that wait for each other meanwhile.
static void* wait_for_one(void* argument) {
  struct ring* r = argument;
  struct io_uring_cqe* taken;
  char byte;
  MUST(io_uring_queue_init(kEntries, &r->ring, 0) == 0);
  ask_for_byte(r, &byte);
  CHECK(io_uring_submit_and_wait(&r->ring, 1) == 1);
  CHECK(io_uring_peek_cqe(&r->ring, &taken) == 0);
  take(r, taken);
  io_uring_queue_exit(&r->ring);
  return NULL;
}

static void many_that_wait(void) {
  if (!there_are_rings(0)) return;
  const long long before = now_ms();
  struct ring each[kManyReads];
  pthread_t readers[kManyReads];
  for (int i = 0; i < kManyReads; ++i) {
    MUST(pipe(each[i].ends) == 0);
    readers[i] = start(wait_for_one, &each[i]);
  }
  nap(30);
  for (int i = kManyReads - 1; i >= 0; --i) CHECK(write(each[i].ends[1], "x", 1) == 1);
  for (int i = 0; i < kManyReads; ++i) {
    finish(readers[i]);
    close(each[i].ends[0]);
    close(each[i].ends[1]);
  }
  CHECK(now_ms() - before < kInTime);
}

// A ring that was made before the first thread was.
static void made_before_threads(void) {
  if (!there_are_rings(0)) return;
  struct ring r = {.flags = 0};
  struct io_uring_cqe* taken;
  char byte;
  MUST(io_uring_queue_init(kEntries, &r.ring, 0) == 0 && pipe(r.ends) == 0);
  pthread_t writer = start(write_later, r.ends);
  ask_for_byte(&r, &byte);
  printf("submit and wait: %d\n", io_uring_submit_and_wait(&r.ring, 1));
  CHECK(io_uring_peek_cqe(&r.ring, &taken) == 0);
  take(&r, taken);
  finish(writer);
  io_uring_queue_exit(&r.ring);
}

static volatile sig_atomic_t handled;

static void note(int number) { handled = number; }

static void* wait_for_signal(void* argument) {
  struct ring* r = argument;
  struct io_uring_cqe* taken;
  MUST(io_uring_queue_init(kEntries, &r->ring, 0) == 0);
  printf("wait: %d\n", io_uring_wait_cqe(&r->ring, &taken));
  printf("handled: %d\n", handled == SIGUSR1);
  io_uring_queue_exit(&r->ring);
  return NULL;
}

// By a handler that restarts what can be.
static void ended_by_a_signal(void) {
  if (!there_are_rings(0)) return;
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  struct ring r = {.flags = 0};
  pthread_t waiter = start(wait_for_signal, &r);
  nap(30);
  CHECK(pthread_kill(waiter, SIGUSR1) == 0);
  finish(waiter);
}

// In the mask for the length of the call alone.
static void* wait_with_mask(void* argument) {
  struct ring* r = argument;
  struct io_uring_cqe* taken;
  sigset_t blocked, let_in;
  sigemptyset(&let_in);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0 && raise(SIGUSR1) == 0 && handled == 0);
  MUST(io_uring_queue_init(kEntries, &r->ring, 0) == 0);
  struct __kernel_timespec late = {5, 0};
  printf("wait: %d\n", io_uring_wait_cqes(&r->ring, &taken, 1, &late, &let_in));
  printf("handled: %d\n", handled == SIGUSR1);
  io_uring_queue_exit(&r->ring);
  return NULL;
}

static void ended_by_a_masked_signal(void) {
  if (!there_are_rings(0)) return;
  struct sigaction action = {.sa_handler = note};
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  handled = 0;
  struct ring r = {.flags = 0};
  finish(start(wait_with_mask, &r));
}

// What the thread has asked for while it had one processor goes on when it has all again.
static void* ask_bound_and_wait_free(void* argument) {
  struct ring r = {.flags = 0};
  struct io_uring_cqe* taken = NULL;
  cpu_set_t all;
  const cpu_set_t one = only(processor(1));
  char byte;
  MUST(sched_getaffinity(0, sizeof all, &all) == 0);
  MUST(io_uring_queue_init(kEntries, &r.ring, 0) == 0 && pipe(r.ends) == 0);
  CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
  ask_for_byte(&r, &byte);
  printf("submitted: %d\n", io_uring_submit(&r.ring));
  CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
  nap(50);
  CHECK(write(r.ends[1], "x", 1) == 1);
  CHECK(io_uring_wait_cqe(&r.ring, &taken) == 0);
  take(&r, taken);
  close(r.ends[0]);
  close(r.ends[1]);
  io_uring_queue_exit(&r.ring);
  return argument;
}

static void of_a_thread_that_was_bound(void) {
  if (there_are_rings(0)) finish(start(ask_bound_and_wait_free, NULL));
}

static void* fail(void* argument) {
  char buffer[256] = {0};
  printf("no ring: %d\n", io_uring_enter(-1, 0, 1, IORING_ENTER_GETEVENTS, NULL));
  int ends[2];
  MUST(pipe(ends) == 0);
  printf("a pipe: %d\n", io_uring_enter((unsigned)ends[0], 0, 1, IORING_ENTER_GETEVENTS, NULL));
  close(ends[0]);
  close(ends[1]);
  struct io_uring_params* params = (struct io_uring_params*)buffer;
  params->flags = ~0U;
  printf("all flags: %d\n", io_uring_setup(1, params));
  params->flags = IORING_SETUP_DEFER_TASKRUN;
  printf("not for one thread: %d\n", io_uring_setup(1, params));
  params->flags = IORING_SETUP_TASKRUN_FLAG;
  printf("told of no work: %d\n", io_uring_setup(1, params));
  params->flags = 0;
  printf("no entries: %d\n", io_uring_setup(0, params));
  return argument;
}

static void errors(void) {
  if (there_are_rings(0)) finish(start(fail, NULL));
}

static const struct twin_case cases[] = {
    {"plain", THREADS, plain},
    {"for_one_thread", THREADS, for_one_thread},
    {"with_late_work", THREADS, with_late_work},
    {"with_a_kernel_thread", THREADS, with_a_kernel_thread},
    {"many_that_wait", THREADS, many_that_wait},
    {"made_before_threads", THREADS, made_before_threads},
    {"ended_by_a_signal", THREADS, ended_by_a_signal},
    {"ended_by_a_masked_signal", THREADS, ended_by_a_masked_signal},
    {"of_a_thread_that_was_bound", THREADS, of_a_thread_that_was_bound},
    {"errors", THREADS, errors},
};

TWIN_MAIN(cases)
