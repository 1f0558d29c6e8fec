// Which processors a thread may run on, for the twins that choose them.
#pragma once

#include <sched.h>

#include "twin.h"

enum { PATIENCE_MS = 10000 };

// The first and the last processor that the process may use; on a machine with one, the same.
static inline int processor(int last) {
  cpu_set_t all;
  MUST(sched_getaffinity(getpid(), sizeof all, &all) == 0);
  int found = -1;
  for (int i = 0; i < CPU_SETSIZE && (last || found < 0); ++i) {
    if (CPU_ISSET(i, &all)) found = i;
  }
  return found;
}

static inline cpu_set_t only(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return set;
}

static inline int has_only(int cpu) {
  cpu_set_t set;
  cpu_set_t wanted = only(cpu);
  return pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 && CPU_EQUAL(&set, &wanted);
}

static inline int number_of_processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

static inline int wait_for_cpu(int cpu) {
  long long end = now_ms() + PATIENCE_MS;
  while (sched_getcpu() != cpu) {
    if (now_ms() > end) return 0;
  }
  return 1;
}
