// Sleeping in each form: never too short, and with the answers that the manual promises.
#include <sys/time.h>
#include <sys/timerfd.h>

#include "twin.h"

// Says what the call answered, and checks that at least `ms` have passed on `clock`.
#define SLEEP(clock, ms, call)                 \
  do {                                         \
    const long long before = clock_ms(clock);  \
    printf("%s: %ld\n", #call, (long)(call));  \
    CHECK(clock_ms(clock) - before >= (ms)-1); \
  } while (0)

static void* sleep_relative(void* argument) {
  (void)argument;
  struct timespec span = {0, 15000000}, left = {7, 7};
  SLEEP(CLOCK_MONOTONIC, 15, usleep(15000));
  SLEEP(CLOCK_MONOTONIC, 15, nanosleep(&span, &left));
  CHECK(left.tv_sec == 7 && left.tv_nsec == 7);  // Written only when interrupted.
  SLEEP(CLOCK_MONOTONIC, 15, clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL));
  SLEEP(CLOCK_REALTIME, 15, clock_nanosleep(CLOCK_REALTIME, 0, &span, NULL));
  SLEEP(CLOCK_BOOTTIME, 15, clock_nanosleep(CLOCK_BOOTTIME, 0, &span, NULL));
  SLEEP(CLOCK_MONOTONIC, 0, sleep(0));
  SLEEP(CLOCK_MONOTONIC, 0, usleep(0));
  return NULL;
}

static void relative(void) { finish(start(sleep_relative, NULL)); }

static void* sleep_a_second(void* argument) {
  (void)argument;
  SLEEP(CLOCK_MONOTONIC, 1000, sleep(1));
  return NULL;
}

static void whole_second(void) { finish(start(sleep_a_second, NULL)); }

static void* sleep_absolute(void* argument) {
  (void)argument;
  struct timespec then = after_ms(CLOCK_MONOTONIC, 15);
  SLEEP(CLOCK_MONOTONIC, 15, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL));
  then = after_ms(CLOCK_REALTIME, 15);
  SLEEP(CLOCK_REALTIME, 15, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &then, NULL));
  SLEEP(CLOCK_REALTIME, 0, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &then, NULL));
  then = (struct timespec){0, 0};
  SLEEP(CLOCK_MONOTONIC, 0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL));
  return NULL;
}

static void absolute(void) { finish(start(sleep_absolute, NULL)); }

static void* sleep_wrongly(void* argument) {
  (void)argument;
  const struct timespec negative = {-1, 0}, large = {0, 1000000000}, fine = {0, 1};
  printf("negative: %s\n", said(nanosleep(&negative, NULL)));
  printf("large: %s\n", said(nanosleep(&large, NULL)));
  printf("bad pointer: %s\n", said(nanosleep((const struct timespec*)8, NULL)));
  printf("clock, large: %s\n", error_name(clock_nanosleep(CLOCK_MONOTONIC, 0, &large, NULL)));
  printf("no clock: %s\n", error_name(clock_nanosleep(99, 0, &fine, NULL)));
  printf("thread's clock: %s\n",
         error_name(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &fine, NULL)));
  return NULL;
}

static void wrong_arguments(void) { finish(start(sleep_wrongly, NULL)); }

// Sleepers wake in the order of their times, whatever the order in which they went to sleep. The
// gaps are wide, for a loaded machine wakes late.
static int woken[5], woken_count;
static struct timespec begin;

static void* sleep_in_order(void* argument) {
  struct timespec then = begin;
  then.tv_nsec += as_number(argument) * 50000000L;
  if (then.tv_nsec >= 1000000000) {
    then.tv_nsec -= 1000000000;
    ++then.tv_sec;
  }
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) != 0) {
  }
  woken[__atomic_fetch_add(&woken_count, 1, __ATOMIC_SEQ_CST)] = (int)as_number(argument);
  return NULL;
}

static void in_order(void) {
  static const long kOrder[] = {3, 1, 5, 2, 4};
  pthread_t threads[5];
  begin = after_ms(CLOCK_MONOTONIC, 10);
  for (int i = 0; i < 5; ++i) threads[i] = start(sleep_in_order, as_pointer(kOrder[i]));
  for (int i = 0; i < 5; ++i) finish(threads[i]);
  for (int i = 0; i < 5; ++i) printf("%d ", woken[i]);
  printf("\n");
}

// 200 threads sleep 50 ms each, all at once: far less than the 10 s that they would take in a row.
static void* sleep_shortly(void* argument) {
  (void)argument;
  nap(50);
  return NULL;
}

static void all_at_once(void) {
  pthread_t threads[200];
  const long long before = now_ms();
  for (int i = 0; i < 200; ++i) threads[i] = start(sleep_shortly, NULL);
  for (int i = 0; i < 200; ++i) finish(threads[i]);
  CHECK(now_ms() - before >= 49);
  CHECK(now_ms() - before < 5000);
  printf("all woken\n");
}

static void without_threads(void) {
  const struct timespec span = {0, 15000000};
  SLEEP(CLOCK_MONOTONIC, 15, nanosleep(&span, NULL));
  SLEEP(CLOCK_MONOTONIC, 15, usleep(15000));
}

static const struct twin_case cases[] = {
    {"relative", THREADS, relative},
    {"whole_second", THREADS, whole_second},
    {"absolute", THREADS, absolute},
    {"wrong_arguments", THREADS, wrong_arguments},
    {"in_order", THREADS, in_order},
    {"all_at_once", THREADS, all_at_once},
    {"without_threads", ALONE, without_threads},
};

TWIN_MAIN(cases)
