// What threads cost that wait.
//
//   parked memory N             N threads wait for a semaphore, are woken and joined
//   parked sleeps N MOST_US     N threads sleep once, each for a random time below MOST_US
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "figures.h"

static sem_t gate;
static atomic_long arrived;
static uint64_t most_us;

static void* wait_at_gate(void* argument) {
  atomic_fetch_add(&arrived, 1);
  while (sem_wait(&gate) != 0) continue;
  return argument;
}

static void* sleep_once(void* argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument;
  usleep((useconds_t)random_below(&state, most_us));
  return NULL;
}

static pthread_t* start(long count, void* (*body)(void*)) {
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) fail("threads", "no memory");
  for (long i = 0; i < count; ++i) {
    must(pthread_create(&threads[i], NULL, body, (void*)(i + 1)), "pthread_create");
  }
  return threads;
}

static void join(pthread_t* threads, long count) {
  for (long i = 0; i < count; ++i) must(pthread_join(threads[i], NULL), "pthread_join");
  free(threads);
}

static Parking park(long count) {
  sem_init(&gate, 0, 0);
  atomic_store(&arrived, 0);
  Parking is = {.before = memory_now(), .begin = now()};
  pthread_t* const threads = start(count, wait_at_gate);
  while (atomic_load(&arrived) < count) usleep(1000);
  is.parked = now();
  is.after = memory_now();
  for (long i = 0; i < count; ++i) sem_post(&gate);
  join(threads, count);
  is.ended = now();
  return is;
}

static void measure_memory(char** arguments) { tell_parked(park, count_of(arguments[0])); }

static void measure_sleeps(char** arguments) {
  const long count = count_of(arguments[0]);
  most_us = (uint64_t)count_of(arguments[1]);
  const Moment begin = now();
  join(start(count, sleep_once), count);
  tell_whole("sleeps", begin);
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {{"memory", 1, measure_memory},
                                       {"sleeps", 2, measure_sleeps}};
  return run_measurement(argc, argv, kKnown, 2);
}
