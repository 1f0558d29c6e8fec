// Says hello, sleeps for three seconds, says goodbye; in N threads at once.
//
//   hello_threads [N] [SECONDS]
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned seconds = 3;

static void* greet(void* argument) {
  const int number = (int)(long)argument;
  printf("%d: hello\n", number);
  sleep(seconds);
  printf("%d: goodbye\n", number);
  return NULL;
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 1000;
  if (argc > 2) seconds = (unsigned)atoi(argv[2]);
  pthread_t* const threads = calloc((size_t)count, sizeof *threads);
  if (!threads) {
    perror("hello_threads");
    return 1;
  }
  for (long i = 0; i < count; ++i) {
    const int error = pthread_create(&threads[i], NULL, greet, (void*)i);
    if (error != 0) {
      fprintf(stderr, "hello_threads: thread %ld cannot start: %s\n", i, strerror(error));
      return 1;
    }
  }
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  free(threads);
  return 0;
}
