// Timers that start threads, and timers that signal one thread.
#define gettid_of_timer _sigev_un._tid
#include <sys/syscall.h>

#include "handlers.h"

static _Atomic int fired, wrong;

static void note_fire(union sigval value) {
  if (value.sival_int != 42) ++wrong;
  if (pthread_equal(pthread_self(), hit_thread)) ++wrong;
  ++fired;
}

static void set_timer(timer_t timer, int ms, int again_ms) {
  const struct itimerspec when = {{again_ms / 1000, (again_ms % 1000) * 1000000L},
                                  {ms / 1000, (ms % 1000) * 1000000L}};
  MUST(timer_settime(timer, 0, &when, NULL) == 0);
}

static timer_t make_thread_timer(void) {
  timer_t timer;
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_notify_function = note_fire;
  event.sigev_value.sival_int = 42;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  return timer;
}

static void* fire_thrice(void* argument) {
  hit_thread = pthread_self();
  fired = 0;
  timer_t timer = make_thread_timer();
  struct itimerspec left;
  set_timer(timer, 5, 5);
  MUST(timer_gettime(timer, &left) == 0);
  printf("interval %ld\n", left.it_interval.tv_nsec / 1000000);
  while (fired < 3) nap(1);
  CHECK(timer_delete(timer) == 0);
  printf("gone: %s\n", said(timer_gettime(timer, &left)));
  timer = make_thread_timer();
  fired = 0;
  set_timer(timer, 5, 0);
  while (fired < 1) nap(1);
  nap(10);
  printf("overrun %d, wrong %d\n", timer_getoverrun(timer), wrong);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void threads_started(void) {
  finish(start(fire_thrice, NULL));
  fire_thrice(NULL);
}

static void note_timer(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  if (info->si_code != SI_TIMER || info->si_value.sival_int != 7) ++wrong;
  hit_thread = pthread_self();
  ++hits;
}

// What tells the calling thread.
static struct sigevent signal_here(int signal, int value) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal;
  event.sigev_value.sival_int = value;
  event.gettid_of_timer = (int)syscall(SYS_gettid);
  return event;
}

static void* be_signalled(void* argument) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note_timer;
  action.sa_flags = SA_SIGINFO;
  hits = 0;
  wrong = 0;
  MUST(sigaction(SIGRTMIN, &action, NULL) == 0);
  timer_t timer;
  struct sigevent event = signal_here(SIGRTMIN, 7);
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  set_timer(timer, 2, 2);
  if (argument) {
    while (hits < 5) {
    }
  } else {
    while (hits < 5) nap(1);
  }
  printf("here %d, wrong %d\n", hit_here(), wrong);
  CHECK(timer_delete(timer) == 0);
  event.gettid_of_timer = 1;  // some other process
  printf("of others: %s\n", said(timer_create(CLOCK_MONOTONIC, &event, &timer)));
  event.gettid_of_timer = (int)syscall(SYS_gettid);
  event.sigev_signo = 65;
  printf("no such signal: %s\n", said(timer_create(CLOCK_MONOTONIC, &event, &timer)));
  return NULL;
}

static void* nap_and_see_none(void* argument) {
  nap(20);
  return argument;
}

static void one_thread_signalled(void) {
  pthread_t other = start(nap_and_see_none, NULL);
  finish(start(be_signalled, NULL));
  finish(start(be_signalled, as_pointer(1)));
  be_signalled(NULL);
  finish(other);
}

