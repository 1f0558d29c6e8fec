// Threads that begin in a library (RAMIE_NATIVE names it) beside those of the program.
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "native_library_part.h"
#include "twin.h"

static int has_kernel_thread(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%ld", syscall(SYS_gettid));
  return access(path, F_OK) == 0;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

// Two sides take turns, each waiting for the other.
static void take_turns(int side) {
  for (int i = 0; i < 50; ++i) {
    MUST(pthread_mutex_lock(&mutex) == 0);
    while (turn % 2 != side) MUST(pthread_cond_wait(&changed, &mutex) == 0);
    ++turn;
    MUST(pthread_cond_broadcast(&changed) == 0);
    MUST(pthread_mutex_unlock(&mutex) == 0);
  }
}

static void* take_odd_turns(void* argument) {
  take_turns(1);
  return argument;
}

static void say_whose(void) {
  printf("a kernel thread of its own: %d\n", has_kernel_thread());
  take_turns(0);
}

static void beside_others(void) {
  turn = 0;
  const pthread_t other = start(take_odd_turns, NULL);
  const pthread_t native = start_in_library(say_whose);
  printf("joined: %ld\n", as_number(finish(native)));
  finish(other);
  printf("turns %d\n", turn);
}

static void exit_early(void) { pthread_exit(as_pointer(7)); }

static void say_child(void) { printf("a kernel thread of its own: %d\n", has_kernel_thread()); }

static void start_another(void) {
  printf("joined there: %ld\n", as_number(finish(start_in_library(say_child))));
}

static void* nap_a_moment(void* argument) {
  nap(30);
  return argument;
}

static pthread_t awaited;

static void join_one_of_the_program(void) {
  printf("joined there: %ld\n", as_number(finish(awaited)));
}

static void ends(void) {
  printf("exit: %ld\n", as_number(finish(start_in_library(exit_early))));
  finish(start_in_library(start_another));
  awaited = start(nap_a_moment, as_pointer(5));
  finish(start_in_library(join_one_of_the_program));
  // Memory that a native thread has had is then one of the program's, and the other way round.
  for (int i = 0; i < 50; ++i) {
    finish(start_in_library(exit_early));
    finish(start(nap_a_moment, NULL));
    if (i == 3) printf("and again\n");
  }
}

static _Atomic int hits;

static void note_hit(int number) {
  (void)number;
  ++hits;
}

static _Atomic int is_ready;

static void wait_for_hit(void) {
  is_ready = 1;
  while (!hits) nap(1);
}

static void signalled(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_hit;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  finish(start(nap_a_moment, NULL));
  const pthread_t native = start_in_library(wait_for_hit);
  while (!is_ready) nap(1);
  nap(10);
  MUST(pthread_kill(native, SIGUSR1) == 0);
  finish(native);
  printf("hits %d\n", hits);
}

static pthread_t first;
static _Atomic int hits_elsewhere;

static void note_whose_hit(int number) {
  (void)number;
  ++hits;
  hits_elsewhere += !pthread_equal(pthread_self(), first);
}

static void signal_the_first(void) {
  for (int i = 1; i <= 20; ++i) {
    CHECK(pthread_kill(first, SIGUSR2) == 0);
    while (hits < i) nap(1);
  }
}

static volatile int stops;

static void* compute(void* argument) {
  while (!stops) {
  }
  return argument;
}

// Whatever runs where the first thread has run last.
static void first_signalled(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_whose_hit;
  action.sa_flags = SA_RESTART;
  MUST(sigaction(SIGUSR2, &action, NULL) == 0);
  first = pthread_self();
  const pthread_t others[] = {start(compute, NULL), start(compute, NULL)};
  finish(start_in_library(signal_the_first));
  stops = 1;
  for (int i = 0; i < 2; ++i) finish(others[i]);
  printf("hits %d, elsewhere %d\n", hits, hits_elsewhere);
}

// The kernel's answer for this very thread; libc would only remember.
static long user(void) { return syscall(SYS_geteuid); }

enum { kNobody = 65534, kWatchers = 4 };
static _Atomic int is_wanted;
static _Atomic int has_looked;
static _Atomic int wrong;
static _Atomic long wanted;

// Each time that somebody asks, whose rights this thread has.
static void watch_user(void) {
  for (int round = 1; round <= 2; ++round) {
    while (is_wanted < round) nap(1);
    const long long end = now_ms() + 20;
    do {
      wrong += user() != wanted;
    } while (now_ms() < end);
    ++has_looked;
    while (is_wanted == round) nap(1);
  }
}

static void* watch_user_hosted(void* argument) {
  watch_user();
  return argument;
}

// glibc's seteuid changes it for all threads, whoever calls.
static void change_user(void) {
  wanted = geteuid() == 0 ? kNobody : geteuid();
  CHECK(seteuid((uid_t)wanted) == 0);
  ++is_wanted;
  while (has_looked < (kWatchers + 1) * is_wanted) nap(1);
  CHECK(seteuid(getuid()) == 0);
}

static void* change_user_hosted(void* argument) {
  change_user();
  ++is_wanted;
  return argument;
}

static void credentials(void) {
  pthread_t watchers[kWatchers + 1];
  for (int i = 0; i < kWatchers; ++i) watchers[i] = start(watch_user_hosted, NULL);
  watchers[kWatchers] = start_in_library(watch_user);
  finish(start_in_library(change_user));
  printf("wrong %d\n", wrong);
  finish(start(change_user_hosted, NULL));
  for (int i = 0; i <= kWatchers; ++i) finish(watchers[i]);
  printf("wrong %d, back %d\n", wrong, user() == getuid());
}

static timer_t timer;
static clockid_t hosted_clock;

static void* be_timed(void* clock) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGUSR2;
  event._sigev_un._tid = (int)syscall(SYS_gettid);
  first = pthread_self();
  MUST(timer_create((clockid_t)as_number(clock), &event, &timer) == 0);
  MUST(pthread_getcpuclockid(pthread_self(), &hosted_clock) == 0);
  is_ready = 1;
  while (!stops) {
  }
  return NULL;
}

