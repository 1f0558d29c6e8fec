// State Threads, as the others are measured.
//
//   state_threads yield N TURNS | one_by_one N | burst N | handover 1 ROUNDS |
//                 memory N | sleeps N MOST_US | skynet LEAVES
#include <st.h>

#include "figures.h"

enum { kStackSize = 64 * 1024, kChildren = 10 };

static st_thread_t start(void* (*body)(void*), void* argument) {
  const st_thread_t thread = st_thread_create(body, argument, 1, kStackSize);
  if (thread == NULL) fail("st_thread_create", "no thread");
  return thread;
}

static void join(st_thread_t thread) {
  if (st_thread_join(thread, NULL) != 0) fail("st_thread_join", "failed");
}

static st_thread_t* start_many(long count, void* (*body)(void*)) {
  st_thread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) fail("threads", "no memory");
  for (long i = 0; i < count; ++i) threads[i] = start(body, (void*)(i + 1));
  return threads;
}

static void join_many(st_thread_t* threads, long count) {
  for (long i = 0; i < count; ++i) join(threads[i]);
  free(threads);
}

// There is no yield in this version; sleeping for no time is its idiom.
static long turns, wanted, ran;
static int last;

static void take_turns(int self) {
  while (turns < wanted) {
    if (last != self) {
      last = self;
      ++turns;
    }
    st_usleep(0);
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
  st_thread_t* const threads = start_many(count, turn_body);
  while (ran < count) st_usleep(0);
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

static st_cond_t ping, pong;
static long rounds_left;

static void* answer(void* argument) {
  while (rounds_left > 0) {
    st_cond_wait(ping);
    st_cond_signal(pong);
  }
  return argument;
}

static void measure_handover(char** arguments) {
  const long rounds = count_of(arguments[1]);
  ping = st_cond_new();
  pong = st_cond_new();
  rounds_left = rounds;
  const st_thread_t other = start(answer, NULL);
  st_usleep(0);
  const Moment begin = now();
  while (rounds_left > 0) {
    --rounds_left;
    st_cond_signal(ping);
    st_cond_wait(pong);
  }
  tell("handover", begin, 2 * rounds);
  join(other);
}

static st_cond_t gate;

static void* wait_at_gate(void* argument) {
  ++ran;
  st_cond_wait(gate);
  return argument;
}

static Parking park(long count) {
  gate = st_cond_new();
  ran = 0;
  Parking is = {.before = memory_now(), .begin = now()};
  st_thread_t* const threads = start_many(count, wait_at_gate);
  while (ran < count) st_usleep(0);
  is.parked = now();
  is.after = memory_now();
  st_cond_broadcast(gate);
  join_many(threads, count);
  is.ended = now();
  return is;
}

static void measure_memory(char** arguments) { tell_parked(park, count_of(arguments[0])); }

static uint64_t most_us;

static void* sleep_once(void* argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument;
  st_usleep(random_below(&state, most_us));
  return NULL;
}

static void measure_sleeps(char** arguments) {
  const long count = count_of(arguments[0]);
  most_us = (uint64_t)count_of(arguments[1]);
  const Moment begin = now();
  join_many(start_many(count, sleep_once), count);
  tell_whole("sleeps", begin);
}

typedef struct {
  long first, leaves, sum;
} Node;

static void* add_up(void* argument) {
  Node* const self = argument;
  if (self->leaves == 1) {
    self->sum = self->first;
    return NULL;
  }
  st_thread_t threads[kChildren];
  Node children[kChildren];
  const long each = self->leaves / kChildren;
  for (int i = 0; i < kChildren; ++i) {
    children[i] = (Node){self->first + i * each, each, 0};
    threads[i] = start(add_up, &children[i]);
  }
  for (int i = 0; i < kChildren; ++i) {
    join(threads[i]);
    self->sum += children[i].sum;
  }
  return NULL;
}

static void measure_skynet(char** arguments) {
  Node root = {0, count_of(arguments[0]), 0};
  const Moment begin = now();
  join(start(add_up, &root));
  tell_whole("skynet", begin);
  if (root.sum != root.leaves * (root.leaves - 1) / 2) fail("skynet", "the sum is wrong");
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {
      {"yield", 2, measure_yield},   {"one_by_one", 1, measure_one_by_one},
      {"burst", 1, measure_burst},   {"handover", 2, measure_handover},
      {"memory", 1, measure_memory}, {"sleeps", 2, measure_sleeps},
      {"skynet", 1, measure_skynet},
  };
  if (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0) fail("st_init", "failed");
  return run_measurement(argc, argv, kKnown, sizeof kKnown / sizeof *kKnown);
}
