// Stacks: sizes that were asked for, stacks that the program brings, and what the thread is told.
#include <limits.h>
#include <sys/mman.h>

#include "twin.h"

// Uses `bytes` of stack, a page at a time, and sleeps at the bottom.
static int dig(size_t bytes) {
  volatile char page[4096];
  memset((char*)page, (int)(bytes >> 12), sizeof page);
  if (bytes <= sizeof page) {
    nap(2);
    return page[17] == (char)(bytes >> 12);
  }
  const int below = dig(bytes - sizeof page);
  return below && page[4095] == (char)(bytes >> 12);
}

// Checks that pthread_getattr_np covers this frame; answers the size that it reports.
static size_t reported_stack(void) {
  pthread_attr_t attributes;
  void* lowest = NULL;
  size_t size = 0;
  char here;
  CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
  CHECK(pthread_attr_getstack(&attributes, &lowest, &size) == 0);
  CHECK(&here > (char*)lowest && &here < (char*)lowest + size);
  pthread_attr_destroy(&attributes);
  return size;
}

static void* use_stack(void* argument) {
  const size_t asked = (size_t)as_number(argument);
  CHECK(reported_stack() >= asked);  // It may be one that a larger thread has left.
  CHECK(dig(asked / 2));
  return NULL;
}

static void sizes(void) {
  static const size_t kSizes[] = {64 << 10, 128 << 10, 1 << 20, 16 << 20};
  for (size_t i = 0; i < sizeof kSizes / sizeof kSizes[0]; ++i) {
    pthread_attr_t attributes;
    pthread_t threads[4];
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, kSizes[i]) == 0);
    for (int j = 0; j < 4; ++j) {
      MUST(pthread_create(&threads[j], &attributes, use_stack, as_pointer((long)kSizes[i])) == 0);
    }
    for (int j = 0; j < 4; ++j) finish(threads[j]);
    pthread_attr_destroy(&attributes);
    printf("%zu kB\n", kSizes[i] >> 10);
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  printf("too small: %s\n", error_name(pthread_attr_setstacksize(&attributes, 100)));
}

static void* use_default(void* argument) {
  (void)argument;
  CHECK(dig(512 << 10));
  return as_pointer((long)reported_stack());
}

static void default_size(void) {
  pthread_attr_t attributes;
  size_t size = 0;
  CHECK(pthread_getattr_default_np(&attributes) == 0);
  pthread_attr_getstacksize(&attributes, &size);
  CHECK(as_number(finish(start(use_default, NULL))) >= (long)size - (64 << 10));
  CHECK(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  CHECK(pthread_setattr_default_np(&attributes) == 0);
  pthread_t thread;
  MUST(pthread_create(&thread, NULL, use_stack, as_pointer(256 << 10)) == 0);
  finish(thread);
  CHECK(pthread_attr_setstacksize(&attributes, size) == 0);
  CHECK(pthread_setattr_default_np(&attributes) == 0);
  printf("default %zu kB\n", size >> 10);
}

struct own_stack {
  char* lowest;
  size_t size;
};

static void* use_own(void* argument) {
  const struct own_stack* const own = argument;
  char here;
  CHECK(&here > own->lowest && &here < own->lowest + own->size);
  CHECK(reported_stack() == own->size);
  CHECK(dig(own->size / 2));
  return as_pointer(own->lowest[0]);
}

static void brought_by_program(void) {
  struct own_stack own = {.size = 256 << 10};
  own.lowest = mmap(NULL, own.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(own.lowest != MAP_FAILED);
  for (int round = 0; round < 3; ++round) {
    pthread_attr_t attributes;
    pthread_t thread;
    own.lowest[0] = (char)(40 + round);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, own.lowest, own.size) == 0);
    MUST(pthread_create(&thread, &attributes, use_own, &own) == 0);
    printf("round %ld\n", as_number(finish(thread)));
    pthread_attr_destroy(&attributes);
  }
  // It is the program's: still mapped, and its to unmap.
  CHECK(own.lowest[0] == 42);
  CHECK(munmap(own.lowest, own.size) == 0);
}

