// Waiting for signals, and which thread gets one that not all of them let in.
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "handlers.h"

static _Atomic int received, answered;

static void* wait_for_term(void* argument) {
  sigset_t set;
  int number = 0;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  const int error = sigwait(&set, &number);
  printf("sigwait: %s, SIG%s\n", error_name(error), sigabbrev_np(number));
  return argument;
}

static pthread_t start_waiter(void) {
  block(SIGTERM);
  pthread_t waiter = start(wait_for_term, NULL);
  nap(10);
  return waiter;
}

static void ended_by_pthread_kill(void) {
  pthread_t waiter = start_waiter();
  CHECK(pthread_kill(waiter, SIGTERM) == 0);
  finish(waiter);
}

static void ended_by_kill(void) {
  pthread_t waiter = start_waiter();
  CHECK(kill(getpid(), SIGTERM) == 0);
  finish(waiter);
}

static void ended_by_cancel(void) {
  pthread_t waiter = start_waiter();
  CHECK(pthread_cancel(waiter) == 0);
  printf("cancelled %d\n", finish(waiter) == PTHREAD_CANCELED);
}

// setuid reaches every thread by a signal of glibc's own, which ends no wait.
static void outlives_setuid(void) {
  pthread_t waiter = start_waiter();
  printf("setuid: %s\n", said(setuid(getuid())));
  CHECK(kill(getpid(), SIGTERM) == 0);
  finish(waiter);
}

// Whose kernel thread does this run on?  Asked past libc, which would only remember.
static void* user_after_work(void* argument) {
  (void)argument;
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 60);
  return as_pointer(syscall(SYS_geteuid));
}

static void drop_and_work(void) {
  enum { kNobody = 65534, kWorkers = 5 };
  pthread_t workers[kWorkers];
  had_a_thread();
  const long wanted = setuid(kNobody) == 0 ? kNobody : getuid();
  for (int i = 0; i < kWorkers; ++i) workers[i] = start(user_after_work, NULL);
  int wrong = 0;
  for (int i = 0; i < kWorkers; ++i) wrong += as_number(finish(workers[i])) != wanted;
  exit(wrong);
}

// Threads that compute after setuid, on whatever kernel threads that takes.
static void credentials_of_all(void) {
  had_a_thread();
  in_child(drop_and_work);
}

static void* send_two(void* argument) {
  nap(10);
  kill(getpid(), SIGUSR1);
  while (hits == 0) nap(1);
  printf("handled %d\n", hits);
  kill(getpid(), SIGTERM);
  return argument;
}

// Only main lets SIGUSR1 in, and handles it in the middle of sigwait.
static void handlers_run_meanwhile(void) {
  install(SIGUSR1, note_hit, SA_RESTART);
  block(SIGTERM);
  block(SIGUSR1);
  pthread_t sender = start(send_two, NULL);
  unblock(SIGUSR1);
  wait_for_term(NULL);
  finish(sender);
  printf("handled here %d\n", hit_here());
}

static void* receive_four(void* argument) {
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  while (received < 4) {
    const int number = sigwaitinfo(&set, &info);
    printf("SIG%s, ours %d\n", sigabbrev_np(number),
           info.si_signo == number && info.si_pid == getpid() && info.si_uid == getuid());
    ++received;
  }
  const struct timespec limit = {0, 10000000};
  printf("then: %s\n", said(sigtimedwait(&set, &info, &limit)));
  return argument;
}

static void* count_ticks(void* argument) {
  for (long i = 1;; ++i) {
    nap(1);
    if (received == 4 && i >= 5) return argument;
  }
}

static void several_in_a_row(void) {
  received = 0;
  block(SIGTERM);
  block(SIGHUP);
  pthread_t receiver = start(receive_four, NULL);
  pthread_t ticker = start(count_ticks, NULL);
  for (int i = 0; i < 4; ++i) {
    const int number = i % 3 == 0 ? SIGTERM : SIGHUP;
    nap(5);
    CHECK((i % 2 == 0 ? kill(getpid(), number) : pthread_kill(receiver, number)) == 0);
    while (received == i) nap(1);
  }
  finish(receiver);
  finish(ticker);
}

static void already_there(void) {
  had_a_thread();
  block(SIGTERM);
  CHECK(kill(getpid(), SIGTERM) == 0);
  wait_for_term(NULL);
}

static void* wait_with_limit(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  const struct timespec soon = {0, 10000000}, late = {30, 0};
  printf("sigtimedwait: %s, ", said(sigtimedwait(&set, NULL, &soon)));
  unblock(SIGUSR1);
  printf("%s, ", said(sigtimedwait(&set, NULL, &late)));
  answered = 1;
  printf("handled here %d\n", hit_here());
  return argument;
}

static void interrupted_by_handler(void) {
  answered = 0;
  install(SIGUSR1, note_hit, SA_RESTART);
  block(SIGUSR1);
  block(SIGUSR2);
  pthread_t waiter = start(wait_with_limit, NULL);
  // Again and again, for one that comes between the two waits interrupts nothing.
  while (!answered) {
    CHECK(pthread_kill(waiter, SIGUSR1) == 0);
    nap(5);
  }
  finish(waiter);
}

static void* let_in_by_pause(void* argument) {
  unblock(SIGUSR1);
  const int result = pause();
  answered = 1;
  printf("pause: %s, ", said(result));
  block(SIGUSR1);
  printf("handled here %d\n", hit_here());
  return argument;
}

static void* let_in_by_suspend(void* argument) {
  sigset_t none;
  sigemptyset(&none);
  printf("sigsuspend: %s, ", said(sigsuspend(&none)));
  answered = 1;
  printf("handled here %d\n", hit_here());
  return argument;
}

