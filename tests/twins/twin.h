// What the twins share: a table of cases, and a few lines of convenience.
//
// A twin is a plain program. It includes libc and this file, and nothing of Ramie. It runs twice,
// natively and under the preload; its standard output and exit code must be the same. So it prints
// only what is the same in every run, and checks with CHECK what has a bound instead of a value.
// Naps make it likely that a call really blocks; no output may depend on their order.
//
//   prog --list     one line for each case: its name, and `threads` or `alone`
//   prog NAME       runs one case
//   prog            runs all of them
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A case that stays ALONE never starts a thread: the shim must not wake up for it.
enum twin_kind { ALONE, THREADS };

struct twin_case {
  const char* name;
  enum twin_kind kind;
  void (*run)(void);
};

static int twin_failures;

static inline void twin_check(int good, const char* what, const char* file, int line) {
  if (good) return;
  __atomic_add_fetch(&twin_failures, 1, __ATOMIC_RELAXED);
  const char* base = strrchr(file, '/');
  printf("FAILED %s:%d: %s (errno %d)\n", base ? base + 1 : file, line, what, errno);
}

#define CHECK(condition) twin_check(!!(condition), #condition, __FILE__, __LINE__)

// For set-up without which the case makes no sense.
#define MUST(condition)                              \
  do {                                               \
    if (!(condition)) {                              \
      twin_check(0, #condition, __FILE__, __LINE__); \
      exit(3);                                       \
    }                                                \
  } while (0)

// "ok", or the name of the error: what a call answered, in a form that can be compared.
static inline const char* said(long result) { return result >= 0 ? "ok" : strerrorname_np(errno); }

static inline const char* error_name(int error) {
  return error == 0 ? "ok" : strerrorname_np(error);
}

static inline long long clock_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline long long clock_us(clockid_t clock) {
  struct timespec now;
  MUST(clock_gettime(clock, &now) == 0);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static inline long long now_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

static inline void nap(int ms) {
  struct timespec span = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&span, &span) != 0 && errno == EINTR) {
  }
}

// The point in time that lies `ms` after now on `clock`.
static inline struct timespec after_ms(clockid_t clock, int ms) {
  struct timespec then;
  clock_gettime(clock, &then);
  long long nanos = then.tv_nsec + (ms % 1000) * 1000000LL;
  then.tv_sec += ms / 1000 + nanos / 1000000000;
  then.tv_nsec = (long)(nanos % 1000000000);
  return then;
}

static inline pthread_t start(void* (*body)(void*), void* argument) {
  pthread_t thread;
  MUST(pthread_create(&thread, NULL, body, argument) == 0);
  return thread;
}

static inline void* finish(pthread_t thread) {
  void* result = NULL;
  MUST(pthread_join(thread, &result) == 0);
  return result;
}

// Numbers travel through a thread's void* as themselves.
static inline void* as_pointer(long number) { return (void*)number; }
static inline long as_number(const void* pointer) { return (long)pointer; }

static inline int run_cases(const struct twin_case* cases, size_t count, int argc, char** argv) {
  // By lines, so that a forked child finds an empty buffer.
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char* wanted = argc > 1 ? argv[1] : NULL;
  const int list = wanted && strcmp(wanted, "--list") == 0;
  size_t ran = 0;
  for (size_t i = 0; i < count; ++i) {
    if (list) {
      printf("%s %s\n", cases[i].name, cases[i].kind == ALONE ? "alone" : "threads");
    } else if (!wanted || strcmp(wanted, cases[i].name) == 0) {
      cases[i].run();
      ++ran;
    }
  }
  if (!list && ran == 0) {
    fprintf(stderr, "%s: no such case: %s\n", argv[0], wanted);
    return 2;
  }
  return twin_failures == 0 ? 0 : 1;
}

#define TWIN_MAIN(cases)                                                     \
  int main(int argc, char** argv) {                                          \
    return run_cases(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv); \
  }
