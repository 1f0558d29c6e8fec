// GNU Pth, as the others are measured.
//
//   pth yield N TURNS | one_by_one N | burst N | handover 1 ROUNDS | memory N
#include <pth.h>

#include "figures.h"

enum { kStackSize = 64 * 1024 };

static pth_t start(void* (*body)(void*), void* argument) {
  static pth_attr_t how;
  if (how == NULL) {
    how = pth_attr_new();
    pth_attr_set(how, PTH_ATTR_STACK_SIZE, (unsigned)kStackSize);
  }
  const pth_t thread = pth_spawn(how, body, argument);
  if (thread == NULL) fail("pth_spawn", "no thread");
  return thread;
}

static void join(pth_t thread) {
  if (!pth_join(thread, NULL)) fail("pth_join", "failed");
}

static pth_t* start_many(long count, void* (*body)(void*)) {
  pth_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) fail("threads", "no memory");
  for (long i = 0; i < count; ++i) threads[i] = start(body, (void*)(i + 1));
  return threads;
}

static void join_many(pth_t* threads, long count) {
  for (long i = 0; i < count; ++i) join(threads[i]);
  free(threads);
}

static long turns, wanted, ran;
static int last;

static void take_turns(int self) {
  while (turns < wanted) {
    if (last != self) {
      last = self;
      ++turns;
    }
    pth_yield(NULL);
  }
}

static void* turn_body(void* argument) {
  ++ran;
  take_turns((int)(long)argument);
  return NULL;
}

static void measure_yield(char** arguments) {
  const long count = count_of(arguments[0]) - 1;
  const long more = count_of(arguments[1]);
  wanted = 1L << 60;
  pth_t* const threads = start_many(count, turn_body);
  while (ran < count) pth_yield(NULL);
  const long before = turns;
  const Moment begin = now();
  wanted = before + more;
  take_turns(0);
  tell("switch", begin, turns - before);
  join_many(threads, count);
}

static void* nothing(void* argument) {
  ++ran;
  return argument;
}

static void spawn_one_by_one(long count) {
  ran = 0;
  for (long i = 0; i < count; ++i) join(start(nothing, NULL));
  if (ran != count) fail("spawn", "not every thread has run");
}

static void measure_one_by_one(char** arguments) {
  const long count = count_of(arguments[0]);
  spawn_one_by_one(count / 10 + 1);
  const Moment begin = now();
  spawn_one_by_one(count);
  tell("spawn", begin, count);
}

static void measure_burst(char** arguments) {
  const long count = count_of(arguments[0]);
  static const char* const kRounds[] = {"cold", "warm"};
  for (int round = 0; round < 2; ++round) {
    ran = 0;
    const Moment begin = now();
    join_many(start_many(count, nothing), count);
    tell(kRounds[round], begin, count);
    if (ran != count) fail("burst", "not every thread has run");
  }
}

// Of what Pth has, a condition is the cheapest; nothing preempts, but it wants its mutex.
static pth_mutex_t mutex = PTH_MUTEX_INIT;
static pth_cond_t passed = PTH_COND_INIT;
static int holder;

static void take_from(int other, long rounds) {
  pth_mutex_acquire(&mutex, FALSE, NULL);
  for (long i = 0; i < rounds; ++i) {
    while (holder == other) pth_cond_await(&passed, &mutex, NULL);
    holder = other;
    pth_cond_notify(&passed, FALSE);
  }
  pth_mutex_release(&mutex);
}

static void* answer(void* argument) {
  take_from(0, (long)argument);
  return NULL;
}

static void measure_handover(char** arguments) {
  const long rounds = count_of(arguments[1]);
  const pth_t other = start(answer, (void*)rounds);
  const Moment begin = now();
  take_from(1, rounds);
  tell("handover", begin, 2 * rounds);
  join(other);
}

static pth_cond_t gate = PTH_COND_INIT;

static void* wait_at_gate(void* argument) {
  pth_mutex_acquire(&mutex, FALSE, NULL);
  ++ran;
  pth_cond_await(&gate, &mutex, NULL);
  pth_mutex_release(&mutex);
  return argument;
}

static Parking park(long count) {
  ran = 0;
  Parking is = {.before = memory_now(), .begin = now()};
  pth_t* const threads = start_many(count, wait_at_gate);
  while (ran < count) pth_yield(NULL);
  is.parked = now();
  is.after = memory_now();
  pth_mutex_acquire(&mutex, FALSE, NULL);
  pth_cond_notify(&gate, TRUE);
  pth_mutex_release(&mutex);
  join_many(threads, count);
  is.ended = now();
  return is;
}

static void measure_memory(char** arguments) { tell_parked(park, count_of(arguments[0])); }

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {
      {"yield", 2, measure_yield},   {"one_by_one", 1, measure_one_by_one},
      {"burst", 1, measure_burst},   {"handover", 2, measure_handover},
      {"memory", 1, measure_memory},
  };
  if (!pth_init()) fail("pth_init", "failed");
  return run_measurement(argc, argv, kKnown, sizeof kKnown / sizeof *kKnown);
}
