// Waiting for children in each form, from threads, without taking a child that another waits for.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

static pid_t child_that_exits(int ms, int code) {
  const pid_t child = fork();
  MUST(child >= 0);
  if (child == 0) {
    nap(ms);
    _exit(code);
  }
  return child;
}

static void* wait_for_own(void* argument) {
  const long mine = as_number(argument);
  int status = -1;
  const pid_t child = child_that_exits(5 + (int)(mine * 7) % 10, (int)mine);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  return as_pointer(WEXITSTATUS(status));
}

// Each thread waits for its own child, and gets that one.
static void each_its_own(void) {
  pthread_t threads[6];
  for (long i = 0; i < 6; ++i) threads[i] = start(wait_for_own, as_pointer(10 + i));
  for (int i = 0; i < 6; ++i) printf("%ld ", as_number(finish(threads[i])));
  printf("\n");
}

static void* wait_in_forms(void* argument) {
  (void)argument;
  int status = -1;
  struct rusage usage;
  memset(&usage, 0xff, sizeof usage);
  pid_t child = child_that_exits(10, 3);
  printf("not yet: %d\n", waitpid(child, &status, WNOHANG));
  CHECK(waitpid(-1, &status, 0) == child);
  printf("any: %d\n", WEXITSTATUS(status));
  child = child_that_exits(5, 4);
  CHECK(wait(&status) == child);
  printf("wait: %d\n", WEXITSTATUS(status));
  child = child_that_exits(5, 5);
  CHECK(wait4(child, &status, 0, &usage) == child && usage.ru_utime.tv_sec >= 0);
  printf("wait4: %d\n", WEXITSTATUS(status));
  child = child_that_exits(5, 6);
  CHECK(wait3(&status, 0, NULL) == child);
  printf("wait3: %d\n", WEXITSTATUS(status));
  child = child_that_exits(5, 7);
  CHECK(waitpid(0, &status, 0) == child);
  printf("own group: %d\n", WEXITSTATUS(status));
  child = child_that_exits(5, 8);
  CHECK(waitpid(child, NULL, 0) == child);
  child = child_that_exits(0, 9);
  CHECK(waitpid(child, (int*)NULL, 0) == child);
  printf("gone: %s\n", said(waitpid(child, &status, 0)));
  printf("no children: %s\n", said(wait(&status)));
  printf("no hang: %s\n", said(waitpid(-1, &status, WNOHANG)));
  printf("bad option: %s\n", said(waitpid(-1, &status, 0x4000)));
  return NULL;
}

static void wait_family(void) { finish(start(wait_in_forms, NULL)); }

static void* waitid_in_forms(void* argument) {
  (void)argument;
  siginfo_t info;
  pid_t child = child_that_exits(10, 21);
  memset(&info, 0, sizeof info);
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == child);
  printf("looked at: %d %d\n", info.si_status, info.si_code == CLD_EXITED);
  CHECK(waitid(P_PID, (id_t)child, &info, WEXITED) == 0 && info.si_pid == child);
  printf("taken: %d, signal %d\n", info.si_status, info.si_signo == SIGCHLD);
  printf("gone: %s\n", said(waitid(P_PID, (id_t)child, &info, WEXITED)));
  child = child_that_exits(10, 22);
  const int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  CHECK(pidfd >= 0);
  CHECK(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 && info.si_pid == child);
  printf("by descriptor: %d\n", info.si_status);
  close(pidfd);
  child = child_that_exits(10, 23);
  CHECK(waitid(P_PGID, (id_t)getpgrp(), &info, WEXITED) == 0 && info.si_pid == child);
  printf("by group: %d\n", info.si_status);
  printf("no option: %s\n", said(waitid(P_ALL, 0, &info, 0)));
  return NULL;
}

static void waitid_family(void) { finish(start(waitid_in_forms, NULL)); }

static pid_t child_that_waits(void) {
  const pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  return child;
}

