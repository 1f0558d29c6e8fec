// The calls by which a program makes threads: the moment at which hosting begins.
#include <pthread.h>
#include <threads.h>

#include "interpose/host/hosting.h"
#include "interpose/host/native_threads.h"
#include "interpose/real.h"

using ramie::interpose::bound;

extern "C" {

[[gnu::visibility("default")]] int pthread_create(pthread_t* thread,
                                                  const pthread_attr_t* attributes,
                                                  void* (*start)(void*), void* argument) noexcept {
  ramie::host::prepare_for_threads();
  ramie::host::NativeThreadAhead ahead(
      ramie::host::begins_in_native_library(reinterpret_cast<const void*>(start), argument));
  return bound().pthread_create(thread, attributes, start, argument);
}

[[gnu::visibility("default")]] int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  ramie::host::prepare_for_threads();
  ramie::host::NativeThreadAhead ahead(
      ramie::host::begins_in_native_library(reinterpret_cast<const void*>(start), argument));
  return bound().thrd_create(thread, start, argument);
}

[[gnu::visibility("default")]] int ramie_report(char* buffer, size_t size) {
  return ramie::host::report(buffer, size);
}

}  // extern "C"
