// Signals that carry values to one thread: their order, who gets them and when, and how many there
// may be.
#include <poll.h>
#include <semaphore.h>
#include <sys/resource.h>

#include "handlers.h"

enum { kMost = 64 };

static _Atomic int noted, stopped, ready;
static int values[kMost], numbers[kMost], codes[kMost];
static int foreign;

static void note_value(int number, siginfo_t* info, void* context) {
  (void)context;
  const int i = noted;
  if (i < kMost) {
    values[i] = info->si_value.sival_int;
    numbers[i] = number - SIGRTMIN;
    codes[i] = info->si_code;
  }
  if (info->si_pid != getpid() || info->si_uid != getuid()) ++foreign;
  hit_thread = pthread_self();
  ++hits;
  ++noted;
}

static void install_noting(int number) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note_value;
  action.sa_flags = SA_SIGINFO;
  sigfillset(&action.sa_mask);
  MUST(sigaction(number, &action, NULL) == 0);
  hits = 0;
  noted = 0;
}

static void say_noted(void) {
  for (int i = 0; i < noted && i < kMost; ++i) {
    printf("%d: value %d, queued %d\n", numbers[i], values[i], codes[i] == SI_QUEUE);
  }
  printf("here %d, foreign %d\n", hit_here(), foreign);
}

static void send_value(pthread_t thread, int number, int value) {
  const union sigval with = {.sival_int = value};
  CHECK(pthread_sigqueue(thread, SIGRTMIN + number, with) == 0);
}

static void send_some(pthread_t thread) {
  send_value(thread, 2, 20);
  send_value(thread, 1, 10);
  send_value(thread, 2, 21);
  send_value(thread, 1, 11);
  send_value(thread, 2, 22);
}

static void* unblock_when_told(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  sigaddset(&set, SIGRTMIN + 2);
  ready = 1;
  while (!stopped) nap(1);
  sigset_t pending;
  MUST(sigpending(&pending) == 0);
  printf("pending %d %d\n", sigismember(&pending, SIGRTMIN + 1),
         sigismember(&pending, SIGRTMIN + 2));
  MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
  say_noted();
  return argument;
}

static void block_both(void) {
  block(SIGRTMIN + 1);
  block(SIGRTMIN + 2);
}

static void queue_in_order(void) {
  install_noting(SIGRTMIN + 1);
  install_noting(SIGRTMIN + 2);
  block_both();
  pthread_t thread = start(unblock_when_told, NULL);
  send_some(thread);
  stopped = 1;
  finish(thread);
  stopped = 0;
}

static void* wait_for_values(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  sigaddset(&set, SIGRTMIN + 2);
  for (int i = 0; i < 5; ++i) {
    siginfo_t info;
    const int got = sigwaitinfo(&set, &info);
    printf("%d: value %d, queued %d, from us %d\n", got - SIGRTMIN, info.si_value.sival_int,
           info.si_code == SI_QUEUE, info.si_pid == getpid());
    ++ready;
  }
  const struct timespec none = {0, 0};
  printf("then %s\n", said(sigtimedwait(&set, NULL, &none)));
  return argument;
}

// The waiter has each before the next is sent.
static void waited_for(void) {
  block_both();
  ready = 0;
  pthread_t thread = start(wait_for_values, NULL);
  nap(5);
  for (int i = 0; i < 5; ++i) {
    send_value(thread, 1 + i % 2, 10 + i);
    while (ready != i + 1) nap(1);
  }
  finish(thread);
}

static void* spin_for_values(void* argument) {
  ready = 1;
  while (noted < 40) {
  }
  CHECK(hit_here());
  return argument;
}

static void* pause_for_values(void* argument) {
  ready = 1;
  while (noted < 40) nap(1);
  CHECK(hit_here());
  return argument;
}

static void send_to(void* (*body)(void*)) {
  install_noting(SIGRTMIN + 3);
  ready = 0;
  pthread_t thread = start(body, NULL);
  while (!ready) nap(1);
  for (int i = 0; i < 40; ++i) send_value(thread, 3, i);
  finish(thread);
  int wrong = 0;
  for (int i = 0; i < 40; ++i) wrong += values[i] != i;
  printf("handled %d, out of order %d, foreign %d\n", noted, wrong, foreign);
}

static void none_is_lost(void) {
  send_to(spin_for_values);
  send_to(pause_for_values);
}

static void* standard_value(void* argument) {
  install_noting(SIGUSR1);
  block(SIGUSR1);
  const union sigval one = {.sival_int = 1}, two = {.sival_int = 2};
  CHECK(pthread_sigqueue(pthread_self(), SIGUSR1, one) == 0);
  CHECK(pthread_sigqueue(pthread_self(), SIGUSR1, two) == 0);
  unblock(SIGUSR1);
  printf("handled %d, first value %d, here %d\n", noted, values[0], hit_here());
  printf("no such signal: %s\n", error_name(pthread_sigqueue(pthread_self(), 65, one)));
  printf("nothing sent: %s\n", error_name(pthread_sigqueue(pthread_self(), 0, one)));
  return argument;
}

static void standard_signals(void) { finish(start(standard_value, NULL)); }

