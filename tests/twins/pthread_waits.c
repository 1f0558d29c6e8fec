// Condition variables, semaphores, barriers and once: who is woken, when, and what time-outs say.
#include <semaphore.h>

#include "twin.h"

enum { kThreads = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static int turn, waiting, woken;

static void* take_turns(void* argument) {
  const int mine = (int)as_number(argument);
  for (int round = 0; round < 10; ++round) {
    pthread_mutex_lock(&mutex);
    while (turn % kThreads != mine) pthread_cond_wait(&changed, &mutex);
    ++turn;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void turns_by_broadcast(void) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start(take_turns, as_pointer(i));
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  printf("turn %d\n", turn);
}

static void* wait_for_token(void* argument) {
  int* const tokens = argument;
  pthread_mutex_lock(&mutex);
  ++waiting;
  pthread_cond_signal(&answered);
  while (*tokens == 0) pthread_cond_wait(&changed, &mutex);
  --*tokens;
  ++woken;
  pthread_cond_signal(&answered);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

// One signal for one token: each lets exactly one thread go.
static void signal_wakes_one(void) {
  pthread_t threads[kThreads];
  int tokens = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start(wait_for_token, &tokens);
  pthread_mutex_lock(&mutex);
  while (waiting < kThreads) pthread_cond_wait(&answered, &mutex);
  for (int i = 1; i <= kThreads; ++i) {
    ++tokens;
    pthread_cond_signal(&changed);
    while (woken < i) pthread_cond_wait(&answered, &mutex);
    CHECK(tokens == 0);
  }
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  printf("woken %d\n", woken);
}

static int timed_wait(pthread_cond_t* condition, clockid_t clock, int ms, int by_clock) {
  const long long before = clock_ms(clock);
  const struct timespec then = after_ms(clock, ms);
  int result;
  pthread_mutex_lock(&mutex);
  do {  // A wake-up without cause is allowed.
    result = by_clock ? pthread_cond_clockwait(condition, &mutex, clock, &then)
                      : pthread_cond_timedwait(condition, &mutex, &then);
  } while (result == 0);
  pthread_mutex_unlock(&mutex);
  CHECK(clock_ms(clock) - before >= ms - 1);
  return result;
}

static void* time_outs_in_thread(void* argument) {
  (void)argument;
  pthread_condattr_t attributes;
  pthread_cond_t monotonic;
  pthread_condattr_init(&attributes);
  CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
  pthread_cond_init(&monotonic, &attributes);
  printf("realtime: %s\n", error_name(timed_wait(&changed, CLOCK_REALTIME, 10, 0)));
  printf("monotonic: %s\n", error_name(timed_wait(&monotonic, CLOCK_MONOTONIC, 10, 0)));
  printf("clock realtime: %s\n", error_name(timed_wait(&changed, CLOCK_REALTIME, 10, 1)));
  printf("clock monotonic: %s\n", error_name(timed_wait(&changed, CLOCK_MONOTONIC, 10, 1)));
  printf("past: %s\n", error_name(timed_wait(&changed, CLOCK_REALTIME, -2000, 0)));
  const struct timespec bad = {0, 1000000000};
  pthread_mutex_lock(&mutex);
  printf("bad: %s\n", error_name(pthread_cond_timedwait(&changed, &mutex, &bad)));
  pthread_mutex_unlock(&mutex);
  pthread_cond_destroy(&monotonic);
  return NULL;
}

static void condition_time_outs(void) { finish(start(time_outs_in_thread, NULL)); }

static sem_t items, spaces;
static long handed[4];

static void* produce(void* argument) {
  for (int i = 1; i <= 50; ++i) {
    sem_wait(&spaces);
    handed[0] += as_number(argument) * i;
    sem_post(&items);
  }
  return NULL;
}

static void* consume(void* argument) {
  (void)argument;
  for (int i = 1; i <= 50; ++i) {
    sem_wait(&items);
    ++handed[1];
    if (i % 10 == 0) nap(1);
    sem_post(&spaces);
  }
  return NULL;
}

static void semaphores(void) {
  int value = -1;
  sem_init(&items, 0, 0);
  sem_init(&spaces, 0, 1);
  pthread_t producer = start(produce, as_pointer(2));
  pthread_t consumer = start(consume, NULL);
  finish(producer);
  finish(consumer);
  printf("handed %ld in %ld\n", handed[0], handed[1]);
  sem_getvalue(&items, &value);
  printf("value %d, try: %s\n", value, said(sem_trywait(&items)));
}

static void* semaphore_waits(void* argument) {
  (void)argument;
  struct timespec then = after_ms(CLOCK_REALTIME, 10);
  long long before = now_ms();
  printf("timedwait: %s\n", said(sem_timedwait(&items, &then)));
  CHECK(now_ms() - before >= 9);
  before = now_ms();
  then = after_ms(CLOCK_MONOTONIC, 10);
  printf("clockwait: %s\n", said(sem_clockwait(&items, CLOCK_MONOTONIC, &then)));
  CHECK(now_ms() - before >= 9);
  then.tv_nsec = 1000000000;
  printf("bad time: %s\n", said(sem_timedwait(&items, &then)));
  sem_post(&spaces);
  then = after_ms(CLOCK_REALTIME, 20000);
  printf("posted: %s\n", said(sem_timedwait(&items, &then)));
  return NULL;
}

static void semaphore_time_outs(void) {
  sem_init(&items, 0, 0);
  sem_init(&spaces, 0, 0);
  pthread_t waiter = start(semaphore_waits, NULL);
  sem_wait(&spaces);
  nap(5);
  sem_post(&items);
  finish(waiter);
}

static pthread_barrier_t barrier;
static int arrivals[10], serial;

static void* meet(void* argument) {
  (void)argument;
  for (int round = 0; round < 10; ++round) {
    __atomic_add_fetch(&arrivals[round], 1, __ATOMIC_SEQ_CST);
    const int answer = pthread_barrier_wait(&barrier);
    CHECK(answer == 0 || answer == PTHREAD_BARRIER_SERIAL_THREAD);
    if (answer != 0) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
    CHECK(__atomic_load_n(&arrivals[round], __ATOMIC_SEQ_CST) == kThreads);
    if (round % 3 == 0) nap(1);
  }
  return NULL;
}

static void barriers(void) {
  pthread_t threads[kThreads];
  CHECK(pthread_barrier_init(&barrier, NULL, 0) == EINVAL);
  pthread_barrier_init(&barrier, NULL, kThreads);
  for (int i = 0; i < kThreads; ++i) threads[i] = start(meet, NULL);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  CHECK(pthread_barrier_destroy(&barrier) == 0);
  printf("serial threads: %d\n", serial);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialised;

static void initialise_slowly(void) {
  nap(5);
  ++initialised;
}

static void* run_once(void* argument) {
  (void)argument;
  pthread_once(&once, initialise_slowly);
  CHECK(initialised == 1);
  return NULL;
}

static void once_only(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start(run_once, NULL);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  printf("initialised %d\n", initialised);
}

enum { kWorkers = 200 };

static sem_t work[kWorkers];
static _Atomic int at_work;

static void* wait_for_work(void* argument) {
  MUST(sem_wait(&work[as_number(argument)]) == 0);
  ++at_work;
  return NULL;
}

// Who takes a request from a connection and gives it to a thread that waits, again and again, and
// never has to wait himself: some of them work before he has woken all.
static void woken_before_the_waker_waits(void) {
  int connection[2];
  int early = 0;
  MUST(pipe(connection) == 0);
  for (int round = 0; round < 10; ++round) {
    pthread_t threads[kWorkers];
    at_work = 0;
    for (long i = 0; i < kWorkers; ++i) {
      MUST(sem_init(&work[i], 0, 0) == 0 && write(connection[1], "x", 1) == 1);
      threads[i] = start(wait_for_work, as_pointer(i));
    }
    nap(20);
    for (int i = 0; i < kWorkers; ++i) {
      char byte;
      CHECK(read(connection[0], &byte, 1) == 1);
      CHECK(sem_post(&work[i]) == 0);
    }
    early += at_work;
    for (int i = 0; i < kWorkers; ++i) finish(threads[i]);
  }
  CHECK(early > 0);
}

static const struct twin_case cases[] = {
    {"turns_by_broadcast", THREADS, turns_by_broadcast},
    {"signal_wakes_one", THREADS, signal_wakes_one},
    {"condition_time_outs", THREADS, condition_time_outs},
    {"semaphores", THREADS, semaphores},
    {"semaphore_time_outs", THREADS, semaphore_time_outs},
    {"barriers", THREADS, barriers},
    {"once_only", THREADS, once_only},
    {"woken_before_the_waker_waits", THREADS, woken_before_the_waker_waits},
};

TWIN_MAIN(cases)
