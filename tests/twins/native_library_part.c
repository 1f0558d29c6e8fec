#include "native_library_part.h"

#include <stdlib.h>

static void* begin(void* argument) {
  void (**body)(void) = argument;
  void (*call)(void) = *body;
  free(body);
  call();
  return (void*)3;
}

pthread_t start_in_library(void (*body)(void)) {
  void (**copy)(void) = malloc(sizeof *copy);
  pthread_t thread;
  if (!copy) abort();
  *copy = body;
  if (pthread_create(&thread, NULL, begin, copy) != 0) abort();
  return thread;
}
