// Trees and heaps of threads that are there to be spread over the CPUs.
//
//   forks skynet LEAVES       a tree in which each thread creates ten and adds up their numbers
//   forks tasks N ITERATIONS  one thread creates N that each compute so many steps, and joins them
//
// LEAVES is a power of ten.
#include <pthread.h>
#include <stdatomic.h>

#include "figures.h"

enum { kChildren = 10 };

// A node of the tree: the numbers of its leaves are first, first + 1, ..., and it leaves their sum.
typedef struct {
  long first, leaves, sum;
} Node;

static void* add_up(void* argument) {
  Node* const self = argument;
  if (self->leaves == 1) {
    self->sum = self->first;
    return NULL;
  }
  pthread_t threads[kChildren];
  Node children[kChildren];
  const long each = self->leaves / kChildren;
  for (int i = 0; i < kChildren; ++i) {
    children[i] = (Node){self->first + i * each, each, 0};
    must(pthread_create(&threads[i], NULL, add_up, &children[i]), "pthread_create");
  }
  for (int i = 0; i < kChildren; ++i) {
    must(pthread_join(threads[i], NULL), "pthread_join");
    self->sum += children[i].sum;
  }
  return NULL;
}

static void measure_skynet(char** arguments) {
  const long leaves = count_of(arguments[0]);
  const Moment begin = now();
  Node root = {0, leaves, 0};
  pthread_t thread;
  must(pthread_create(&thread, NULL, add_up, &root), "pthread_create");
  must(pthread_join(thread, NULL), "pthread_join");
  tell_whole("skynet", begin);
  if (root.sum != leaves * (leaves - 1) / 2) fail("skynet", "the sum is wrong");
}

static unsigned long expected;
static long iterations;
static atomic_long right;

// A chain of dependent steps, some ns each, which no compiler shortens.
static unsigned long compute(void) {
  unsigned long x = 88172645463325252u;
  for (long i = 0; i < iterations; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

static void* task(void* argument) {
  if (compute() == expected) atomic_fetch_add_explicit(&right, 1, memory_order_relaxed);
  return argument;
}

static void measure_tasks(char** arguments) {
  const long count = count_of(arguments[0]);
  iterations = count_of(arguments[1]);
  expected = compute();
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) fail("threads", "no memory");
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    must(pthread_create(&threads[i], NULL, task, NULL), "pthread_create");
  }
  for (long i = 0; i < count; ++i) must(pthread_join(threads[i], NULL), "pthread_join");
  tell_whole("tasks", begin);
  if (atomic_load(&right) != count) fail("tasks", "not every task has computed");
  free(threads);
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {{"skynet", 1, measure_skynet}, {"tasks", 2, measure_tasks}};
  return run_measurement(argc, argv, kKnown, 2);
}
