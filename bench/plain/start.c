// What it costs to start a process, up to its end, seen by who starts it.
//
//   start N COMMAND...   one after another; the environment is the caller's, plus LD_PRELOAD from
//                        BENCH_PRELOAD, which thus does not meet this program itself
//   start exit           such a process: it does nothing
//   start thread         such a process: it creates one thread, and joins it
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figures.h"

extern char** environ;

static void* nothing(void* argument) { return argument; }

static void use_thread(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
  must(pthread_join(thread, NULL), "pthread_join");
}

static void start_one(char** command) {
  pid_t child;
  int status;
  must(posix_spawnp(&child, command[0], NULL, NULL, command, environ), command[0]);
  if (waitpid(child, &status, 0) != child || status != 0) fail(command[0], "did not end well");
}

static double children_ns(void) {
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "exit") == 0) return 0;
  if (argc == 2 && strcmp(argv[1], "thread") == 0) {
    use_thread();
    return 0;
  }
  if (argc < 3) {
    fprintf(stderr, "usage: start exit | thread | N COMMAND...\n");
    return 2;
  }
  const long count = count_of(argv[1]);
  const char* const preload = getenv("BENCH_PRELOAD");
  if (preload != NULL) setenv("LD_PRELOAD", preload, 1);
  start_one(argv + 2);
  const double cpu = children_ns();
  const Moment begin = now();
  for (long i = 0; i < count; ++i) start_one(argv + 2);
  const Moment end = now();
  printf("start %.1f %.1f\n", (end.wall - begin.wall) / (double)count,
         (children_ns() - cpu) / (double)count);
  return 0;
}
