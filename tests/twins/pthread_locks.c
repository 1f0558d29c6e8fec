// Mutexes, rwlocks and spin locks: types, time-outs on each clock, and who may do what.
#include "twin.h"

static pthread_mutex_t mutex;
static pthread_rwlock_t rwlock;
static int counter;

static void make_mutex(int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  CHECK(pthread_mutexattr_settype(&attributes, type) == 0);
  CHECK(pthread_mutex_init(&mutex, &attributes) == 0);
  pthread_mutexattr_destroy(&attributes);
}

// Some rounds sleep inside, so that the others queue up.
static void* count_up(void* argument) {
  (void)argument;
  for (int i = 0; i < 40; ++i) {
    pthread_mutex_lock(&mutex);
    const int before = counter;
    if (i % 20 == 3) nap(1);
    if (i % 10 == 5) sched_yield();
    counter = before + 1;
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void contention_of(int type) {
  pthread_t threads[8];
  make_mutex(type);
  counter = 0;
  for (int i = 0; i < 8; ++i) threads[i] = start(count_up, NULL);
  for (int i = 0; i < 8; ++i) finish(threads[i]);
  printf("counter %d\n", counter);
  CHECK(pthread_mutex_destroy(&mutex) == 0);
}

static void contention(void) {
  contention_of(PTHREAD_MUTEX_NORMAL);
  contention_of(PTHREAD_MUTEX_RECURSIVE);
  contention_of(PTHREAD_MUTEX_ERRORCHECK);
  contention_of(PTHREAD_MUTEX_ADAPTIVE_NP);
}

static void* unlock_of_other(void* argument) {
  (void)argument;
  return as_pointer(pthread_mutex_unlock(&mutex));
}

static void* try_lock(void* argument) {
  (void)argument;
  return as_pointer(pthread_mutex_trylock(&mutex));
}

static void mutex_types(void) {
  make_mutex(PTHREAD_MUTEX_ERRORCHECK);
  printf("lock: %s\n", error_name(pthread_mutex_lock(&mutex)));
  printf("again: %s\n", error_name(pthread_mutex_lock(&mutex)));
  printf("unlock by other: %s\n", error_name((int)as_number(finish(start(unlock_of_other, NULL)))));
  printf("try by other: %s\n", error_name((int)as_number(finish(start(try_lock, NULL)))));
  printf("unlock: %s\n", error_name(pthread_mutex_unlock(&mutex)));
  printf("unlock again: %s\n", error_name(pthread_mutex_unlock(&mutex)));
  pthread_mutex_destroy(&mutex);
  make_mutex(PTHREAD_MUTEX_RECURSIVE);
  for (int i = 0; i < 3; ++i) CHECK(pthread_mutex_lock(&mutex) == 0);
  for (int i = 0; i < 2; ++i) CHECK(pthread_mutex_unlock(&mutex) == 0);
  printf("still held: %s\n", error_name((int)as_number(finish(start(try_lock, NULL)))));
  printf("by other: %s\n", error_name((int)as_number(finish(start(unlock_of_other, NULL)))));
  CHECK(pthread_mutex_unlock(&mutex) == 0);
  pthread_mutex_destroy(&mutex);
}

static int release_now;

static void* wait_for_mutex(void* argument) {
  (void)argument;
  struct timespec then = after_ms(CLOCK_REALTIME, 10);
  long long before = now_ms();
  printf("timedlock: %s\n", error_name(pthread_mutex_timedlock(&mutex, &then)));
  CHECK(now_ms() - before >= 9);
  then = after_ms(CLOCK_MONOTONIC, 10);
  before = now_ms();
  printf("clocklock: %s\n", error_name(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &then)));
  CHECK(now_ms() - before >= 9);
  then.tv_nsec = -1;
  printf("bad time: %s\n", error_name(pthread_mutex_timedlock(&mutex, &then)));
  then = after_ms(CLOCK_REALTIME, -1000);
  printf("past: %s\n", error_name(pthread_mutex_timedlock(&mutex, &then)));
  __atomic_store_n(&release_now, 1, __ATOMIC_SEQ_CST);
  then = after_ms(CLOCK_REALTIME, 20000);
  printf("in time: %s\n", error_name(pthread_mutex_timedlock(&mutex, &then)));
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void mutex_time_outs(void) {
  make_mutex(PTHREAD_MUTEX_NORMAL);
  pthread_mutex_lock(&mutex);
  pthread_t waiter = start(wait_for_mutex, NULL);
  while (!__atomic_load_n(&release_now, __ATOMIC_SEQ_CST)) nap(1);
  nap(5);
  pthread_mutex_unlock(&mutex);
  finish(waiter);
  pthread_mutex_destroy(&mutex);
}

static pthread_barrier_t all_inside;
static int readers;

static void* read_shared(void* argument) {
  (void)argument;
  CHECK(pthread_rwlock_rdlock(&rwlock) == 0);
  __atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST);
  pthread_barrier_wait(&all_inside);  // They all hold it at once, or this never ends.
  CHECK(pthread_rwlock_trywrlock(&rwlock) == EBUSY);
  nap(2);
  __atomic_sub_fetch(&readers, 1, __ATOMIC_SEQ_CST);
  pthread_rwlock_unlock(&rwlock);
  return NULL;
}

static void* write_alone(void* argument) {
  (void)argument;
  CHECK(pthread_rwlock_wrlock(&rwlock) == 0);
  CHECK(__atomic_load_n(&readers, __ATOMIC_SEQ_CST) == 0);
  const int before = counter;
  nap(1);
  counter = before + 1;
  pthread_rwlock_unlock(&rwlock);
  return NULL;
}

static void readers_and_writers(void) {
  pthread_t threads[8];
  pthread_rwlock_init(&rwlock, NULL);
  pthread_barrier_init(&all_inside, NULL, 4);
  counter = 0;
  for (int i = 0; i < 4; ++i) threads[i] = start(read_shared, NULL);
  for (int i = 4; i < 8; ++i) threads[i] = start(write_alone, NULL);
  for (int i = 0; i < 8; ++i) finish(threads[i]);
  printf("counter %d\n", counter);
}

static void* wait_for_rwlock(void* argument) {
  (void)argument;
  const long long before = now_ms();
  struct timespec then = after_ms(CLOCK_REALTIME, 5);
  printf("timedrdlock: %s\n", error_name(pthread_rwlock_timedrdlock(&rwlock, &then)));
  then = after_ms(CLOCK_REALTIME, 5);
  printf("timedwrlock: %s\n", error_name(pthread_rwlock_timedwrlock(&rwlock, &then)));
  then = after_ms(CLOCK_MONOTONIC, 5);
  printf("clockwrlock: %s\n",
         error_name(pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &then)));
  printf("tryrdlock: %s\n", error_name(pthread_rwlock_tryrdlock(&rwlock)));
  CHECK(now_ms() - before >= 13);
  return NULL;
}

