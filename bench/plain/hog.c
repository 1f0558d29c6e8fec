// What one thread that computes all the time does to the others.
//
//   hog MILLISECONDS
//
// Fifty threads sleep for 10 ms again and again; two more send each other a byte each millisecond.
// Told are the 50th and 99th percentile of how late the sleepers wake, and of the time that a byte
// takes there and back, in us.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "figures.h"

enum { kSleepers = 50, kSleepUs = 10000, kPauseUs = 1000, kMost = 1 << 16 };

static double ends_at;
static atomic_int is_over;
static atomic_ulong computed;

typedef struct {
  double* us;
  atomic_long count;
} Samples;

static void add_sample(Samples* samples, double us) {
  const long at = atomic_fetch_add(&samples->count, 1);
  if (at < kMost) samples->us[at] = us;
}

static int in_order(const void* a, const void* b) {
  const double left = *(const double*)a;
  const double right = *(const double*)b;
  return (left > right) - (left < right);
}

static void tell_percentiles(const char* name, Samples* samples) {
  const long count = samples->count < kMost ? samples->count : kMost;
  if (count == 0) fail(name, "never happened");
  qsort(samples->us, (size_t)count, sizeof samples->us[0], in_order);
  printf("%s %.1f %.1f\n", name, samples->us[count / 2], samples->us[count * 99 / 100]);
}

static void sleep_us(long us) {
  const struct timespec time = {0, us * 1000};
  nanosleep(&time, NULL);
}

static void* compute(void* argument) {
  unsigned long x = 88172645463325252u;
  while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
    for (int i = 0; i < 1000; ++i) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
  }
  atomic_store(&computed, x);
  return argument;
}

static void* sleep_often(void* samples) {
  do {
    const double begin = read_clock(CLOCK_MONOTONIC);
    sleep_us(kSleepUs);
    add_sample(samples, (read_clock(CLOCK_MONOTONIC) - begin) / 1e3 - kSleepUs);
  } while (read_clock(CLOCK_MONOTONIC) < ends_at);
  return NULL;
}

static int ends[2];
static Samples trips;

static void* answer(void* argument) {
  char byte;
  while (read(ends[1], &byte, 1) == 1) {
    if (write(ends[1], &byte, 1) != 1) fail("write", "no byte");
  }
  return argument;
}

static void* ask(void* argument) {
  char byte = 'x';
  do {
    const double begin = read_clock(CLOCK_MONOTONIC);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1) fail("echo", "no byte");
    add_sample(&trips, (read_clock(CLOCK_MONOTONIC) - begin) / 1e3);
    sleep_us(kPauseUs);
  } while (read_clock(CLOCK_MONOTONIC) < ends_at);
  shutdown(ends[0], SHUT_RDWR);
  return argument;
}

static void measure(char** arguments) {
  static Samples sleeps;
  pthread_t hog, asks, answers, sleepers[kSleepers];
  sleeps.us = malloc(kMost * sizeof(double));
  trips.us = malloc(kMost * sizeof(double));
  if (sleeps.us == NULL || trips.us == NULL) fail("malloc", "no memory");
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
  ends_at = read_clock(CLOCK_MONOTONIC) + (double)count_of(arguments[0]) * 1e6;
  must(pthread_create(&hog, NULL, compute, NULL), "pthread_create");
  must(pthread_create(&answers, NULL, answer, NULL), "pthread_create");
  must(pthread_create(&asks, NULL, ask, NULL), "pthread_create");
  for (int i = 0; i < kSleepers; ++i) {
    must(pthread_create(&sleepers[i], NULL, sleep_often, &sleeps), "pthread_create");
  }
  for (int i = 0; i < kSleepers; ++i) must(pthread_join(sleepers[i], NULL), "pthread_join");
  must(pthread_join(asks, NULL), "pthread_join");
  must(pthread_join(answers, NULL), "pthread_join");
  atomic_store(&is_over, 1);
  must(pthread_join(hog, NULL), "pthread_join");
  tell_percentiles("late", &sleeps);
  tell_percentiles("trip", &trips);
}

int main(int argc, char** argv) {
  static const Measurement known[] = {{"hog", 1, measure}};
  return run_measurement(argc, argv, known, 1);
}
