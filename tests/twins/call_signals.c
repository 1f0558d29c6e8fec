// Signals that the kernel sends to a thread for what it has called: they are that thread's own.
#include <fcntl.h>
#include <sys/resource.h>

#include "handlers.h"

static volatile int stopped;

static void* nap_until_stopped(void* argument) {
  while (!stopped) nap(1);
  return argument;
}

static void* write_to_nobody(void* argument) {
  int ends[2];
  MUST(pipe(ends) == 0);
  close(ends[0]);
  printf("write: %s, ", said(write(ends[1], "x", 1)));
  printf("handled %d, here %d\n", hits, hit_here());
  close(ends[1]);
  return argument;
}

static void broken_pipe(void) {
  install(SIGPIPE, note_hit, 0);
  finish(start(write_to_nobody, NULL));
}

// Calls that a kernel thread may make on behalf of this one.
static void* splice_to_nobody(void* argument) {
  int ends[2], full[2];
  MUST(pipe(ends) == 0 && pipe(full) == 0 && write(full[1], "x", 1) == 1);
  close(ends[0]);
  const long moved = splice(full[0], NULL, ends[1], NULL, 1, 0);
  printf("splice: %s, ", said(moved));
  printf("handled %d, here %d\n", hits, hit_here());
  close(ends[1]);
  close(full[0]);
  close(full[1]);
  return argument;
}

static void broken_splice(void) {
  install(SIGPIPE, note_hit, 0);
  finish(start(splice_to_nobody, NULL));
}

// Blocked, it waits for the writer alone, while others run who let it in.
static void* write_blocking(void* argument) {
  int ends[2];
  MUST(pipe(ends) == 0);
  close(ends[0]);
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  printf("write: %s\n", said(write(ends[1], "x", 1)));
  nap(20);
  CHECK(sigpending(&pending) == 0);
  printf("pending %d, handled %d\n", sigismember(&pending, SIGPIPE), hits);
  const struct timespec now = {0, 0};
  printf("taken: %s\n", sigtimedwait(&set, NULL, &now) == SIGPIPE ? "yes" : "no");
  close(ends[1]);
  return argument;
}

// So is the signal of a file that would grow too large.
static void* grow_too_far(void* argument) {
  FILE* const file = tmpfile();
  MUST(file != NULL);
  struct rlimit before, limit;
  MUST(getrlimit(RLIMIT_FSIZE, &before) == 0);
  limit = before;
  limit.rlim_cur = 10;
  MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  CHECK(lseek(fileno(file), 10, SEEK_SET) == 10);
  const long written = write(fileno(file), "x", 1);
  const char* const answer = said(written);
  MUST(setrlimit(RLIMIT_FSIZE, &before) == 0);
  printf("write: %s\n", answer);
  nap(20);
  printf("handled %d\n", hits);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
  printf("handled %d, here %d\n", hits, hit_here());
  return argument;
}

static void beside_others(int number, void* (*work)(void*)) {
  install(number, note_hit, 0);
  stopped = 0;
  pthread_t others[3];
  for (int i = 0; i < 3; ++i) others[i] = start(nap_until_stopped, NULL);
  finish(start(work, NULL));
  stopped = 1;
  for (int i = 0; i < 3; ++i) finish(others[i]);
}

static void blocked_pipe(void) { beside_others(SIGPIPE, write_blocking); }
static void file_too_large(void) { beside_others(SIGXFSZ, grow_too_far); }

static const struct twin_case cases[] = {
    {"broken_pipe", THREADS, broken_pipe},
    {"broken_splice", THREADS, broken_splice},
    {"blocked_pipe", THREADS, blocked_pipe},
    {"file_too_large", THREADS, file_too_large},
};

TWIN_MAIN(cases)
