// Signals in a program with threads: whom they reach, and what becomes of the call that they meet.
#include <signal.h>
#include <sys/time.h>

#include "twin.h"

static int ends[2];
static volatile sig_atomic_t handled;
static pthread_t handled_by;

static void note_signal(int number) {
  handled = number;
  handled_by = pthread_self();
}

static void install(int number, int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_signal;
  action.sa_flags = flags;
  handled = 0;
  MUST(sigaction(number, &action, NULL) == 0);
}

static void* sleep_for_ever(void* argument) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  for (;;) sleep(1000);
  return argument;
}

static int waiting, answered;

// What the call answered, or its error as a negative number.
static void* read_byte(void* argument) {
  char byte = 0;
  __atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
  const ssize_t got = read(ends[0], &byte, 1);
  const int error = got < 0 ? errno : 0;
  __atomic_store_n(&answered, 1, __ATOMIC_SEQ_CST);
  CHECK(handled == 0 || pthread_equal(handled_by, pthread_self()));
  (void)argument;
  return as_pointer(got < 0 ? -error : got);
}

static void wait_until_waiting(void) {
  while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST)) nap(1);
  nap(5);
}

static void sent_to_thread(void) {
  MUST(pipe(ends) == 0);
  install(SIGUSR1, 0);
  pthread_t reader = start(read_byte, NULL);
  wait_until_waiting();
  // Again and again, for one that comes before the call interrupts nothing.
  while (!__atomic_load_n(&answered, __ATOMIC_SEQ_CST)) {
    CHECK(pthread_kill(reader, SIGUSR1) == 0);
    nap(5);
  }
  const long answer = as_number(finish(reader));
  printf("read: %s, handled %d\n", error_name((int)-answer), handled == SIGUSR1);
}

static void call_is_restarted(void) {
  MUST(pipe(ends) == 0);
  install(SIGUSR1, SA_RESTART);
  pthread_t reader = start(read_byte, NULL);
  wait_until_waiting();
  CHECK(pthread_kill(reader, SIGUSR1) == 0);
  while (!handled) nap(1);
  nap(5);
  CHECK(write(ends[1], "x", 1) == 1);
  printf("read: %ld, handled %d\n", as_number(finish(reader)), handled == SIGUSR1);
}

static void alarm_in_main(void) {
  pthread_detach(start(sleep_for_ever, NULL));
  install(SIGALRM, SA_RESTART);
  const struct itimerval soon = {{0, 0}, {0, 20000}};
  struct timespec span = {20, 0}, left = {0, 0};
  MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
  printf("nanosleep: %s, ", said(nanosleep(&span, &left)));
  printf("handled %d\n", handled == SIGALRM);
  CHECK(left.tv_sec >= 1 && left.tv_sec < 20);
  CHECK(pthread_equal(handled_by, pthread_self()));
}

static void* raise_it(void* argument) {
  CHECK(raise((int)as_number(argument)) == 0);
  CHECK(handled == (int)as_number(argument));
  CHECK(pthread_equal(handled_by, pthread_self()));
  return NULL;
}

static void raised_by_thread(void) {
  install(SIGUSR2, 0);
  finish(start(raise_it, as_pointer(SIGUSR2)));
  printf("handled %d\n", handled == SIGUSR2);
}

// Each thread has a mask of its own, inherited from its starter.
static void* look_at_mask(void* argument) {
  sigset_t mask;
  CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
  const int inherited = sigismember(&mask, SIGUSR1);
  sigaddset(&mask, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  nap(3);
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  CHECK(sigismember(&mask, SIGUSR2) == 1);
  (void)argument;
  return as_pointer(inherited);
}

static void masks(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  pthread_t plain = start(look_at_mask, NULL);
  nap(1);
  pthread_sigmask(SIG_BLOCK, &mask, NULL);
  pthread_t blocking = start(look_at_mask, NULL);
  printf("inherited %ld", as_number(finish(plain)));
  printf(" %ld\n", as_number(finish(blocking)));
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  printf("main: %d %d\n", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2));
}

static void* wait_for_signal(void* argument) {
  sigset_t set;
  int number = 0;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  CHECK(sigwait(&set, &number) == 0);
  const struct timespec limit = {0, 10000000};
  CHECK(sigtimedwait(&set, NULL, &limit) == -1 && errno == EAGAIN);
  (void)argument;
  return as_pointer(number);
}

static void* count_up(void* argument) {
  for (int i = 0; i < 10; ++i) {
    nap(1);
    ++*(int*)argument;
  }
  kill(getpid(), SIGTERM);
  return NULL;
}

static void waited_for(void) {
  sigset_t set;
  int count = 0;
  sigfillset(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  pthread_t waiter = start(wait_for_signal, NULL);
  finish(start(count_up, &count));
  printf("got %d after %d\n", as_number(finish(waiter)) == SIGTERM, count);
}

static const struct twin_case cases[] = {
    {"sent_to_thread", THREADS, sent_to_thread},
    {"call_is_restarted", THREADS, call_is_restarted},
    {"alarm_in_main", THREADS, alarm_in_main},
    {"raised_by_thread", THREADS, raised_by_thread},
    {"masks", THREADS, masks},
    {"waited_for", THREADS, waited_for},
};

TWIN_MAIN(cases)
