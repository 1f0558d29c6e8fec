// Thread-locals of C: every thread keeps its own, at its own address, over calls that block.
#include <dlfcn.h>
#include <limits.h>
#include <locale.h>

#include "twin.h"

enum { kThreads = 8 };

static __thread int local_number = 7;
static __thread char local_text[64];
static int* published[kThreads];
static pthread_barrier_t barrier;

// Each thread writes through its own name and reads through the addresses that others published.
static void* publish(void* argument) {
  const long self = as_number(argument);
  CHECK(local_number == 7);
  local_number = 100 + (int)self;
  snprintf(local_text, sizeof local_text, "thread %ld", self);
  published[self] = &local_number;
  pthread_barrier_wait(&barrier);
  nap(5);
  for (long other = 0; other < kThreads; ++other) CHECK(*published[other] == 100 + other);
  pthread_barrier_wait(&barrier);
  *published[(self + 1) % kThreads] += 1000;
  pthread_barrier_wait(&barrier);
  CHECK(local_number == 1100 + self);
  CHECK(&local_number == published[self]);
  char expected[64];
  snprintf(expected, sizeof expected, "thread %ld", self);
  CHECK(strcmp(local_text, expected) == 0);
  return as_pointer(local_number);
}

static void published_addresses(void) {
  pthread_t threads[kThreads];
  pthread_barrier_init(&barrier, NULL, kThreads);
  for (long i = 0; i < kThreads; ++i) threads[i] = start(publish, as_pointer(i));
  for (long i = 0; i < kThreads; ++i) printf("thread %ld: %ld\n", i, as_number(finish(threads[i])));
  for (int i = 0; i < kThreads; ++i)
    for (int j = 0; j < i; ++j) CHECK(published[i] != published[j]);
  printf("main: %d\n", local_number);
  pthread_barrier_destroy(&barrier);
}

// A call that succeeds leaves errno alone, and no other thread may touch it meanwhile.
static void* keep_errno(void* argument) {
  const int mine = 1 + (int)as_number(argument);
  int* const address = &errno;
  for (int round = 0; round < 5; ++round) {
    errno = mine;
    nap(1 + mine % 3);
    CHECK(errno == mine);
    CHECK(close(-1) == -1 && errno == EBADF);
    nap(1);
    CHECK(errno == EBADF);
    CHECK(&errno == address);
  }
  return NULL;
}

static void errno_is_private(void) {
  pthread_t threads[kThreads];
  errno = ENOTTY;
  for (long i = 0; i < kThreads; ++i) threads[i] = start(keep_errno, as_pointer(i));
  for (long i = 0; i < kThreads; ++i) finish(threads[i]);
  printf("main's errno: %s\n", strerrorname_np(errno));
}

static void* keep_locale(void* argument) {
  const int wide = (int)as_number(argument) % 2;
  locale_t mine = newlocale(LC_ALL_MASK, wide ? "C.UTF-8" : "C", (locale_t)0);
  MUST(mine != (locale_t)0);
  CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
  uselocale(mine);
  for (int round = 0; round < 5; ++round) {
    CHECK(MB_CUR_MAX == (wide ? 6u : 1u));
    nap(2);
    CHECK(uselocale((locale_t)0) == mine);
  }
  const long width = (long)MB_CUR_MAX;
  uselocale(LC_GLOBAL_LOCALE);
  freelocale(mine);
  return as_pointer(width);
}

static void locale_is_private(void) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start(keep_locale, as_pointer(i));
  for (long i = 0; i < kThreads; ++i) {
    printf("thread %ld: %ld bytes at most\n", i, as_number(finish(threads[i])));
  }
  printf("main: %zu\n", MB_CUR_MAX);
}

static pthread_key_t first_key, second_key, stubborn_key;
static int destroyed[3];

static void destroy_first(void* value) {
  CHECK(as_number(value) == 11);
  nap(2);  // A destructor may block.
  ++destroyed[0];
}

static void destroy_second(void* value) {
  CHECK(as_number(value) == 22);
  CHECK(pthread_getspecific(second_key) == NULL);
  ++destroyed[1];
}

// Sets its own value again, so it is called PTHREAD_DESTRUCTOR_ITERATIONS times and no more.
static void destroy_stubborn(void* value) {
  ++destroyed[2];
  pthread_setspecific(stubborn_key, value);
}

static void* use_keys(void* argument) {
  pthread_setspecific(first_key, as_pointer(11));
  pthread_setspecific(second_key, as_pointer(22));
  pthread_setspecific(stubborn_key, argument);
  nap(5);
  CHECK(as_number(pthread_getspecific(first_key)) == 11);
  return NULL;
}

static void key_destructors(void) {
  pthread_key_create(&first_key, destroy_first);
  pthread_key_create(&second_key, destroy_second);
  pthread_key_create(&stubborn_key, destroy_stubborn);
  for (int round = 0; round < 3; ++round) finish(start(use_keys, &barrier));
  printf("first %d, second %d, stubborn %d of %d\n", destroyed[0], destroyed[1], destroyed[2],
         3 * PTHREAD_DESTRUCTOR_ITERATIONS);
  CHECK(pthread_getspecific(first_key) == NULL);
  printf("delete: %s\n", error_name(pthread_key_delete(first_key)));
  printf("delete again: %s\n", error_name(pthread_key_delete(first_key)));
  pthread_key_delete(second_key);
  pthread_key_delete(stubborn_key);
}

// The two libraries lie beside the program: one with the initial-exec model, one with the dynamic.
static int* (*open_counter(const char* library))(void) {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  MUST(length > 0);
  path[length] = '\0';
  char* const slash = strrchr(path, '/');
  snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "%s", library);
  void* const handle = dlopen(path, RTLD_NOW);
  if (!handle) printf("%s\n", dlerror());
  MUST(handle);
  int* (*counter)(void);
  *(void**)&counter = dlsym(handle, "twin_counter");
  MUST(counter);
  return counter;
}

static int* (*initial_exec)(void);
static int* (*dynamic)(void);
static pthread_barrier_t opened;

static void* count_in_libraries(void* argument) {
  const int mine = (int)as_number(argument);
  pthread_barrier_wait(&barrier);  // Every thread is older than the libraries.
  if (mine == 0) {
    initial_exec = open_counter("libtwin_tls_ie.so");
    dynamic = open_counter("libtwin_tls_gd.so");
  }
  pthread_barrier_wait(&opened);
  CHECK(*initial_exec() == 40);
  CHECK(*dynamic() == 50);
  for (int round = 0; round < 10; ++round) {
    *initial_exec() += mine;
    *dynamic() += 2 * mine;
    nap(1);
  }
  return as_pointer(1000L * *initial_exec() + *dynamic());
}

static void dlopened_libraries(void) {
  pthread_t threads[kThreads];
  pthread_barrier_init(&barrier, NULL, kThreads);
  pthread_barrier_init(&opened, NULL, kThreads);
  for (long i = 0; i < kThreads; ++i) threads[i] = start(count_in_libraries, as_pointer(i));
  for (long i = 0; i < kThreads; ++i) printf("thread %ld: %ld\n", i, as_number(finish(threads[i])));
  printf("main: %d %d\n", *initial_exec(), *dynamic());
}

static const struct twin_case cases[] = {
    {"published_addresses", THREADS, published_addresses},
    {"errno_is_private", THREADS, errno_is_private},
    {"locale_is_private", THREADS, locale_is_private},
    {"key_destructors", THREADS, key_destructors},
    {"dlopened_libraries", THREADS, dlopened_libraries},
};

TWIN_MAIN(cases)
