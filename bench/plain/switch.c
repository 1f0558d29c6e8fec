// Threads as every textbook has them: what it costs when one gives its turn to another. Natively
// these are kernel threads; under the preload the same binary's threads are fibers.
//
//   switch yield THREADS SWITCHES   take turns by sched_yield; for one CPU
//   switch handover PAIRS ROUNDS    two threads of each pair wake each other by semaphores, in turn
//   switch crowd CROWD MS           one such pair beside so many that always yield; for one CPU
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "figures.h"

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

static void measure_yield(char** arguments) {
  const long threads = count_of(arguments[0]), count = count_of(arguments[1]);
  pthread_t* const others = calloc((size_t)threads, sizeof *others);
  if (others == NULL) fail("threads", "no memory");
  atomic_store(&wanted, 1L << 60);
  for (long i = 1; i < threads; ++i) {
    must(pthread_create(&others[i], NULL, switch_body, NULL), "pthread_create");
  }
  while (atomic_load(&arrived) < threads - 1) sched_yield();

  const long before = atomic_load(&switches);
  const Moment begin = now();
  atomic_store(&wanted, before + count);
  take_turns(0);
  tell("switch", begin, atomic_load(&switches) - before);

  for (long i = 1; i < threads; ++i) must(pthread_join(others[i], NULL), "pthread_join");
  free(others);
}

// One waits for a ping and answers by a pong, the other the reverse.
typedef struct {
  sem_t ping, pong;
  pthread_t first, second;
  long rounds;
} Pair;

static void* ping_first(void* argument) {
  Pair* const pair = argument;
  for (long i = 0; i < pair->rounds; ++i) {
    sem_post(&pair->ping);
    while (sem_wait(&pair->pong) != 0) continue;
  }
  return NULL;
}

static void* pong_first(void* argument) {
  Pair* const pair = argument;
  for (long i = 0; i < pair->rounds; ++i) {
    while (sem_wait(&pair->ping) != 0) continue;
    sem_post(&pair->pong);
  }
  return NULL;
}

static void measure_handover(char** arguments) {
  const long count = count_of(arguments[0]), rounds = count_of(arguments[1]);
  Pair* const pairs = calloc((size_t)count, sizeof *pairs);
  if (pairs == NULL) fail("pairs", "no memory");
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    sem_init(&pairs[i].ping, 0, 0);
    sem_init(&pairs[i].pong, 0, 0);
    pairs[i].rounds = rounds;
    must(pthread_create(&pairs[i].first, NULL, ping_first, &pairs[i]), "pthread_create");
    must(pthread_create(&pairs[i].second, NULL, pong_first, &pairs[i]), "pthread_create");
  }
  for (long i = 0; i < count; ++i) {
    must(pthread_join(pairs[i].first, NULL), "pthread_join");
    must(pthread_join(pairs[i].second, NULL), "pthread_join");
  }
  tell("handover", begin, 2 * rounds * count);
  free(pairs);
}

static atomic_bool stop, ended;
static atomic_long turns;  // of those of the crowd that have ended

static void* crowd_body(void* argument) {
  (void)argument;
  long mine = 0;
  atomic_fetch_add(&arrived, 1);
  for (; !atomic_load_explicit(&stop, memory_order_relaxed); ++mine) sched_yield();
  atomic_fetch_add(&turns, mine);
  return NULL;
}

static void* ping_until_stop(void* argument) {
  Pair* const pair = argument;
  for (; !atomic_load_explicit(&stop, memory_order_relaxed); ++pair->rounds) {
    sem_post(&pair->ping);
    while (sem_wait(&pair->pong) != 0) continue;
  }
  atomic_store(&ended, true);
  sem_post(&pair->ping);
  return NULL;
}

static void* pong_until_end(void* argument) {
  Pair* const pair = argument;
  for (;;) {
    while (sem_wait(&pair->ping) != 0) continue;
    if (atomic_load(&ended)) return NULL;
    sem_post(&pair->pong);
  }
}

static void measure_beside_crowd(char** arguments) {
  const long count = count_of(arguments[0]), ms = count_of(arguments[1]);
  pthread_t* const crowd = calloc((size_t)count, sizeof *crowd);
  Pair pair = {.rounds = 0};
  if (crowd == NULL) fail("threads", "no memory");
  sem_init(&pair.ping, 0, 0);
  sem_init(&pair.pong, 0, 0);
  for (long i = 0; i < count; ++i) {
    must(pthread_create(&crowd[i], NULL, crowd_body, NULL), "pthread_create");
  }
  while (atomic_load(&arrived) < count) sched_yield();
  must(pthread_create(&pair.second, NULL, pong_until_end, &pair), "pthread_create");
  const Moment begin = now();
  must(pthread_create(&pair.first, NULL, ping_until_stop, &pair), "pthread_create");
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
  atomic_store(&stop, true);
  const Moment end = now();
  for (long i = 0; i < count; ++i) must(pthread_join(crowd[i], NULL), "pthread_join");
  must(pthread_join(pair.first, NULL), "pthread_join");
  must(pthread_join(pair.second, NULL), "pthread_join");
  tell_crowd(begin, end, 2 * pair.rounds, atomic_load(&turns));
  free(crowd);
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {{"yield", 2, measure_yield},
                                       {"handover", 2, measure_handover},
                                       {"crowd", 2, measure_beside_crowd}};
  return run_measurement(argc, argv, kKnown, 3);
}
