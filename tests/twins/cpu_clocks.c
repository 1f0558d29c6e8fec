// What a thread has used of the processor, asked by itself and by others.
#include <sys/resource.h>

#include "twin.h"

static long long own_us(void) { return clock_us(CLOCK_THREAD_CPUTIME_ID); }

static clockid_t clock_of(pthread_t thread) {
  clockid_t clock;
  MUST(pthread_getcpuclockid(thread, &clock) == 0);
  return clock;
}

static _Atomic int is_over, is_ready;

// Until its own clock says so.
static void* spin(void* argument) {
  const long long begin = own_us();
  long long before = begin;
  while (before - begin < as_number(argument) * 1000) {
    const long long now = own_us();
    CHECK(now >= before);
    before = now;
  }
  return argument;
}

static void* spin_without_asking(void* argument) {
  while (!is_over) {
  }
  return argument;
}

static void* nap_beside(void* argument) {
  const long long before = own_us();
  ++is_ready;
  for (int i = 0; i < 10; ++i) nap(5);
  CHECK(own_us() - before < 60000);
  return argument;
}

static void each_its_own(void) {
  const long long begin = clock_us(CLOCK_PROCESS_CPUTIME_ID);
  pthread_t spinners[3], sleepers[5];
  for (int i = 0; i < 5; ++i) sleepers[i] = start(nap_beside, NULL);
  while (is_ready < 5) nap(1);
  for (int i = 0; i < 3; ++i) spinners[i] = start(spin, as_pointer(120));
  for (int i = 0; i < 3; ++i) finish(spinners[i]);
  for (int i = 0; i < 5; ++i) finish(sleepers[i]);
  CHECK(clock_us(CLOCK_PROCESS_CPUTIME_ID) - begin >= 3 * 120000);
  spin(as_pointer(20));
  printf("all have spun\n");
}

static void of_others(void) {
  is_over = 0;
  const pthread_t busy = start(spin_without_asking, NULL);
  const clockid_t busy_clock = clock_of(busy), own_clock = clock_of(pthread_self());
  const long long own = own_us();
  const long long begin = clock_us(busy_clock);
  long long before = begin;
  // It runs all the while, and never switches.
  for (const long long end = now_ms() + 20000; before - begin < 200000 && now_ms() < end;) {
    const long long now = clock_us(busy_clock);
    CHECK(now >= before);
    before = now;
    nap(5);
  }
  CHECK(before - begin >= 200000);
  CHECK(own_us() - own < 100000);
  const long long low = own_us(), same = clock_us(own_clock), high = own_us();
  CHECK(low <= same && same <= high);
  struct timespec resolution;
  printf("resolution: %s\n", said(clock_getres(busy_clock, &resolution)));
  printf("%d ns\n", (int)resolution.tv_nsec);
  is_over = 1;
  finish(busy);
  nap(5);
  struct timespec time;
  printf("of one that has ended: %s\n", said(clock_gettime(busy_clock, &time)));
  printf("its resolution: %s\n", said(clock_getres(busy_clock, &resolution)));
}

static void* own_clock_of(void* argument) {
  *(clockid_t*)argument = clock_of(pthread_self());
  spin(as_pointer(20));
  ++is_ready;
  while (!is_over) nap(5);
  return argument;
}

// Nothing is charged to one that waits.
static void of_one_that_sleeps(void) {
  clockid_t clock;
  is_over = is_ready = 0;
  own_us();
  const pthread_t thread = start(own_clock_of, &clock);
  while (!is_ready) nap(1);
  const long long before = clock_us(clock);
  CHECK(before >= 20000);
  spin(as_pointer(200));
  CHECK(clock_us(clock) - before < 100000);
  is_over = 1;
  finish(thread);
  printf("asked\n");
}

static long long usage_us(void) {
  struct rusage usage;
  MUST(getrusage(RUSAGE_THREAD, &usage) == 0);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
         usage.ru_stime.tv_usec;
}

static void* use(void* argument) {
  const long long before = usage_us();
  if (argument) {
    spin(argument);
    CHECK(usage_us() - before >= 60000);
  } else {
    for (int i = 0; i < 10; ++i) nap(5);
    CHECK(usage_us() - before < 60000);
  }
  return argument;
}

static void usage(void) {
  const pthread_t sleeper = start(use, NULL), spinner = start(use, as_pointer(120));
  finish(spinner);
  finish(sleeper);
  use(as_pointer(120));
  printf("used\n");
}

// What the first thread has used before there were others counts.
static void before_threads(void) {
  spin(as_pointer(50));
  const long long before = own_us();
  finish(start(use, NULL));
  CHECK(own_us() >= before);
  printf("counted\n");
}

static const struct twin_case cases[] = {
    {"each_its_own", THREADS, each_its_own},
    {"of_others", THREADS, of_others},
    {"of_one_that_sleeps", THREADS, of_one_that_sleeps},
    {"usage", THREADS, usage},
    {"before_threads", THREADS, before_threads},
};

TWIN_MAIN(cases)
