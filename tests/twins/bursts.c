// Many threads block in the kernel at the same time, and then no more. Under the preload each takes
// a kernel thread for that. Those end when they have not been needed for some seconds, but for what
// the kernel ends with them: children that wish to die with their parent, and requests to a ring.
#include <liburing.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

enum { kMost = 512, kBeyond = 24, kGone = 5000, kEntries = 4 };

static int number_of_threads(void) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  return processors + kBeyond < kMost ? (int)processors + kBeyond : kMost;
}

static int kernel_threads(void) {
  FILE* file = fopen("/proc/self/status", "re");
  MUST(file != NULL);
  char line[256];
  int count = 0;
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Threads: %d", &count) != 1) {
  }
  fclose(file);
  MUST(count > 0);
  return count;
}

static aio_context_t context;

// For events that don't come.  The end of a ring may interrupt it.
static void block(void) {
  struct io_event taken;
  struct timespec while_others_come = {0, 300000000};
  long result;
  do {
    result = syscall(SYS_io_getevents, context, 1L, 1L, &taken, &while_others_come);
  } while (result < 0 && errno == EINTR);
  CHECK(result == 0);
}

static pthread_t threads[kMost];

static void start_threads(void* (*body)(void*)) {
  context = 0;
  MUST(syscall(SYS_io_setup, 1, &context) == 0);
  for (long i = 0; i < number_of_threads(); ++i) threads[i] = start(body, as_pointer(i));
}

static void finish_threads(void) {
  for (int i = 0; i < number_of_threads(); ++i) finish(threads[i]);
  MUST(syscall(SYS_io_destroy, context) == 0);
}

static void* only_block(void* argument) {
  block();
  return argument;
}

static void kernel_threads_end(void) {
  for (int i = 0; i < 2; ++i) {
    start_threads(only_block);
    finish_threads();
    const int few = (int)sysconf(_SC_NPROCESSORS_ONLN) + 10;
    const long long end = now_ms() + 60000;
    while (kernel_threads() > few && now_ms() < end) nap(100);
    CHECK(kernel_threads() <= few);
  }
}

static int gate[2];
static _Atomic pid_t somebody;

// Natively they all have one.
static int has_kernel_thread(pid_t tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d", (int)tid);
  return access(path, F_OK) == 0;
}

// Most wait for long, some until they have waited for a while.
static void* block_and_wait(void* argument) {
  block();
  somebody = gettid();
  const int is_short = as_number(argument) % 4 == 0;
  struct pollfd wish = {gate[0], POLLIN, 0};
  CHECK(poll(&wish, 1, is_short ? kGone : 100000) == !is_short);
  return argument;
}

static void kernel_threads_end_beside_timers(void) {
  MUST(pipe(gate) == 0);
  start_threads(block_and_wait);
  const int few = (int)sysconf(_SC_NPROCESSORS_ONLN) + 10;
  const long long end = now_ms() + 60000;
  nap(1000);
  while (kernel_threads() > few && !has_kernel_thread(somebody) && now_ms() < end) nap(100);
  CHECK(kernel_threads() <= few || has_kernel_thread(somebody));
  for (int i = 0; i < number_of_threads(); i += 4) finish(threads[i]);
  CHECK(write(gate[1], "x", 1) == 1);
  for (int i = 0; i < number_of_threads(); ++i) {
    if (i % 4 != 0) finish(threads[i]);
  }
  MUST(syscall(SYS_io_destroy, context) == 0);
}

static pthread_barrier_t over;
static pid_t children[kMost];

static void* have_a_child(void* argument) {
  block();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  children[as_number(argument)] = child;
  pthread_barrier_wait(&over);
  return NULL;
}

static void children_live(void) {
  const int count = number_of_threads();
  pthread_barrier_init(&over, NULL, (unsigned)count + 1);
  start_threads(have_a_child);
  nap(kGone);
  for (int i = 0; i < count; ++i) {
    CHECK(children[i] > 0 && waitpid(children[i], NULL, WNOHANG) == 0);
    CHECK(kill(children[i], SIGKILL) == 0 && waitpid(children[i], NULL, 0) == children[i]);
  }
  pthread_barrier_wait(&over);
  finish_threads();
}

static int ends[2];

static void* read_by_ring(void* argument) {
  block();
  struct io_uring ring;
  struct io_uring_cqe* taken;
  char byte;
  MUST(io_uring_queue_init(kEntries, &ring, 0) == 0);
  io_uring_prep_read(io_uring_get_sqe(&ring), ends[0], &byte, 1, 0);
  CHECK(io_uring_submit_and_wait(&ring, 1) == 1);
  CHECK(io_uring_peek_cqe(&ring, &taken) == 0 && taken->res == 1);
  io_uring_queue_exit(&ring);
  return argument;
}

static void requests_go_on(void) {
  struct io_uring ring;
  if (io_uring_queue_init(kEntries, &ring, 0) != 0) {
    printf("no rings here\n");
    return;
  }
  io_uring_queue_exit(&ring);
  MUST(pipe(ends) == 0);
  start_threads(read_by_ring);
  nap(kGone);
  for (int i = 0; i < number_of_threads(); ++i) CHECK(write(ends[1], "x", 1) == 1);
  finish_threads();
}

static const struct twin_case cases[] = {
    {"kernel_threads_end", THREADS, kernel_threads_end},
    {"kernel_threads_end_beside_timers", THREADS, kernel_threads_end_beside_timers},
    {"children_live", THREADS, children_live},
    {"requests_go_on", THREADS, requests_go_on},
};

TWIN_MAIN(cases)
