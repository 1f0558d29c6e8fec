// Starts N threads and waits until all of them are asleep at once; tells what that took.
//
//   many_threads [N]
#include "twin.h"

static int asleep, leave;

static void* sleep_until_told(void* argument) {
  __atomic_add_fetch(&asleep, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&leave, __ATOMIC_SEQ_CST)) sleep(3);
  return argument;
}

// A number from /proc/self/status.
static long status_of(const char* name) {
  char line[256];
  long value = -1;
  FILE* const file = fopen("/proc/self/status", "r");
  MUST(file);
  while (value < 0 && fgets(line, sizeof line, file)) {
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
  }
  fclose(file);
  return value;
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 1000;
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  pthread_attr_t attributes;
  MUST(threads && pthread_attr_init(&attributes) == 0);
  MUST(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
  for (int i = 0; i < count; ++i) {
    const int error = pthread_create(&threads[i], &attributes, sleep_until_told, NULL);
    if (error != 0) {
      printf("thread %d cannot start: %s\n", i, strerror(error));
      return 1;
    }
  }
  while (__atomic_load_n(&asleep, __ATOMIC_SEQ_CST) < count) nap(10);
  printf("asleep at once %d, kernel threads %ld, peak memory %ld kB\n", count, status_of("Threads"),
         status_of("VmHWM"));
  __atomic_store_n(&leave, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < count; ++i) finish(threads[i]);
  free(threads);
  return 0;
}
