// How the bench's programs measure and how they tell it. Each line of their output is the figures
// of one comparison: a name, for whoever reads it, and numbers in the order of comparisons.py.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct {
  double wall, cpu;  // ns
} Moment;

static inline double read_clock(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// The CPU time is that of all threads, and of what the kernel does for them.
static inline Moment now(void) {
  Moment at;
  at.wall = read_clock(CLOCK_MONOTONIC);
  at.cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
  return at;
}

// ns and ns of CPU time for each of the operations since `begin`.
static inline void tell(const char* name, Moment begin, long operations) {
  const Moment end = now();
  printf("%s %.2f %.2f\n", name, (end.wall - begin.wall) / (double)operations,
         (end.cpu - begin.cpu) / (double)operations);
}

// For a pair that hands over beside a crowd that is always ready, until `end`: ns of CPU time that
// go by for each hand-over, and for each turn of one of the crowd.
static inline void tell_crowd(Moment begin, Moment end, long handovers, long turns) {
  const double cpu = end.cpu - begin.cpu;
  printf("crowd %.1f %.1f\n", cpu / (double)handovers, cpu / (double)turns);
}

// Seconds, seconds of CPU time, and the most memory that the process has had, in MB.
static inline void tell_whole(const char* name, Moment begin) {
  const Moment end = now();
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%s %.4f %.4f %.2f\n", name, (end.wall - begin.wall) / 1e9, (end.cpu - begin.cpu) / 1e9,
         (double)usage.ru_maxrss / 1024);
}

static inline void fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static inline void must(int error, const char* what) {
  if (error != 0) fail(what, strerror(error));
}

// Resident memory and page tables of the process, in bytes.
typedef struct {
  double resident, tables;
} Memory;

static inline Memory memory_now(void) {
  Memory is = {0, 0};
  char line[256];
  FILE* const status = fopen("/proc/self/status", "r");
  if (status == NULL) fail("/proc/self/status", "cannot be read");
  while (fgets(line, sizeof line, status) != NULL) {
    long kb;
    if (sscanf(line, "VmRSS: %ld", &kb) == 1) is.resident = (double)kb * 1024;
    if (sscanf(line, "VmPTE: %ld", &kb) == 1) is.tables = (double)kb * 1024;
  }
  fclose(status);
  return is;
}

// Of some that began to start at `begin`, all waited at `parked` and had all ended at `ended`: the
// memory before and while they waited.  What is needed once is in it if they are the first.
typedef struct {
  Memory before, after;
  Moment begin, parked, ended;
} Parking;

// Bytes of memory and of page tables for each of `count`, ns to start it and ns to wake and end it.
// One is parked before, for what is needed once.
static inline void tell_parked(Parking (*park)(long count), long count) {
  (void)park(1);
  const Parking is = park(count);
  printf("parked %.1f %.1f %.1f %.1f\n", (is.after.resident - is.before.resident) / (double)count,
         (is.after.tables - is.before.tables) / (double)count,
         (is.parked.wall - is.begin.wall) / (double)count,
         (is.ended.wall - is.parked.wall) / (double)count);
}

// A number from the command line; whatever is no positive number ends the program.
static inline long count_of(const char* text) {
  char* end;
  const long value = strtol(text, &end, 10);
  if (*end != '\0' || value <= 0) fail(text, "is not a count");
  return value;
}

// Pseudo-random numbers, the same in every program: a sleep between 0 and `most`.
static inline uint64_t random_below(uint64_t* state, uint64_t most) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (*state >> 33) % most;
}

// What a program measures, by the first word of its command line; `arguments` that follow it.
typedef struct {
  const char* name;
  int arguments;
  void (*measure)(char** arguments);
} Measurement;

static inline int run_measurement(int argc, char** argv, const Measurement* known, int count) {
  for (int i = 0; i < count; ++i) {
    if (argc == known[i].arguments + 2 && strcmp(argv[1], known[i].name) == 0) {
      known[i].measure(argv + 2);
      return 0;
    }
  }
  for (int i = 0; i < count; ++i) {
    fprintf(stderr, "usage: %s %s, with %d numbers\n", argv[0], known[i].name, known[i].arguments);
  }
  return 2;
}