// On timers of hosted threads, and on their clocks.
static void use_timer(void) {
  const struct itimerspec when = {{0, 5000000}, {0, 5000000}}, none = {{0, 0}, {0, 0}};
  struct itimerspec left;
  MUST(timer_settime(timer, 0, &when, NULL) == 0);
  while (hits < 3) nap(1);
  MUST(timer_gettime(timer, &left) == 0);
  printf("interval %ld\n", left.it_interval.tv_nsec);
  const long long before = clock_ms(hosted_clock);
  while (clock_ms(hosted_clock) < before + 5) nap(1);
  CHECK(timer_settime(timer, 0, &none, NULL) == 0);
  CHECK(timer_getoverrun(timer) >= 0 && timer_delete(timer) == 0);
}

static void timers(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_whose_hit;
  MUST(sigaction(SIGUSR2, &action, NULL) == 0);
  const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID};
  for (int i = 0; i < 2; ++i) {
    hits = is_ready = stops = 0;
    const pthread_t hosted = start(be_timed, as_pointer(clocks[i]));
    while (!is_ready) nap(1);
    finish(start_in_library(use_timer));
    stops = 1;
    finish(hosted);
    printf("hits %d, elsewhere %d\n", hits >= 3, hits_elsewhere);
  }
}

static pthread_mutex_t robust;

static void* hold_lock(void* argument) {
  MUST(pthread_mutex_lock(&robust) == 0);
  is_ready = 1;
  while (!stops) nap(1);
  CHECK(pthread_mutex_unlock(&robust) == 0);
  return argument;
}

// The child borrows this memory, and ends before it is another program.
static void start_nothing(void) {
  char* const arguments[] = {"nothing", NULL};
  pid_t child = -1;
  printf("started: %s\n",
         error_name(posix_spawn(&child, "/nonexistent", NULL, NULL, arguments, arguments)));
  child = vfork();
  if (child == 0) _exit(5);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  printf("ended with %d\n", WEXITSTATUS(status));
}

// Its end is not the end of this process, of whose locks it knows.
static void ends_of_borrowers(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  MUST(pthread_mutex_init(&robust, &attributes) == 0);
  is_ready = stops = 0;
  const pthread_t holder = start(hold_lock, NULL);
  while (!is_ready) nap(1);
  finish(start_in_library(start_nothing));
  printf("lock: %s\n", error_name(pthread_mutex_trylock(&robust)));
  stops = 1;
  finish(holder);
  printf("lock: %s\n", error_name(pthread_mutex_trylock(&robust)));
}

static void* return_at_once(void* argument) { return argument; }

static _Atomic int has_forked;

// Takes and gives back all that a child needs as well.
static void* churn(void* argument) {
  while (!has_forked) {
    finish(start(return_at_once, NULL));
    close(dup(0));
    munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
  }
  return argument;
}

static void go_on_alone(void) {
  alarm(20);  // only where it would never end
  close(dup(0));
  munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
  turn = 0;
  const pthread_t other = start(take_odd_turns, NULL);
  const pthread_t native = start_in_library(exit_early);
  take_turns(0);
  finish(other);
  _exit(as_number(finish(native)) == 7 && turn == 100 ? 5 : 6);
}

static void fork_often(void) {
  int good = 0;
  for (int i = 0; i < 40; ++i) {
    const pid_t child = fork();
    if (child == 0) go_on_alone();
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    good += WIFEXITED(status) && WEXITSTATUS(status) == 5;
  }
  has_forked = 1;
  printf("good %d\n", good);
}

// In the middle of whatever the others do.
static void forks(void) {
  const pthread_t others[] = {start(churn, NULL), start(churn, NULL)};
  finish(start_in_library(fork_often));
  for (int i = 0; i < 2; ++i) finish(others[i]);
}

static void outlive_the_first(void) {
  nap(50);
  printf("the last one\n");
}

// The process ends with its last thread, whosever it is.
static void last_to_end(void) {
  finish(start(nap_a_moment, NULL));
  start_in_library(outlive_the_first);
  pthread_exit(NULL);
}

static const struct twin_case cases[] = {
    {"beside_others", THREADS, beside_others},
    {"ends", THREADS, ends},
    {"signalled", THREADS, signalled},
    {"first_signalled", THREADS, first_signalled},
    {"credentials", THREADS, credentials},
    {"forks", THREADS, forks},
    {"last_to_end", THREADS, last_to_end},
    {"ends_of_borrowers", THREADS, ends_of_borrowers},
    {"timers", THREADS, timers},
};

TWIN_MAIN(cases)
