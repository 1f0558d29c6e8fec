// Handlers, masks and doomed children for the twins that are about signals.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include "twin.h"

static _Atomic int hits;
static pthread_t hit_thread;

static inline void note_hit(int number) {
  (void)number;
  hit_thread = pthread_self();
  ++hits;
}

static inline int hit_here(void) { return hits > 0 && pthread_equal(hit_thread, pthread_self()); }

// Also forgets the hits so far.
static inline void install(int number, void (*handler)(int), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  hits = 0;
  MUST(sigaction(number, &action, NULL) == 0);
}

static inline void change_mask(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  MUST(pthread_sigmask(how, &set, NULL) == 0);
}

static inline void block(int number) { change_mask(SIG_BLOCK, number); }
static inline void unblock(int number) { change_mask(SIG_UNBLOCK, number); }

static inline void* nap_a_little(void* argument) {
  nap(2);
  return argument;
}

// From here on the program is one with threads, though only one is left.
static inline void had_a_thread(void) { finish(start(nap_a_little, NULL)); }

static inline void say_end_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) {
    printf("killed by SIG%s\n", sigabbrev_np(WTERMSIG(status)));
  } else {
    printf("exit code %d\n", WEXITSTATUS(status));
  }
}

// For a body that ends its process.
static inline void in_child(void (*body)(void)) {
  had_a_thread();
  const pid_t child = fork();
  if (child == 0) {
    body();
    printf("survived\n");
    _exit(twin_failures ? 99 : 0);
  }
  say_end_of(child);
}