static void* wait_for_timer(void* argument) {
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  block(SIGRTMIN + 1);
  timer_t timer;
  struct sigevent event = signal_here(SIGRTMIN + 1, 9);
  MUST(timer_create(CLOCK_REALTIME, &event, &timer) == 0);
  set_timer(timer, 3, 0);
  const int got = sigwaitinfo(&set, &info);
  printf("waited %d: value %d, timer %d\n", got == SIGRTMIN + 1, info.si_value.sival_int,
         info.si_code == SI_TIMER);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void waited_for(void) { finish(start(wait_for_timer, NULL)); }

static _Atomic int is_over;

static void* sync_often(void* argument) {
  FILE* file = tmpfile();
  MUST(file != NULL);
  while (!is_over) {
    CHECK(fsync(fileno(file)) == 0);
  }
  fclose(file);
  return argument;
}

// What makes calls for a thread (fsync: a helper of Ramie's) is nobody that a timer may interrupt.
static void beside_syncs(void) {
  pthread_t syncing[4];
  is_over = 0;
  for (int i = 0; i < 4; ++i) syncing[i] = start(sync_often, NULL);
  hit_thread = pthread_self();
  fired = wrong = 0;
  timer_t timers[2] = {make_thread_timer(), make_thread_timer()};
  for (int i = 0; i < 2; ++i) set_timer(timers[i], 1, 1);
  while (fired < 300) nap(1);
  for (int i = 0; i < 2; ++i) CHECK(timer_delete(timers[i]) == 0);
  is_over = 1;
  for (int i = 0; i < 4; ++i) finish(syncing[i]);
  printf("wrong %d\n", wrong);
}

static long long used_ms(void) { return clock_ms(CLOCK_PROCESS_CPUTIME_ID); }

// A timer whose signal nobody takes costs nothing, however short its interval is, and knows how
// often it would have expired.
static void* leave_signal(void* argument) {
  block(SIGRTMIN);
  timer_t timer;
  struct sigevent event = signal_here(SIGRTMIN, 7);
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  const struct itimerspec when = {{0, 2000}, {0, 2000}};
  MUST(timer_settime(timer, 0, &when, NULL) == 0);
  const long long before = used_ms();
  nap(1000);
  CHECK(used_ms() - before < 300);
  struct itimerspec left;
  MUST(timer_gettime(timer, &left) == 0);
  CHECK(left.it_interval.tv_nsec == 2000 && left.it_value.tv_sec == 0);
  CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 2000);
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  CHECK(info.si_overrun >= 100000);
  CHECK(timer_getoverrun(timer) == info.si_overrun);
  // It goes on, and stands still again.
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  nap(20);
  set_timer(timer, 5, 0);
  nap(100);
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  MUST(timer_gettime(timer, &left) == 0);
  printf("set anew: %ld %ld\n", left.it_interval.tv_nsec, left.it_value.tv_nsec);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

// Such a signal that is pending already is another one.
static void* have_one_pending(void* argument) {
  block(SIGUSR2);
  timer_t timer;
  struct sigevent event = signal_here(SIGUSR2, 7);
  MUST(raise(SIGUSR2) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  set_timer(timer, 1, 5);
  nap(50);
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  MUST(sigwaitinfo(&set, &info) == SIGUSR2);
  printf("raised: %d\n", info.si_code == SI_TKILL);
  for (int i = 0; i < 3; ++i) {
    MUST(sigwaitinfo(&set, &info) == SIGUSR2);
    CHECK(info.si_code == SI_TIMER);
  }
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void beside_others(void) { finish(start(have_one_pending, NULL)); }

// A timer goes on while nobody wants its signal.
static void* ignore_at_first(void* argument) {
  MUST(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
  timer_t timer;
  struct sigevent event = signal_here(SIGUSR1, 7);
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  set_timer(timer, 1, 1);
  nap(50);
  install(SIGUSR1, note_hit, 0);
  while (hits < 3) nap(1);
  printf("here %d\n", hit_here());
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void ignored_at_first(void) { finish(start(ignore_at_first, NULL)); }

static void stands_still(void) { finish(start(leave_signal, NULL)); }

static int may_compute = 1;

static void* compute(void* argument) {
  while (__atomic_load_n(&may_compute, __ATOMIC_SEQ_CST)) {
  }
  return argument;
}

// Each may be over before it is quite set.
static void* set_short_ones(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGUSR1;
  event._sigev_un._tid = gettid();
  timer_t timer;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  int came = 0;
  for (int i = 0; i < 1500; ++i) {
    const struct itimerspec once = {{0, 0}, {0, 1 + i}};
    const struct timespec patience = {5, 0};
    CHECK(timer_settime(timer, 0, &once, NULL) == 0);
    came += sigtimedwait(&set, NULL, &patience) == SIGUSR1;
    if (came <= i) break;
  }
  printf("came: %d\n", came);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void short_ones(void) {
  may_compute = 1;
  pthread_t other = start(compute, NULL);
  finish(start(set_short_ones, NULL));
  __atomic_store_n(&may_compute, 0, __ATOMIC_SEQ_CST);
  finish(other);
}

static const struct twin_case cases[] = {
    {"short_ones", THREADS, short_ones},
    {"stands_still", THREADS, stands_still},
    {"beside_others", THREADS, beside_others},
    {"ignored_at_first", THREADS, ignored_at_first},
    {"threads_started", THREADS, threads_started},
    {"one_thread_signalled", THREADS, one_thread_signalled},
    {"waited_for", THREADS, waited_for},
    {"beside_syncs", THREADS, beside_syncs},
};

TWIN_MAIN(cases)