static void* fill_queue(void* argument) {
  block(SIGRTMIN + 1);
  const struct rlimit few = {50, 50};
  MUST(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
  const union sigval value = {.sival_int = 0};
  int error = 0;
  for (int i = 0; i < 60 && error == 0; ++i) {
    error = pthread_sigqueue(pthread_self(), SIGRTMIN + 1, value);
  }
  printf("in the end: %s\n", error_name(error));
  return argument;
}

static void fill_in_child(void) { finish(start(fill_queue, NULL)); }

static void queue_is_bounded(void) { in_child(fill_in_child); }

static void* nap_until_stopped(void* argument) {
  while (!stopped) nap(1);
  return argument;
}

static void* send_to_process(void* argument) {
  for (int i = 0; i < 100; ++i) {
    hits = 0;
    unblock(SIGUSR1);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(hits == 1 && hit_here());
    CHECK(raise(SIGUSR1) == 0);
    CHECK(hits == 2 && hit_here());
    const union sigval value = {.sival_int = i};
    CHECK(sigqueue(getpid(), SIGUSR1, value) == 0);
    CHECK(hits == 3 && hit_here());
    block(SIGUSR1);
    sched_yield();
  }
  return argument;
}

// Who alone lets it in has handled it when the call returns.
static void handled_before_return(void) {
  install(SIGUSR1, note_hit, 0);
  block(SIGUSR1);
  stopped = 0;
  pthread_t others[4];
  for (int i = 0; i < 4; ++i) others[i] = start(nap_until_stopped, NULL);
  send_to_process(NULL);
  finish(start(send_to_process, NULL));
  stopped = 1;
  for (int i = 0; i < 4; ++i) finish(others[i]);
  printf("done\n");
}

static void* nap_often(void* argument) {
  while (!stopped) nanosleep(&(struct timespec){0, 1000}, NULL);
  return argument;
}

// What is pending and let in at last, but has no handler, ends no wait; what has one does.
static void only_handlers_end_waits(void) {
  stopped = 0;
  const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  for (int i = 0; i < 4; ++i) sigaddset(&set, ignored[i]);
  sigaddset(&set, SIGUSR1);
  install(SIGUSR1, note_hit, 0);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  pthread_t napping = start(nap_often, NULL);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 4; ++i) kill(getpid(), ignored[i]);
    const struct timespec a_little = {0, 2000000}, at_once = {0, 0};
    CHECK(ppoll(NULL, 0, &a_little, &none) == 0);
    const int before = hits;
    kill(getpid(), SIGUSR1);
    if (round % 2 == 0) {
      CHECK(ppoll(NULL, 0, &at_once, &none) == -1 && errno == EINTR);
    } else {
      CHECK(sigsuspend(&none) == -1 && errno == EINTR);
    }
    CHECK(hits == before + 1);
  }
  stopped = 1;
  finish(napping);
}

// Sleepers that let in the first so many of several signals for the process.
enum { kSleepers = 8, kSent = 4000, kAtATime = 4 };
static sem_t may_be_sent, may_end;

static void note_arrival(int number) {
  (void)number;
  ++noted;
  sem_post(&may_be_sent);
}

static void* let_some_in(void* how_many) {
  for (int i = 0; i < as_number(how_many); ++i) unblock(SIGRTMIN + i);
  while (sem_wait(&may_end) != 0) {
  }
  return NULL;
}

static void every_one_finds_a_sleeper(void) {
  struct sigaction action = {.sa_handler = note_arrival};
  sigfillset(&action.sa_mask);
  for (int i = 0; i < kSleepers; ++i) {
    block(SIGRTMIN + i);
    MUST(sigaction(SIGRTMIN + i, &action, NULL) == 0);
  }
  noted = 0;
  MUST(sem_init(&may_be_sent, 0, kAtATime) == 0 && sem_init(&may_end, 0, 0) == 0);
  pthread_t sleepers[kSleepers];
  for (int i = 0; i < kSleepers; ++i) sleepers[i] = start(let_some_in, as_pointer(i + 1));
  for (int i = 0; i < kSent + kAtATime; ++i) {
    const struct timespec end = after_ms(CLOCK_REALTIME, 30000);
    MUST(sem_timedwait(&may_be_sent, &end) == 0);
    if (i < kSent) CHECK(kill(getpid(), SIGRTMIN + i * 5 % kSleepers) == 0);
  }
  for (int i = 0; i < kSleepers; ++i) sem_post(&may_end);
  for (int i = 0; i < kSleepers; ++i) finish(sleepers[i]);
  printf("handled %d\n", noted);
}

static const struct twin_case cases[] = {
    {"only_handlers_end_waits", THREADS, only_handlers_end_waits},
    {"queue_in_order", THREADS, queue_in_order},
    {"waited_for", THREADS, waited_for},
    {"none_is_lost", THREADS, none_is_lost},
    {"every_one_finds_a_sleeper", THREADS, every_one_finds_a_sleeper},
    {"standard_signals", THREADS, standard_signals},
    {"queue_is_bounded", THREADS, queue_is_bounded},
    {"handled_before_return", THREADS, handled_before_return},
};

TWIN_MAIN(cases)
