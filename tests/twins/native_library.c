// Threads that begin in a library (RAMIE_NATIVE names it) beside those of the program.
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "native_library_part.h"
#include "twin.h"

static int has_kernel_thread(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%ld", syscall(SYS_gettid));
  return access(path, F_OK) == 0;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

// Two sides take turns, each waiting for the other.
static void take_turns(int side) {
  for (int i = 0; i < 50; ++i) {
    MUST(pthread_mutex_lock(&mutex) == 0);
    while (turn % 2 != side) MUST(pthread_cond_wait(&changed, &mutex) == 0);
    ++turn;
    MUST(pthread_cond_broadcast(&changed) == 0);
    MUST(pthread_mutex_unlock(&mutex) == 0);
  }
}

static void* take_odd_turns(void* argument) {
  take_turns(1);
  return argument;
}

static void say_whose(void) {
  printf("a kernel thread of its own: %d\n", has_kernel_thread());
  take_turns(0);
}

static void beside_others(void) {
  turn = 0;
  const pthread_t other = start(take_odd_turns, NULL);
  const pthread_t native = start_in_library(say_whose);
  printf("joined: %ld\n", as_number(finish(native)));
  finish(other);
  printf("turns %d\n", turn);
}

static void exit_early(void) { pthread_exit(as_pointer(7)); }

static void say_child(void) { printf("a kernel thread of its own: %d\n", has_kernel_thread()); }

static void start_another(void) {
  printf("joined there: %ld\n", as_number(finish(start_in_library(say_child))));
}

static void* nap_a_moment(void* argument) {
  nap(30);
  return argument;
}

static pthread_t awaited;

static void join_one_of_the_program(void) {
  printf("joined there: %ld\n", as_number(finish(awaited)));
}

static void ends(void) {
  printf("exit: %ld\n", as_number(finish(start_in_library(exit_early))));
  finish(start_in_library(start_another));
  awaited = start(nap_a_moment, as_pointer(5));
  finish(start_in_library(join_one_of_the_program));
  // Memory that a native thread has had is then one of the program's, and the other way round.
  for (int i = 0; i < 50; ++i) {
    finish(start_in_library(exit_early));
    finish(start(nap_a_moment, NULL));
    if (i == 3) printf("and again\n");
  }
}

static _Atomic int hits;

static void note_hit(int number) {
  (void)number;
  ++hits;
}

static _Atomic int is_ready;

static void wait_for_hit(void) {
  is_ready = 1;
  while (!hits) nap(1);
}

static void signalled(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_hit;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  finish(start(nap_a_moment, NULL));
  const pthread_t native = start_in_library(wait_for_hit);
  while (!is_ready) nap(1);
  nap(10);
  MUST(pthread_kill(native, SIGUSR1) == 0);
  finish(native);
  printf("hits %d\n", hits);
}

static void outlive_the_first(void) {
  nap(50);
  printf("the last one\n");
}

// The process ends with its last thread, whosever it is.
static void last_to_end(void) {
  finish(start(nap_a_moment, NULL));
  start_in_library(outlive_the_first);
  pthread_exit(NULL);
}

static const struct twin_case cases[] = {
    {"beside_others", THREADS, beside_others},
    {"ends", THREADS, ends},
    {"signalled", THREADS, signalled},
    {"last_to_end", THREADS, last_to_end},
};

TWIN_MAIN(cases)
