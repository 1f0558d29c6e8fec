// C11's <threads.h>, whose calls reach NPTL without passing by any pthread_ symbol.
#include <threads.h>

#include "twin.h"

static mtx_t mutex;
static cnd_t changed;
static int counter;

static int count_up(void* argument) {
  for (int i = 0; i < 50; ++i) {
    mtx_lock(&mutex);
    const int before = counter;
    if (i % 10 == 0) thrd_yield();
    counter = before + 1;
    mtx_unlock(&mutex);
  }
  const struct timespec span = {0, 2000000};
  CHECK(thrd_sleep(&span, NULL) == 0);
  return (int)as_number(argument) * 3;
}

static void create_and_join(void) {
  thrd_t threads[8];
  MUST(mtx_init(&mutex, mtx_plain) == thrd_success);
  counter = 0;
  for (long i = 0; i < 8; ++i) MUST(thrd_create(&threads[i], count_up, as_pointer(i)) == 0);
  for (int i = 0; i < 8; ++i) {
    int result = -1;
    CHECK(thrd_join(threads[i], &result) == thrd_success);
    printf("thread %d: %d\n", i, result);
  }
  printf("counter %d\n", counter);
  CHECK(thrd_equal(thrd_current(), thrd_current()));
  mtx_destroy(&mutex);
}

static int leave_early(void* argument) {
  nap(1);
  thrd_exit((int)as_number(argument));
}

static void exit_from_thread(void) {
  thrd_t thread;
  int result = 0;
  MUST(thrd_create(&thread, leave_early, as_pointer(42)) == thrd_success);
  thrd_join(thread, &result);
  printf("result %d\n", result);
}

static int answer_turn(void* argument) {
  (void)argument;
  mtx_lock(&mutex);
  counter = 1;
  cnd_broadcast(&changed);
  while (counter != 2) cnd_wait(&changed, &mutex);
  mtx_unlock(&mutex);
  return 0;
}

static void conditions(void) {
  thrd_t thread;
  MUST(mtx_init(&mutex, mtx_timed) == thrd_success);
  MUST(cnd_init(&changed) == thrd_success);
  counter = 0;
  mtx_lock(&mutex);
  MUST(thrd_create(&thread, answer_turn, NULL) == thrd_success);
  while (counter != 1) cnd_wait(&changed, &mutex);
  struct timespec then = after_ms(CLOCK_REALTIME, 5);
  printf("timed wait: %s\n",
         cnd_timedwait(&changed, &mutex, &then) == thrd_timedout ? "timed out" : "?");
  counter = 2;
  cnd_broadcast(&changed);
  mtx_unlock(&mutex);
  thrd_join(thread, NULL);
  printf("try: %d\n", mtx_trylock(&mutex) == thrd_success);
  mtx_unlock(&mutex);
  mtx_destroy(&mutex);
  cnd_destroy(&changed);
}

static int try_timed(void* argument) {
  (void)argument;
  struct timespec then = after_ms(CLOCK_REALTIME, 5);
  CHECK(mtx_trylock(&mutex) == thrd_busy);
  return mtx_timedlock(&mutex, &then);
}

static void timed_mutex(void) {
  thrd_t thread;
  int result = -1;
  MUST(mtx_init(&mutex, mtx_timed | mtx_recursive) == thrd_success);
  mtx_lock(&mutex);
  MUST(thrd_create(&thread, try_timed, NULL) == thrd_success);
  thrd_join(thread, &result);
  printf("timed lock: %s\n", result == thrd_timedout ? "timed out" : "?");
  CHECK(mtx_lock(&mutex) == thrd_success);
  mtx_unlock(&mutex);
  mtx_unlock(&mutex);
  mtx_destroy(&mutex);
}

static tss_t slot;
static once_flag once = ONCE_FLAG_INIT;
static int initialised, destroyed;

static void initialise(void) {
  nap(2);
  ++initialised;
}

static void destroy(void* value) {
  __atomic_add_fetch(&destroyed, (int)as_number(value), __ATOMIC_RELAXED);
}

static int use_slot(void* argument) {
  call_once(&once, initialise);
  CHECK(initialised == 1);
  CHECK(tss_get(slot) == NULL);
  tss_set(slot, argument);
  nap(1);
  CHECK(tss_get(slot) == argument);
  return 0;
}

static void specific_storage_and_once(void) {
  thrd_t threads[6];
  MUST(tss_create(&slot, destroy) == thrd_success);
  for (long i = 0; i < 6; ++i) MUST(thrd_create(&threads[i], use_slot, as_pointer(i + 1)) == 0);
  for (int i = 0; i < 6; ++i) thrd_join(threads[i], NULL);
  printf("initialised %d, destroyed %d\n", initialised, destroyed);
  tss_delete(slot);
}

static int done;

static int detached(void* argument) {
  (void)argument;
  nap(3);
  mtx_lock(&mutex);
  done = 1;
  cnd_signal(&changed);
  mtx_unlock(&mutex);
  return 0;
}

static void detach(void) {
  thrd_t thread;
  mtx_init(&mutex, mtx_plain);
  cnd_init(&changed);
  MUST(thrd_create(&thread, detached, NULL) == thrd_success);
  printf("detach: %d\n", thrd_detach(thread) == thrd_success);
  mtx_lock(&mutex);
  while (!done) cnd_wait(&changed, &mutex);
  mtx_unlock(&mutex);
  printf("done %d\n", done);
}

static const struct twin_case cases[] = {
    {"create_and_join", THREADS, create_and_join},
    {"exit_from_thread", THREADS, exit_from_thread},
    {"conditions", THREADS, conditions},
    {"timed_mutex", THREADS, timed_mutex},
    {"specific_storage_and_once", THREADS, specific_storage_and_once},
    {"detach", THREADS, detach},
};

TWIN_MAIN(cases)
