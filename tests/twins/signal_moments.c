// Signals of synchronous kinds (SIGSEGV, SIGSYS, SIGBUS) that somebody sends, at any moment; and
// masks that a handler leaves behind; and handlers in the middle of a lock that inherits
// priorities.
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "handlers.h"

static _Atomic int stopped;

static int is_pending(int number) {
  sigset_t set;
  MUST(sigpending(&set) == 0);
  return sigismember(&set, number);
}

static void* nap_until_stopped(void* argument) {
  while (!stopped) nap(1);
  return argument;
}

static void keep_and_take(int number) {
  install(number, note_hit, 0);
  CHECK(kill(getpid(), number) == 0);
  CHECK(kill(getpid(), number) == 0);
  nap(10);
  printf("pending %d, handled %d, ", is_pending(number), hits);
  unblock(number);
  printf("after %d, here %d\n", hits, hit_here());
  block(number);
  CHECK(kill(getpid(), number) == 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  siginfo_t info;
  const int got = sigwaitinfo(&set, &info);
  printf("waited %d, from us %d, by kill %d\n", got == number, info.si_pid == getpid(),
         info.si_code == SI_USER);
}

static void* keep_and_take_all(void* argument) {
  keep_and_take(SIGSEGV);
  keep_and_take(SIGSYS);
  keep_and_take(SIGBUS);
  return argument;
}

// All threads block them.
static void blocked_are_kept(void) {
  block(SIGSEGV);
  block(SIGSYS);
  block(SIGBUS);
  stopped = 0;
  pthread_t other = start(nap_until_stopped, NULL);
  keep_and_take_all(NULL);
  finish(start(keep_and_take_all, NULL));
  stopped = 1;
  finish(other);
}

static void* wait_for_sigsys(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSYS);
  int got = 0;
  CHECK(sigwait(&set, &got) == 0);
  printf("waited %d\n", got == SIGSYS);
  return argument;
}

static void awaited_is_told(void) {
  block(SIGSYS);
  pthread_t waiter = start(wait_for_sigsys, NULL);
  nap(10);
  CHECK(kill(getpid(), SIGSYS) == 0);
  finish(waiter);
  unblock(SIGSYS);
}

