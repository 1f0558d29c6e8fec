// Signals that come at awkward moments: from other threads, again and again.
#include "handlers.h"

static _Atomic int stopped, child_handled;
static pid_t parent;

static void note_process(int number) {
  (void)number;
  if (getpid() != parent) child_handled = 1;
}

static void* fire_until_stopped(void* victim) {
  while (!stopped) {
    pthread_kill(*(pthread_t*)victim, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

// What was sent to the parent's thread while it forked is none of the child's.
static void fork_under_fire(void) {
  pthread_t victim = pthread_self();
  parent = getpid();
  install(SIGUSR1, note_process, SA_RESTART);
  pthread_t thread = start(fire_until_stopped, &victim);
  for (int i = 0; i < 60; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int k = 0; k < 10; ++k) sched_yield();
      _exit(child_handled);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  stopped = 1;
  finish(thread);
}

static const struct twin_case cases[] = {
    {"fork_under_fire", THREADS, fork_under_fire},
};

TWIN_MAIN(cases)