static void rwlock_time_outs(void) {
  pthread_rwlock_init(&rwlock, NULL);
  CHECK(pthread_rwlock_wrlock(&rwlock) == 0);
  printf("again: %s\n", error_name(pthread_rwlock_wrlock(&rwlock)));
  finish(start(wait_for_rwlock, NULL));
  CHECK(pthread_rwlock_unlock(&rwlock) == 0);
}

static pthread_spinlock_t spin;

static void* spin_up(void* argument) {
  (void)argument;
  for (int i = 0; i < 1000; ++i) {
    pthread_spin_lock(&spin);
    ++counter;
    pthread_spin_unlock(&spin);
    if (i % 100 == 0) sched_yield();
  }
  return NULL;
}

static void spin_locks(void) {
  pthread_t threads[6];
  pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
  counter = 0;
  for (int i = 0; i < 6; ++i) threads[i] = start(spin_up, NULL);
  for (int i = 0; i < 6; ++i) finish(threads[i]);
  pthread_spin_lock(&spin);
  printf("counter %d, try: %s\n", counter, error_name(pthread_spin_trylock(&spin)));
  pthread_spin_unlock(&spin);
}

static const struct twin_case cases[] = {
    {"contention", THREADS, contention},
    {"mutex_types", THREADS, mutex_types},
    {"mutex_time_outs", THREADS, mutex_time_outs},
    {"readers_and_writers", THREADS, readers_and_writers},
    {"rwlock_time_outs", THREADS, rwlock_time_outs},
    {"spin_locks", THREADS, spin_locks},
};

TWIN_MAIN(cases)
