// Threads that trace processes, while other threads run.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "twin.h"

enum { STEPS = 50 };

static int stop_busy;

static void* be_busy(void* argument) {
  while (!__atomic_load_n(&stop_busy, __ATOMIC_SEQ_CST)) nap(1);
  return argument;
}

// Each look of the tracer is a system call that only the tracer may make.
static void step(pid_t child) {
  int good = 0;
  for (int i = 0; i < STEPS; ++i) {
    struct user_regs_struct registers;
    good += ptrace(PTRACE_GETREGS, child, NULL, &registers) == 0 && registers.rip != 0;
    if (i % 5 == 0) nap(2);
  }
  printf("looked: %d\n", good);
}

static void await_stop(pid_t child, int expected) {
  int status = 0;
  CHECK(waitpid(child, &status, __WALL) == child);
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == expected);
}

static void* trace_own_child(void* argument) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    _exit(5);
  }
  await_stop(child, SIGSTOP);
  nap(5);
  step(child);
  printf("continue: %s\n", said(ptrace(PTRACE_CONT, child, NULL, NULL)));
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  printf("exit: %d\n", WEXITSTATUS(status));
  return argument;
}

static void* attach(void* argument) {
  const pid_t child = *(pid_t*)argument;
  printf("attach: %s\n", said(ptrace(PTRACE_ATTACH, child, NULL, NULL)));
  await_stop(child, SIGSTOP);
  nap(5);
  step(child);
  printf("detach: %s\n", said(ptrace(PTRACE_DETACH, child, NULL, NULL)));
  printf("not its tracer: %s\n", said(ptrace(PTRACE_GETREGS, child, NULL, NULL)));
  return NULL;
}

static void beside_busy(void* (*trace)(void*), void* argument) {
  pthread_t busy[3];
  for (int i = 0; i < 3; ++i) busy[i] = start(be_busy, NULL);
  nap(3);
  finish(start(trace, argument));
  __atomic_store_n(&stop_busy, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 3; ++i) finish(busy[i]);
}

static void own_child(void) { beside_busy(trace_own_child, NULL); }

// The first thread does so, as debuggers do.
static void by_first_thread(void) {
  pthread_t busy = start(be_busy, NULL);
  nap(3);
  trace_own_child(NULL);
  __atomic_store_n(&stop_busy, 1, __ATOMIC_SEQ_CST);
  finish(busy);
}

static void* compute(void* argument) {
  const long long end = now_ms() + 60;
  while (now_ms() < end) {
  }
  return argument;
}

// While others compute there are more kernel threads than later on.
static void among_hogs(void) {
  pthread_t hogs[4];
  for (int i = 0; i < 4; ++i) hogs[i] = start(compute, NULL);
  nap(20);
  pthread_t tracer = start(trace_own_child, NULL);
  for (int i = 0; i < 4; ++i) finish(hogs[i]);
  finish(tracer);
}

static void attached(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  beside_busy(attach, &child);
  kill(child, SIGKILL);
  CHECK(waitpid(child, NULL, 0) == child);
}

static const struct twin_case cases[] = {
    {"own_child", THREADS, own_child},
    {"by_first_thread", THREADS, by_first_thread},
    {"among_hogs", THREADS, among_hogs},
    {"attached", THREADS, attached},
};

TWIN_MAIN(cases)
