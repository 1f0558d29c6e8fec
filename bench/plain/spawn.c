// What it costs to create threads and to join them.
//
//   spawn one_by_one N   create and join N threads, one after another
//   spawn burst N        create N threads, then join them; and all of that again
#include <pthread.h>
#include <stdatomic.h>

#include "figures.h"

static atomic_long ran;

static void* body(void* argument) {
  atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
  return argument;
}

static void must_have_run(long count) {
  if (atomic_exchange(&ran, 0) != count) fail("spawn", "not every thread has run");
}

static void spawn_one_by_one(long count) {
  for (long i = 0; i < count; ++i) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, body, NULL), "pthread_create");
    must(pthread_join(thread, NULL), "pthread_join");
  }
  must_have_run(count);
}

static void measure_one_by_one(char** arguments) {
  const long count = count_of(arguments[0]);
  spawn_one_by_one(count / 10 + 1);  // the first of all start what the others find ready
  const Moment begin = now();
  spawn_one_by_one(count);
  tell("spawn", begin, count);
}

static void measure_burst(char** arguments) {
  const long count = count_of(arguments[0]);
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) fail("threads", "no memory");
  static const char* const kRounds[] = {"cold", "warm"};
  for (int round = 0; round < 2; ++round) {
    const Moment begin = now();
    for (long i = 0; i < count; ++i) {
      must(pthread_create(&threads[i], NULL, body, NULL), "pthread_create");
    }
    for (long i = 0; i < count; ++i) must(pthread_join(threads[i], NULL), "pthread_join");
    tell(kRounds[round], begin, count);
    must_have_run(count);
  }
  free(threads);
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {{"one_by_one", 1, measure_one_by_one},
                                       {"burst", 1, measure_burst}};
  return run_measurement(argc, argv, kKnown, 2);
}
