// Threads that wait beside others that compute: whatever lets them run soon, neither they nor their
// children see anything of it in what the kernel says about them.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "processors.h"

enum { COMPUTING = 2, STACK = 1 << 16 };

extern char** environ;

// The first form of struct sched_attr (man 2 sched_setattr); `runtime` is the slice since Linux
// 6.12, and 0 before.
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static uint64_t usual;
static int is_over;

static struct attributes of_thread(pid_t tid) {
  struct attributes found = {0};
  CHECK(syscall(SYS_sched_getattr, tid, &found, sizeof found, 0) == 0);
  return found;
}

static int is_usual(void) {
  const struct attributes found = of_thread(0);
  return found.policy == SCHED_OTHER && found.flags == 0 && found.runtime == usual;
}

static void* compute(void* argument) {
  while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
  }
  return argument;
}

static int exit_code_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, __WALL) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char usual_in_digits[32];
static char* const tell[] = {"slices", "tell", usual_in_digits, NULL};

// Waits until those that compute have been noticed, and longer.
static void wait_beside(void) {
  for (int i = 0; i < 60; ++i) nap(1);
}

static void* look(void* argument) {
  CHECK(is_usual());
  return argument;
}

static void* ask(void* argument) {
  struct timespec before, now;
  CHECK(sched_rr_get_interval(getpid(), &before) == 0);
  wait_beside();
  CHECK(is_usual());
  wait_beside();
  CHECK(sched_rr_get_interval(0, &now) == 0);
  CHECK(now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
  wait_beside();
  finish(start(look, NULL));
  return argument;
}

static void* make_fork(void* argument) {
  wait_beside();
  const pid_t child = fork();
  if (child == 0) _exit(is_usual() ? 7 : 8);
  CHECK(exit_code_of(child) == 7);
  return argument;
}

static void* make_vfork(void* argument) {
  wait_beside();
  const pid_t child = vfork();
  if (child == 0) {
    execve("/proc/self/exe", tell, environ);
    _exit(9);
  }
  CHECK(exit_code_of(child) == 7);
  return argument;
}

static void* spawn(void* argument) {
  wait_beside();
  pid_t child;
  CHECK(posix_spawn(&child, "/proc/self/exe", NULL, NULL, tell, environ) == 0);
  CHECK(exit_code_of(child) == 7);
  return argument;
}

static int look_in_child(void* argument) {
  struct attributes* const found = argument;
  return syscall(SYS_sched_getattr, 0, found, sizeof *found, 0) != 0;
}

static void* make_clone(void* argument) {
  static char stacks[2][STACK];
  static struct attributes found;
  wait_beside();
  pid_t child = clone(look_in_child, stacks[0] + STACK, CLONE_VM | SIGCHLD, &found);
  CHECK(exit_code_of(child) == 0);
  CHECK(found.runtime == usual && found.flags == 0);
  found.runtime = 0;
  wait_beside();
  child = clone(look_in_child, stacks[1] + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &found);
  CHECK(exit_code_of(child) == 0);
  CHECK(found.runtime == usual && found.flags == 0);
  return argument;
}

// A thread that gets a kernel thread of its own, and what that one says.
static void* choose_processor(void* argument) {
  wait_beside();
  const cpu_set_t set = only(processor(0));
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  wait_beside();
  CHECK(is_usual());
  return argument;
}

static void* become_nice(void* argument) {
  wait_beside();
  struct attributes wanted = {.size = sizeof wanted, .nice = 3, .runtime = 2000000};
  CHECK(syscall(SYS_sched_setattr, 0, &wanted, 0) == 0);
  wait_beside();
  const struct attributes found = of_thread(0);
  CHECK(found.nice == 3 && found.runtime == (usual != 0 ? 2000000 : 0));
  return argument;
}

static void beside(void* (*body)(void*), int with_first) {
  usual = of_thread(0).runtime;
  snprintf(usual_in_digits, sizeof usual_in_digits, "%llu", (unsigned long long)usual);
  is_over = 0;
  pthread_t computing[COMPUTING];
  for (int i = 0; i < COMPUTING; ++i) computing[i] = start(compute, NULL);
  finish(start(body, NULL));
  if (with_first) (void)body(NULL);
  __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < COMPUTING; ++i) finish(computing[i]);
  printf("done\n");
}

static void asked(void) { beside(ask, 1); }
static void forked(void) { beside(make_fork, 1); }
static void vforked(void) { beside(make_vfork, 1); }
static void spawned(void) { beside(spawn, 1); }
static void cloned(void) { beside(make_clone, 1); }
static void bound(void) { beside(choose_processor, 0); }
static void chosen(void) { beside(become_nice, 0); }

// The program itself, from a process that has threads.
static void executed(void) {
  usual = of_thread(0).runtime;
  snprintf(usual_in_digits, sizeof usual_in_digits, "%llu", (unsigned long long)usual);
  finish(start(look, NULL));
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < COMPUTING; ++i) start(compute, NULL);
    wait_beside();
    execve("/proc/self/exe", tell, environ);
    _exit(9);
  }
  printf("code %d\n", exit_code_of(child));
}

// A filter for this thread, or for all, under which these two calls have the result.
static int filter(unsigned flags, unsigned result) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getattr, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, result),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void* filter_all(void* argument) {
  wait_beside();
  CHECK(filter(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_ALLOW) == 0);
  for (int i = 0; i < 4; ++i) {
    wait_beside();
    const pid_t child = fork();
    if (child == 0) _exit(is_usual() ? 7 : 8);
    CHECK(exit_code_of(child) == 7);
  }
  return argument;
}

static void filtered(void) {
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  beside(filter_all, 0);
}

// One that is refused changes nothing.
static void* filter_nothing(void* argument) {
  wait_beside();
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL) == -1);
  wait_beside();
  CHECK(is_usual());
  return argument;
}
static void probed(void) { beside(filter_nothing, 1); }

static void* wait_without_asking(void* argument) {
  wait_beside();
  return argument;
}

static int compute_and_wait(void) {
  for (int i = 0; i < COMPUTING; ++i) start(compute, NULL);
  finish(start(wait_without_asking, NULL));
  return 7;
}

// The program itself, in which to ask is deadly.
static void forbidden(void) {
  const pid_t child = fork();
  if (child == 0) {
    char* const wait[] = {"slices", "wait", NULL};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter(0, SECCOMP_RET_KILL_PROCESS) == 0) {
      execve("/proc/self/exe", wait, environ);
    }
    _exit(9);
  }
  finish(start(wait_without_asking, NULL));
  printf("code %d\n", exit_code_of(child));
}

static const struct twin_case cases[] = {
    {"asked", THREADS, asked},         {"forked", THREADS, forked},
    {"vforked", THREADS, vforked},     {"spawned", THREADS, spawned},
    {"cloned", THREADS, cloned},       {"bound", THREADS, bound},
    {"chosen", THREADS, chosen},       {"executed", THREADS, executed},
    {"filtered", THREADS, filtered},   {"probed", THREADS, probed},
    {"forbidden", THREADS, forbidden},
};

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "tell") == 0) {
    usual = strtoull(argv[2], NULL, 10);
    return is_usual() ? 7 : 8;
  }
  if (argc == 2 && strcmp(argv[1], "wait") == 0) return compute_and_wait();
  return run_cases(cases, sizeof cases / sizeof cases[0], argc, argv);
}