static void* wait_for_changes(void* argument) {
  const pid_t child = (pid_t)as_number(argument);
  int status = -1;
  CHECK(waitpid(child, &status, WUNTRACED) == child);
  printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status) == SIGSTOP);
  kill(child, SIGCONT);
  CHECK(waitpid(child, &status, WCONTINUED) == child);
  printf("continued %d\n", WIFCONTINUED(status));
  kill(child, SIGKILL);
  CHECK(waitpid(child, &status, 0) == child);
  printf("killed %d by %d\n", WIFSIGNALED(status), WTERMSIG(status) == SIGKILL);
  return NULL;
}

static void stopped_continued_killed(void) {
  const pid_t child = child_that_waits();
  pthread_t waiter = start(wait_for_changes, as_pointer(child));
  nap(5);
  kill(child, SIGSTOP);
  finish(waiter);
}

// A child of one thread may be waited for by another, and by any of those that wait for all.
static int reaped;

static void* wait_for_any(void* argument) {
  (void)argument;
  int status = -1;
  while (wait(&status) > 0) __atomic_add_fetch(&reaped, WEXITSTATUS(status), __ATOMIC_SEQ_CST);
  CHECK(errno == ECHILD);
  return NULL;
}

static void several_wait_for_all(void) {
  pthread_t threads[4];
  for (int i = 1; i <= 8; ++i) child_that_exits(3 * i, i);
  for (int i = 0; i < 4; ++i) threads[i] = start(wait_for_any, NULL);
  for (int i = 0; i < 4; ++i) finish(threads[i]);
  printf("sum %d\n", reaped);
}

static int released[2];

static void* wait_for_group(void* argument) {
  const pid_t group = (pid_t)as_number(argument);
  int status = -1;
  CHECK(waitpid(-group, &status, 0) == group);
  return as_pointer(WEXITSTATUS(status));
}

// More waits than one, of which each is for something else, and no descriptor tells.
static void many_groups(void) {
  enum { kGroups = 24 };
  pthread_t threads[kGroups];
  MUST(pipe(released) == 0);
  for (int i = 0; i < kGroups; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      close(released[1]);  // it ends with its parent, if not before
      char byte;
      _exit(read(released[0], &byte, 1) == 1 ? 1 : 0);
    }
    MUST(child > 0 && setpgid(child, child) == 0);
    threads[i] = start(wait_for_group, as_pointer(child));
  }
  nap(20);
  long sum = 0;
  for (int i = 0; i < kGroups; ++i) CHECK(write(released[1], "x", 1) == 1);
  for (int i = 0; i < kGroups; ++i) sum += as_number(finish(threads[i]));
  printf("sum %ld\n", sum);
}

static void* make_child(void* argument) {
  return as_pointer(child_that_exits((int)as_number(argument), 33));
}

static void child_of_another_thread(void) {
  const pid_t child = (pid_t)as_number(finish(start(make_child, as_pointer(5))));
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  printf("status %d\n", WEXITSTATUS(status));
}

static void* wait_ignored(void* argument) {
  int status = -1;
  return as_pointer(waitpid((pid_t)as_number(argument), &status, 0) == -1 ? errno : 0);
}

// With SIGCHLD ignored, waitpid waits until the child has gone, and says ECHILD.
static void ignored_children(void) {
  signal(SIGCHLD, SIG_IGN);
  const pid_t child = child_that_exits(10, 0);
  printf("%s\n", error_name((int)as_number(finish(start(wait_ignored, as_pointer(child))))));
  CHECK(kill(child, 0) == -1 && errno == ESRCH);
}

static const struct twin_case cases[] = {
    {"each_its_own", THREADS, each_its_own},
    {"wait_family", THREADS, wait_family},
    {"waitid_family", THREADS, waitid_family},
    {"stopped_continued_killed", THREADS, stopped_continued_killed},
    {"several_wait_for_all", THREADS, several_wait_for_all},
    {"many_groups", THREADS, many_groups},
    {"child_of_another_thread", THREADS, child_of_another_thread},
    {"ignored_children", THREADS, ignored_children},
};

TWIN_MAIN(cases)
