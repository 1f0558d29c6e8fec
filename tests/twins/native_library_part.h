// A library that starts threads, for the twin `native_library`.
#pragma once

#include <pthread.h>

// A thread that begins in this library and calls `body`; it returns 3.
pthread_t start_in_library(void (*body)(void));