// Nobody lets them in, so they wait, wherever the kernel finds room for them, though nobody handles
// them either.
static void* send_and_take(void* number) {
  const int signal = (int)as_number(number);
  const struct timespec long_enough = {60, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  for (int i = 0; i < 100; ++i) {
    CHECK(kill(getpid(), signal) == 0);
    nap(i % 2);
    CHECK(sigtimedwait(&set, NULL, &long_enough) == signal);
  }
  return number;
}

static void blocked_by_all_wait(void) {
  block(SIGSYS);
  block(SIGSEGV);
  pthread_t one = start(send_and_take, as_pointer(SIGSYS));
  pthread_t other = start(send_and_take, as_pointer(SIGSEGV));
  finish(one);
  finish(other);
  printf("taken\n");
}

// Those who compute let no signal in, and the one who does waits for them.
static _Atomic int in_time;

static void* compute_until_handled(void* argument) {
  sigset_t all;
  sigfillset(&all);
  MUST(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
  for (const long long end = now_ms() + 20000; !hits && now_ms() < end;) {
  }
  if (hits) ++in_time;
  return argument;
}

static void be_handled_beside(int computing) {
  install(SIGUSR1, note_hit, SA_RESTART);
  hits = in_time = 0;
  const pid_t parent = getpid();
  pthread_t busy[2];
  for (int i = 0; i < computing; ++i) busy[i] = start(compute_until_handled, NULL);
  const pid_t sender = fork();
  MUST(sender >= 0);
  if (sender == 0) {
    usleep(100000);
    kill(parent, SIGUSR1);
    _exit(0);
  }
  for (int i = 0; i < computing; ++i) finish(busy[i]);
  printf("handled %d, here %d, in time for %d\n", hits, hit_here(), in_time);
  MUST(waitpid(sender, NULL, 0) == sender);
}

static void handled_beside_computing(void) {
  for (int i = 1; i <= 2; ++i) be_handled_beside(i);
}

static void* unblock_here(void* number) {
  unblock((int)as_number(number));
  return NULL;
}

static void die_late(void) {
  install(SIGSYS, SIG_DFL, 0);
  block(SIGSYS);
  had_a_thread();
  CHECK(kill(getpid(), SIGSYS) == 0);
  nap(10);
  printf("lives\n");
  finish(start(unblock_here, as_pointer(SIGSYS)));
}

static void* send_to_itself(void* number) {
  install((int)as_number(number), note_hit, 0);
  CHECK(pthread_kill(pthread_self(), (int)as_number(number)) == 0);
  printf("handled %d, here %d\n", hits, hit_here());
  install((int)as_number(number), SIG_DFL, 0);
  pthread_kill(pthread_self(), (int)as_number(number));
  return NULL;
}

static void die_at_once(void) { finish(start(send_to_itself, as_pointer(SIGSYS))); }
static void die_of_fault(void) { finish(start(send_to_itself, as_pointer(SIGSEGV))); }

static void defaults_kill(void) {
  in_child(die_late);
  in_child(die_at_once);
  in_child(die_of_fault);
}

static _Atomic long all_hits;

static void count_hit(int number) {
  (void)number;
  ++all_hits;
}

static void* pass_bytes(void* argument) {
  int ends[2];
  char byte = 'x';
  MUST(pipe(ends) == 0);
  sigset_t usr1, before;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  while (!stopped) {
    CHECK(write(ends[1], &byte, 1) == 1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr1, &before) == 0);
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    sched_yield();
  }
  close(ends[0]);
  close(ends[1]);
  return argument;
}

static void storm_of_faults(void) {
  static const int kinds[] = {SIGSEGV, SIGSYS, SIGBUS, SIGUSR1, SIGFPE};
  enum { kKinds = sizeof kinds / sizeof *kinds, kThreads = 3 };
  pthread_t threads[kThreads];
  for (int i = 0; i < kKinds; ++i) install(kinds[i], count_hit, SA_RESTART);
  stopped = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start(pass_bytes, NULL);
  for (int i = 0; i < 2000; ++i) {
    CHECK(kill(getpid(), kinds[i % kKinds]) == 0);
    if (i % 3 == 0) CHECK(pthread_kill(threads[i % kThreads], kinds[(i + 1) % kKinds]) == 0);
    if (i % 20 == 0) sched_yield();
  }
  stopped = 1;
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  printf("handled some: %d\n", all_hits > 0);
}

static void* page;

static void open_page_and_block_all(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)info;
  MUST(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
  sigfillset(&((ucontext_t*)context)->uc_sigmask);
  ++hits;
}

static void* fault_and_go_on(void* argument) {
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(page != MAP_FAILED);
  *(volatile char*)page = 1;
  sigset_t mask;
  for (int i = 0; i < 20; ++i) nap(1);
  MUST(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
  printf("handled %d, blocked %d %d %d\n", hits, sigismember(&mask, SIGSEGV),
         sigismember(&mask, SIGSYS), sigismember(&mask, SIGUSR1));
  munmap(page, 4096);
  return argument;
}

static void mask_of_all_stays(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = open_page_and_block_all;
  action.sa_flags = SA_SIGINFO;
  hits = 0;
  MUST(sigaction(SIGSEGV, &action, NULL) == 0);
  finish(start(fault_and_go_on, NULL));
}

static void fault_again(int number) {
  (void)number;
  printf("handler\n");
  *(volatile char*)page = 1;
}

static void* fault_in_handler(void* argument) {
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(page != MAP_FAILED);
  *(volatile char*)page = 1;
  return argument;
}

static void fault_twice(void) {
  install(SIGSEGV, fault_again, 0);
  finish(start(fault_in_handler, NULL));
}

// The kernel kills for a fault that the thread blocks.
static void blocked_fault_kills(void) { in_child(fault_twice); }

static _Atomic long long hit_at_us;

static void note_moment(int number) {
  hit_at_us = clock_us(CLOCK_MONOTONIC);
  note_hit(number);
}

static pthread_mutex_t inheriting;
static _Atomic int is_held, has_broken_in;

static void* lock_inheriting(void* argument) {
  CHECK(pthread_mutex_lock(&inheriting) == 0);
  if (is_held) has_broken_in = 1;
  CHECK(pthread_mutex_unlock(&inheriting) == 0);
  return argument;
}

// Those that inherit priorities are waited for by a call of their own, which no handler ends.
static void handlers_let_nobody_in(int is_shared) {
  pthread_mutexattr_t attributes;
  MUST(pthread_mutexattr_init(&attributes) == 0);
  MUST(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
  MUST(pthread_mutexattr_setpshared(&attributes, is_shared) == 0);
  MUST(pthread_mutex_init(&inheriting, &attributes) == 0);
  install(SIGUSR1, note_moment, 0);
  MUST(pthread_mutex_lock(&inheriting) == 0);
  is_held = 1;
  pthread_t waiter = start(lock_inheriting, NULL);
  nap(20);
  // Also where a round of ten milliseconds ends, if the wait is made of such.
  for (int i = 0; i < 80; ++i) {
    const int before = hits;
    CHECK(pthread_kill(waiter, SIGUSR1) == 0);
    while (hits == before) sched_yield();
    const long long until = hit_at_us + 9900 + i * 10 % 400;
    const struct timespec at = {until / 1000000, until % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
  }
  is_held = 0;
  MUST(pthread_mutex_unlock(&inheriting) == 0);
  finish(waiter);
  printf("handled %d, broken in %d\n", hits, has_broken_in);
}

// What a signal needs to be queued, the process is not given any more: those below SIGRTMIN come
// all the same.
static void handlers_need_no_queue(void) {
  struct rlimit before;
  MUST(getrlimit(RLIMIT_SIGPENDING, &before) == 0);
  const struct rlimit none = {0, before.rlim_max};
  MUST(setrlimit(RLIMIT_SIGPENDING, &none) == 0);
  handlers_let_nobody_in(PTHREAD_PROCESS_PRIVATE);
  handlers_let_nobody_in(PTHREAD_PROCESS_SHARED);
  MUST(setrlimit(RLIMIT_SIGPENDING, &before) == 0);
}

static void locking_outlives_handlers(void) { handlers_let_nobody_in(PTHREAD_PROCESS_PRIVATE); }
static void shared_locking_outlives_handlers(void) {
  handlers_let_nobody_in(PTHREAD_PROCESS_SHARED);
}

static const struct twin_case cases[] = {
    {"blocked_are_kept", THREADS, blocked_are_kept},
    {"awaited_is_told", THREADS, awaited_is_told},
    {"blocked_by_all_wait", THREADS, blocked_by_all_wait},
    {"handled_beside_computing", THREADS, handled_beside_computing},
    {"defaults_kill", THREADS, defaults_kill},
    {"storm_of_faults", THREADS, storm_of_faults},
    {"mask_of_all_stays", THREADS, mask_of_all_stays},
    {"blocked_fault_kills", THREADS, blocked_fault_kills},
    {"locking_outlives_handlers", THREADS, locking_outlives_handlers},
    {"shared_locking_outlives_handlers", THREADS, shared_locking_outlives_handlers},
    {"handlers_need_no_queue", THREADS, handlers_need_no_queue},
};

TWIN_MAIN(cases)