static void* let_in_by_poll(void* argument) {
  sigset_t none;
  sigemptyset(&none);
  const struct timespec limit = {30, 0};
  printf("ppoll: %s, ", said(ppoll(NULL, 0, &limit, &none)));
  answered = 1;
  printf("handled here %d\n", hit_here());
  return argument;
}

static void* send_until_answered(void* argument) {
  while (!answered) {
    nap(10);
    kill(getpid(), SIGUSR1);
  }
  return argument;
}

static void let_in_by(void* (*body)(void*)) {
  answered = 0;
  install(SIGUSR1, note_hit, 0);
  block(SIGUSR1);
  pthread_t waiter = start(body, NULL);
  finish(start(send_until_answered, NULL));
  finish(waiter);
  signal(SIGUSR1, SIG_IGN);  // Drops what came late.
}

static void let_in_by_worker(void) {
  let_in_by(let_in_by_pause);
  let_in_by(let_in_by_suspend);
  let_in_by(let_in_by_poll);
}

static int is_pending(int number) {
  sigset_t pending;
  CHECK(sigpending(&pending) == 0);
  return sigismember(&pending, number);
}

static void* unblock_all(void* argument) {
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  nap(5);
  return argument;
}

// The default action would kill, but no thread lets it happen: neither while others run, nor when
// one that did has ended.
static void blocked_everywhere(void) {
  block(SIGTERM);
  pthread_t waiter = start(nap_a_little, NULL);
  CHECK(kill(getpid(), SIGTERM) == 0);
  finish(waiter);
  printf("pending %d\n", is_pending(SIGTERM));
  wait_for_term(NULL);
  finish(start(unblock_all, NULL));
  const pid_t child = fork();
  if (child == 0) _exit(kill(getppid(), SIGTERM) == 0 ? 0 : 1);
  say_end_of(child);
  nap(5);
  printf("pending %d\n", is_pending(SIGTERM));
  wait_for_term(NULL);
}

static pthread_t first;

static void* outlive_first(void* argument) {
  CHECK(pthread_join(first, NULL) == 0);
  kill(getpid(), SIGUSR1);
  while (hits == 0) nap(1);
  printf("handled %d, here %d\n", hits, hit_here());
  block(SIGUSR1);
  int ends[2];
  char byte;
  MUST(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    nap(5);
    kill(getppid(), SIGUSR1);
    nap(5);
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  printf("read: %s, ", said(read(ends[0], &byte, 1)));
  printf("handled %d, pending %d\n", hits, is_pending(SIGUSR1));
  say_end_of(child);
  unblock(SIGUSR1);
  printf("handled %d, pending %d\n", hits, is_pending(SIGUSR1));
  _exit(twin_failures ? 99 : 3);
  return argument;
}

static void end_first(void) {
  first = pthread_self();
  install(SIGUSR1, note_hit, 0);
  start(outlive_first, NULL);
  pthread_exit(NULL);
}

static void after_the_first_thread(void) { in_child(end_first); }

static void* block_and_kill(void* argument) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  CHECK(pthread_join(first, NULL) == 0);
  kill(getpid(), SIGUSR1);
  return argument;
}

static void end_before_signal(void) {
  first = pthread_self();
  signal(SIGUSR1, SIG_DFL);
  start(block_and_kill, NULL);
  pthread_exit(NULL);
}

// The last thread ends, and with it the signal that it blocked.
static void pending_at_the_end(void) { in_child(end_before_signal); }

static int locked_file, to_parent[2];

static void lock_for_ever(void) {
  char path[64];
  had_a_thread();
  snprintf(path, sizeof path, "/proc/self/fd/%d", locked_file);
  FILE* const again = fopen(path, "r+");
  MUST(again && write(to_parent[1], "x", 1) == 1);
  flock(fileno(again), LOCK_EX);
}

// A call that a helper thread makes does not keep the process alive.
static void killed_in_file_lock(void) {
  char byte;
  locked_file = memfd_create("lock", 0);
  MUST(locked_file >= 0 && pipe(to_parent) == 0);
  printf("flock: %s\n", said(flock(locked_file, LOCK_EX)));
  had_a_thread();
  const pid_t child = fork();
  if (child == 0) {
    lock_for_ever();
    printf("locked\n");
    _exit(1);
  }
  CHECK(read(to_parent[0], &byte, 1) == 1);
  nap(20);
  CHECK(kill(child, SIGTERM) == 0);
  say_end_of(child);
}

static const struct twin_case cases[] = {
    {"ended_by_pthread_kill", THREADS, ended_by_pthread_kill},
    {"ended_by_kill", THREADS, ended_by_kill},
    {"ended_by_cancel", THREADS, ended_by_cancel},
    {"outlives_setuid", THREADS, outlives_setuid},
    {"credentials_of_all", THREADS, credentials_of_all},
    {"handlers_run_meanwhile", THREADS, handlers_run_meanwhile},
    {"several_in_a_row", THREADS, several_in_a_row},
    {"already_there", THREADS, already_there},
    {"interrupted_by_handler", THREADS, interrupted_by_handler},
    {"let_in_by_worker", THREADS, let_in_by_worker},
    {"blocked_everywhere", THREADS, blocked_everywhere},
    {"after_the_first_thread", THREADS, after_the_first_thread},
    {"pending_at_the_end", THREADS, pending_at_the_end},
    {"killed_in_file_lock", THREADS, killed_in_file_lock},
};

TWIN_MAIN(cases)
