// Mutexes between processes, both of which have threads of their own.
#include <sys/mman.h>
#include <sys/wait.h>

#include "twin.h"

enum step { BEGUN, HELD, TRIED, CHANGED };

struct shared {
  pthread_mutex_t mutex;
  enum step step;
  int counter;
};

static struct shared* share(int type, int protocol, int robust) {
  struct shared* const shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(shared != MAP_FAILED);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  CHECK(pthread_mutexattr_settype(&attributes, type) == 0);
  CHECK(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
  CHECK(pthread_mutexattr_setrobust(&attributes, robust) == 0);
  CHECK(pthread_mutex_init(&shared->mutex, &attributes) == 0);
  pthread_mutexattr_destroy(&attributes);
  return shared;
}

static void reach(struct shared* shared, enum step step) {
  __atomic_store_n(&shared->step, step, __ATOMIC_SEQ_CST);
}

static void await(struct shared* shared, enum step step) {
  while (__atomic_load_n(&shared->step, __ATOMIC_SEQ_CST) < step) nap(1);
}

static void* idle(void* argument) { return argument; }

// `there` on a new thread of a child and `here` on a new one of this process, at the same time.
// Threads are numbered alike in both.
static void in_both(struct shared* shared, void* (*there)(void*), void* (*here)(void*)) {
  finish(start(idle, NULL));
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    twin_failures = 0;
    finish(start(there, shared));
    fflush(stdout);
    _exit(twin_failures != 0);
  }
  finish(start(here, shared));
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

static void* hold(void* argument) {
  struct shared* const shared = argument;
  CHECK(pthread_mutex_lock(&shared->mutex) == 0);
  reach(shared, HELD);
  await(shared, TRIED);
  CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
  return NULL;
}

static void* try(void* argument) {
  struct shared* const shared = argument;
  await(shared, HELD);
  const int tried = pthread_mutex_trylock(&shared->mutex);
  printf("try: %s\n", error_name(tried));
  struct timespec soon = after_ms(CLOCK_REALTIME, 30);
  printf("for a while: %s\n", error_name(pthread_mutex_timedlock(&shared->mutex, &soon)));
  printf("unlock: %s\n", error_name(pthread_mutex_unlock(&shared->mutex)));
  reach(shared, TRIED);
  return NULL;
}

static void recursive(void) {
  in_both(share(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED), hold, try);
}

static void error_checking(void) {
  in_both(share(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED), hold, try);
}

static void inheriting(void) {
  in_both(share(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED), hold, try);
}

static void* count(void* argument) {
  struct shared* const shared = argument;
  for (int i = 0; i < 200; ++i) {
    CHECK(pthread_mutex_lock(&shared->mutex) == 0);
    const int before = shared->counter;
    if (i % 20 == 0) nap(1);
    shared->counter = before + 1;
    CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
  }
  return NULL;
}

static void contended(int protocol) {
  struct shared* const shared = share(PTHREAD_MUTEX_NORMAL, protocol, PTHREAD_MUTEX_STALLED);
  in_both(shared, count, count);
  printf("counted: %d\n", shared->counter);
}

static void plain_contended(void) { contended(PTHREAD_PRIO_NONE); }
static void inheriting_contended(void) { contended(PTHREAD_PRIO_INHERIT); }

static void* leave_locked(void* argument) {
  struct shared* const shared = argument;
  CHECK(pthread_mutex_lock(&shared->mutex) == 0);
  reach(shared, HELD);
  nap(60000);
  return NULL;
}

// The child ends by exit() while another thread than its first one holds the lock.
static void exit_with_holder(int protocol) {
  struct shared* const shared = share(PTHREAD_MUTEX_NORMAL, protocol, PTHREAD_MUTEX_ROBUST);
  finish(start(idle, NULL));
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    start(leave_locked, shared);
    await(shared, HELD);
    exit(0);
  }
  await(shared, HELD);
  printf("heir: %s\n", error_name(pthread_mutex_lock(&shared->mutex)));
  CHECK(waitpid(child, NULL, 0) == child);
}

static void exits(void) { exit_with_holder(PTHREAD_PRIO_NONE); }
static void inheriting_exits(void) { exit_with_holder(PTHREAD_PRIO_INHERIT); }

static const struct twin_case cases[] = {
    {"recursive", THREADS, recursive},
    {"error_checking", THREADS, error_checking},
    {"inheriting", THREADS, inheriting},
    {"plain_contended", THREADS, plain_contended},
    {"inheriting_contended", THREADS, inheriting_contended},
    {"exits", THREADS, exits},
    {"inheriting_exits", THREADS, inheriting_exits},
};

TWIN_MAIN(cases)
