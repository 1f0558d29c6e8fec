// Threads as every textbook has them: what a switch between them costs, and what their creation.
// Natively these are kernel threads; under the preload the same binary's threads are fibers.
//
//   threads switch THREADS SWITCHES   take turns by sched_yield; pin it to one CPU (taskset -c 0)
//   threads spawn N                   create and join N threads, one after another
//   threads burst N                   create N threads, then join them; and all of that again
//
// One line for each measurement: its name, and ns of time and of CPU time per switch or per thread.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
  double wall, cpu;
} Moment;

static double read_clock(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// The CPU time is that of all threads, and of what the kernel does for them.
static Moment now(void) {
  return (Moment){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

static void tell(const char* name, Moment begin, Moment end, long operations) {
  printf("%s %.2f %.2f\n", name, (end.wall - begin.wall) / (double)operations,
         (end.cpu - begin.cpu) / (double)operations);
}

static void must(int error, const char* what) {
  if (error != 0) {
    fprintf(stderr, "threads: %s: %s\n", what, strerror(error));
    exit(1);
  }
}

// The threads share one CPU, so plain loads and stores would nearly do: relaxed, and no locked
// instruction in the measured loop. What counts is not a call of sched_yield, which the kernel may
// answer by letting the caller go on, but that another thread than before has the turn.
static atomic_long switches, wanted;
static atomic_int last, arrived;

static void take_turns(int self) {
  for (;;) {
    const long done = atomic_load_explicit(&switches, memory_order_relaxed);
    if (done >= atomic_load_explicit(&wanted, memory_order_relaxed)) return;
    if (atomic_load_explicit(&last, memory_order_relaxed) != self) {
      atomic_store_explicit(&last, self, memory_order_relaxed);
      atomic_store_explicit(&switches, done + 1, memory_order_relaxed);
    }
    sched_yield();
  }
}

static void* switch_body(void* argument) {
  (void)argument;
  take_turns(1 + atomic_fetch_add(&arrived, 1));
  return NULL;
}

static void measure_switch(long threads, long count) {
  pthread_t* const others = calloc((size_t)threads, sizeof *others);
  if (others == NULL) must(1, "calloc");
  atomic_store(&wanted, 1L << 60);
  for (long i = 1; i < threads; ++i) {
    must(pthread_create(&others[i], NULL, switch_body, NULL), "pthread_create");
  }
  while (atomic_load(&arrived) < threads - 1) sched_yield();

  const long before = atomic_load(&switches);
  const Moment begin = now();
  atomic_store(&wanted, before + count);
  take_turns(0);
  const Moment end = now();
  tell("switch", begin, end, atomic_load(&switches) - before);

  for (long i = 1; i < threads; ++i) must(pthread_join(others[i], NULL), "pthread_join");
  free(others);
}

static atomic_long ran;

static void* spawn_body(void* argument) {
  atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
  return argument;
}

static void must_have_run(long count) {
  if (atomic_exchange(&ran, 0) != count) {
    fprintf(stderr, "threads: not every thread has run\n");
    exit(1);
  }
}

static void spawn_one_by_one(long count) {
  for (long i = 0; i < count; ++i) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, spawn_body, NULL), "pthread_create");
    must(pthread_join(thread, NULL), "pthread_join");
  }
  must_have_run(count);
}

static void measure_spawn(long count) {
  spawn_one_by_one(count / 10 + 1);  // the first of all start what the others find ready
  const Moment begin = now();
  spawn_one_by_one(count);
  tell("spawn", begin, now(), count);
}

static void measure_burst(long count) {
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) must(1, "calloc");
  static const char* const kRounds[] = {"cold", "warm"};
  for (int round = 0; round < 2; ++round) {
    const Moment begin = now();
    for (long i = 0; i < count; ++i) {
      must(pthread_create(&threads[i], NULL, spawn_body, NULL), "pthread_create");
    }
    for (long i = 0; i < count; ++i) must(pthread_join(threads[i], NULL), "pthread_join");
    tell(kRounds[round], begin, now(), count);
    must_have_run(count);
  }
  free(threads);
}

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  const long first = argc > 2 ? atol(argv[2]) : 0;
  const long second = argc > 3 ? atol(argv[3]) : 0;
  if (strcmp(what, "switch") == 0 && argc == 4 && first >= 2 && second > 0) {
    measure_switch(first, second);
  } else if (strcmp(what, "spawn") == 0 && argc == 3 && first > 0) {
    measure_spawn(first);
  } else if (strcmp(what, "burst") == 0 && argc == 3 && first > 0) {
    measure_burst(first);
  } else {
    fprintf(stderr, "usage: threads switch THREADS SWITCHES | spawn N | burst N\n");
    return 2;
  }
  return 0;
}