// Threads come and go; the memory of the ones that went serves the next.
static void reuse(void) {
  long long sum = 0;
  for (int round = 0; round < 20; ++round) {
    pthread_t threads[10];
    for (int i = 0; i < 10; ++i) threads[i] = start(use_default, NULL);
    for (int i = 0; i < 10; ++i) sum += as_number(finish(threads[i])) > 0;
  }
  printf("threads %lld\n", sum);
}

static void stack_of_main(void) {
  CHECK(reported_stack() > 64 << 10);
  CHECK(dig(256 << 10));
  printf("main\n");
}

// What a thread is told of itself is what it was made with.
static void* say_attributes(void* argument) {
  pthread_attr_t attributes;
  size_t guard = 0, size = 0;
  int detached = -1, policy = -1, inherits = -1;
  struct sched_param parameters = {-1};
  CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
  pthread_attr_getguardsize(&attributes, &guard);
  pthread_attr_getstacksize(&attributes, &size);
  pthread_attr_getdetachstate(&attributes, &detached);
  pthread_attr_getinheritsched(&attributes, &inherits);
  pthread_attr_getschedpolicy(&attributes, &policy);
  pthread_attr_getschedparam(&attributes, &parameters);
  printf("guard %zu, size %zu, detached %d, inherits %d, policy %d, priority %d\n", guard, size,
         detached == PTHREAD_CREATE_DETACHED, inherits == PTHREAD_INHERIT_SCHED, policy,
         parameters.sched_priority);
  pthread_attr_destroy(&attributes);
  return argument;
}

static void own_attributes(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  MUST(pthread_attr_init(&attributes) == 0);
  pthread_attr_setguardsize(&attributes, 8192);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  MUST(pthread_create(&thread, &attributes, say_attributes, NULL) == 0);
  finish(thread);
  // Asked for explicitly, the policy that it would have anyway.
  pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
  MUST(pthread_create(&thread, &attributes, say_attributes, NULL) == 0);
  finish(thread);
  pthread_attr_destroy(&attributes);
}

enum { kMany = 2000 };

static pthread_barrier_t all_are_there;

static void* be_there(void* argument) {
  CHECK(dig(8192));
  pthread_barrier_wait(&all_are_there);
  return argument;
}

static void have_many(void) {
  static pthread_t threads[kMany];
  pthread_attr_t attributes;
  MUST(pthread_attr_init(&attributes) == 0);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  MUST(pthread_barrier_init(&all_are_there, NULL, kMany) == 0);
  for (int i = 0; i < kMany; ++i) {
    MUST(pthread_create(&threads[i], &attributes, be_there, NULL) == 0);
  }
  for (int i = 0; i < kMany; ++i) finish(threads[i]);
  pthread_barrier_destroy(&all_are_there);
  pthread_attr_destroy(&attributes);
}

static long resident_pages(void) {
  long size;
  long resident;
  FILE* const file = fopen("/proc/self/statm", "r");
  MUST(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
  fclose(file);
  return resident;
}

// What many threads have used is not kept for ever after.
static void memory_goes_back(void) {
  const long before = resident_pages();
  have_many();
  const long long end = now_ms() + 60000;
  while (resident_pages() - before > 2L * kMany && now_ms() < end) nap(100);
  CHECK(resident_pages() - before <= 2L * kMany);
  have_many();
  printf("done\n");
}

static const struct twin_case cases[] = {
    {"sizes", THREADS, sizes},
    {"default_size", THREADS, default_size},
    {"brought_by_program", THREADS, brought_by_program},
    {"reuse", THREADS, reuse},
    {"stack_of_main", ALONE, stack_of_main},
    {"own_attributes", THREADS, own_attributes},
    {"memory_goes_back", THREADS, memory_goes_back},
};

TWIN_MAIN(cases)
