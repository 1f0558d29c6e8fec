// A thread that holds up its kernel thread in ways of which Ramie learns nothing: a system call
// past libc, a child that borrows its memory, and a loop.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct timespec hold_time = {0, 400 * 1000 * 1000};

// Exported by the program, so that a report can name it.
__attribute__((noinline)) void sleep_past_libc(void);
void sleep_past_libc(void) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_nanosleep), "D"(&hold_time), "S"(NULL)
                   : "rcx", "r11", "memory");
  if (result != 0) puts("interrupted");
}

// By processor time, which a busy machine does not shorten.
static void compute(void) {
  struct timespec now, begin;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec <
           hold_time.tv_nsec);
}

static void* hold_up(void* unused) {
  sleep_past_libc();
  compute();
  pid_t child = vfork();
  if (child == 0) {
    nanosleep(&hold_time, NULL);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  nanosleep(&hold_time, NULL);  // parks: nobody is held up
  return unused;
}

int main(int argc, char** argv) {
  if (argc > 1) hold_time.tv_nsec = atol(argv[1]) * 1000000;
  pthread_t thread;
  pthread_create(&thread, NULL, hold_up, NULL);
  pthread_join(thread, NULL);
  puts("done");
  return 0;
}
