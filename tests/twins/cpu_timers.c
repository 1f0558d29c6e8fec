// Timers and sleeps on the clock of a thread's processor time.
#include <stdint.h>
#include <sys/syscall.h>

#include "handlers.h"

#define gettid_of_timer _sigev_un._tid

static _Atomic int is_over, is_ready, fired, wrong;
static timer_t timer;

static long long own_us(void) { return clock_us(CLOCK_THREAD_CPUTIME_ID); }

static clockid_t clock_of(pthread_t thread) {
  clockid_t clock;
  MUST(pthread_getcpuclockid(thread, &clock) == 0);
  return clock;
}

static struct timespec time_of_ms(long ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  return time;
}

static void set_timer(int flags, long ms, long again_ms) {
  const struct itimerspec when = {time_of_ms(again_ms), time_of_ms(ms)};
  MUST(timer_settime(timer, flags, &when, NULL) == 0);
}

static struct sigevent signal_for(int signal, int tid) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = tid != 0 ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
  event.sigev_signo = signal;
  event.sigev_value.sival_int = 7;
  event.gettid_of_timer = tid;
  return event;
}

static int own_tid(void) { return (int)syscall(SYS_gettid); }

static void note_timer(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  if (info->si_code != SI_TIMER || info->si_value.sival_int != 7) ++wrong;
  hit_thread = pthread_self();
  fired += 1 + info->si_overrun;
  ++hits;
}

static void expect_timer(int signal) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note_timer;
  action.sa_flags = SA_SIGINFO;
  MUST(sigaction(signal, &action, NULL) == 0);
  fired = wrong = hits = 0;
}

// Until it has, or for ten seconds of its own time.
static void compute_until_fired(int times) {
  for (const long long end = own_us() + 10000000; fired < times && own_us() < end;) {
  }
}

static void* time_oneself(void* argument) {
  expect_timer(SIGUSR1);
  const struct sigevent here = signal_for(SIGUSR1, own_tid());
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, (struct sigevent*)&here, &timer) == 0);
  const long long begin = own_us();
  set_timer(0, 30, 0);
  compute_until_fired(1);
  CHECK(own_us() - begin >= 30000);
  printf("once: fired %d, here %d, wrong %d\n", fired, hit_here(), wrong);
  const long long again = own_us();
  set_timer(0, 10, 10);
  compute_until_fired(6);
  CHECK(own_us() - again >= 50000);
  struct itimerspec left;
  MUST(timer_gettime(timer, &left) == 0);
  printf("interval %ld\n", left.it_interval.tv_nsec / 1000000);
  CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 10000000);
  CHECK(timer_delete(timer) == 0);
  printf("gone: %s\n", said(timer_gettime(timer, &left)));
  printf("again: here %d, wrong %d\n", hit_here(), wrong);
  return argument;
}

static void of_oneself(void) {
  finish(start(time_oneself, NULL));
  time_oneself(NULL);
}

// What others use, and time that passes, is none of its own.
static void* nap_for_long(void* argument) {
  const struct sigevent here = signal_for(SIGUSR1, own_tid());
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, (struct sigevent*)&here, &timer) == 0);
  set_timer(0, 80, 0);
  ++is_ready;
  for (int i = 0; i < 10; ++i) nap(20);
  printf("while it naps: %d\n", fired);
  compute_until_fired(1);
  printf("as it computes: %d\n", fired);
  CHECK(timer_delete(timer) == 0);
  is_over = 1;
  return argument;
}

static void* compute_beside(void* argument) {
  while (!is_over) {
  }
  return argument;
}

static void not_of_others(void) {
  expect_timer(SIGUSR1);
  is_over = is_ready = 0;
  const pthread_t napper = start(nap_for_long, NULL);
  while (!is_ready) nap(1);
  const pthread_t busy = start(compute_beside, NULL);
  finish(napper);
  finish(busy);
}

// Many short turns add up as well.
static void* compute_in_pieces(void* argument) {
  const struct sigevent here = signal_for(SIGUSR1, own_tid());
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, (struct sigevent*)&here, &timer) == 0);
  set_timer(0, 30, 0);
  for (const long long end = now_ms() + 20000; !fired && now_ms() < end;) {
    for (const long long until = own_us() + 300; own_us() < until;) {
    }
    nap(1);
  }
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void in_pieces(void) {
  expect_timer(SIGUSR1);
  finish(start(compute_in_pieces, NULL));
  printf("fired %d, wrong %d\n", fired, wrong);
}

// Another thread's clock, and a signal for the process.
static void* compute_meanwhile(void* argument) {
  block(SIGUSR1);
  is_ready = 1;
  while (!is_over) {
  }
  return argument;
}

// The thread's id goes a little after a join has returned.
static const char* set_until_refused(const struct itimerspec* when) {
  int result = 0;
  for (const long long end = now_ms() + 5000; result == 0 && now_ms() < end;) {
    nap(5);
    result = timer_settime(timer, 0, when, NULL);
  }
  return said(result);
}

static void of_another(void) {
  expect_timer(SIGUSR1);
  is_over = is_ready = 0;
  const pthread_t busy = start(compute_meanwhile, NULL);
  while (!is_ready) nap(1);
  const clockid_t clock = clock_of(busy);
  const struct sigevent to_process = signal_for(SIGUSR1, 0);
  MUST(timer_create(clock, (struct sigevent*)&to_process, &timer) == 0);
  const long long begin = clock_us(clock);
  set_timer(0, 30, 0);
  while (!fired) nap(5);
  CHECK(clock_us(clock) - begin >= 30000);
  printf("fired %d, here %d, wrong %d\n", fired, hit_here(), wrong);
  // At a time of that clock; one that has passed comes at once.
  fired = 0;
  set_timer(TIMER_ABSTIME, 1, 0);
  while (!fired) nap(1);
  printf("at a time: %d\n", fired);
  const struct itimerspec never = {{0, 0}, {1000, 0}}, none = {{0, 0}, {0, 0}};
  struct itimerspec before;
  MUST(timer_settime(timer, 0, &never, NULL) == 0 && timer_settime(timer, 0, &none, &before) == 0);
  printf("was about to: %d\n", before.it_value.tv_sec >= 900);
  MUST(timer_gettime(timer, &before) == 0);
  printf("is set: %d\n", before.it_value.tv_sec != 0 || before.it_value.tv_nsec != 0);
  is_over = 1;
  finish(busy);
  printf("of one that has ended: %s\n", set_until_refused(&never));
  CHECK(timer_delete(timer) == 0);
  printf("a new one: %s\n", said(timer_create(clock, (struct sigevent*)&to_process, &timer)));
}

// One that tells nobody is asked.
static void* ask_silent_timer(void* argument) {
  struct sigevent silent;
  memset(&silent, 0, sizeof silent);
  silent.sigev_notify = SIGEV_NONE;
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, &silent, &timer) == 0);
  set_timer(0, 40, 0);
  struct itimerspec left;
  MUST(timer_gettime(timer, &left) == 0);
  CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec > 0);
  for (const long long end = own_us() + 20000; own_us() < end;) {
  }
  MUST(timer_gettime(timer, &left) == 0);
  CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec <= 20000000);
  CHECK(timer_delete(timer) == 0);
  printf("asked\n");
  return argument;
}

static void silent(void) { finish(start(ask_silent_timer, NULL)); }

// While its signal is not taken, a timer stands still, and what it misses counts.
static void* let_it_overrun(void* argument) {
  block(SIGRTMIN);
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  const struct sigevent here = signal_for(SIGRTMIN, own_tid());
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, (struct sigevent*)&here, &timer) == 0);
  set_timer(0, 5, 5);
  for (const long long end = own_us() + 120000; own_us() < end;) {
  }
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  CHECK(info.si_code == SI_TIMER && info.si_overrun >= 10 && info.si_overrun < 40);
  CHECK(timer_getoverrun(timer) == info.si_overrun);
  for (const long long end = own_us() + 50000; own_us() < end;) {
  }
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  CHECK(info.si_overrun >= 3);
  CHECK(timer_delete(timer) == 0);
  printf("counted\n");
  return argument;
}

static void overruns(void) { finish(start(let_it_overrun, NULL)); }

static void refused(void) {
  had_a_thread();
  struct sigevent event = signal_for(SIGUSR1, 0);
  event.sigev_notify = 77;
  printf("manner: %s\n", said(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)));
  event = signal_for(77, 0);
  printf("signal: %s\n", said(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)));
  event = signal_for(SIGUSR1, 0x7ffffff0);
  printf("thread: %s\n", said(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)));
  event = signal_for(SIGUSR1, 0);
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0);
  const struct itimerspec bad = {{0, 0}, {0, 1000000000}};
  printf("time: %s\n", said(timer_settime(timer, 0, &bad, NULL)));
  printf("overrun: %d\n", timer_getoverrun(timer));
  CHECK(timer_delete(timer) == 0);
  MUST(timer_create(clock_of(pthread_self()), NULL, &timer) == 0);
  CHECK(timer_delete(timer) == 0);
}

static void* sleep_on(void* argument) {
  const clockid_t clock = *(clockid_t*)argument;
  const long long begin = clock_us(clock);
  const struct timespec span = time_of_ms(30);
  printf("for a while: %s\n", error_name(clock_nanosleep(clock, 0, &span, NULL)));
  CHECK(clock_us(clock) - begin >= 30000);
  const long long until = clock_us(clock) + 30000;
  const struct timespec then = {until / 1000000, until % 1000000 * 1000};
  printf("until then: %s\n", error_name(clock_nanosleep(clock, TIMER_ABSTIME, &then, NULL)));
  CHECK(clock_us(clock) >= until);
  printf("until before: %s\n", error_name(clock_nanosleep(clock, TIMER_ABSTIME, &span, NULL)));
  is_over = 1;
  return NULL;
}

static void sleeps(void) {
  is_over = is_ready = 0;
  const pthread_t busy = start(compute_meanwhile, NULL);
  while (!is_ready) nap(1);
  clockid_t clock = clock_of(busy);
  const pthread_t sleeper = start(sleep_on, &clock);
  finish(sleeper);
  finish(busy);
  struct timespec span = time_of_ms(1);
  printf("on one's own: %s\n",
         error_name(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &span, NULL)));
  printf("by number: %s\n", error_name(clock_nanosleep(clock_of(pthread_self()), 0, &span, NULL)));
}

static void note_nothing(int number) { (void)number; }

// The clock of one that sleeps stands still, and so does who sleeps on it.
static void* be_interrupted(void* argument) {
  struct timespec left = {0, 0};
  const struct timespec span = {100, 0};
  ++is_ready;
  printf("sleep: %s\n", error_name(clock_nanosleep(*(clockid_t*)argument, 0, &span, &left)));
  CHECK(left.tv_sec >= 98 && left.tv_sec <= 100);
  return NULL;
}

static void* idle_until_over(void* argument) {
  while (!is_over) nap(2);
  return argument;
}

static void interrupted(void) {
  install(SIGUSR2, note_nothing, 0);
  is_over = is_ready = 0;
  const pthread_t idle = start(idle_until_over, NULL);
  clockid_t clock = clock_of(idle);
  const pthread_t sleeper = start(be_interrupted, &clock);
  while (!is_ready) nap(1);
  nap(100);
  MUST(pthread_kill(sleeper, SIGUSR2) == 0);
  finish(sleeper);
  is_over = 1;
  finish(idle);
}

static void ring(union sigval value) {
  if (value.sival_int == 7) ++fired;
}

// libc starts a thread for it.
static void* start_threads(void* argument) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD;
  event.sigev_notify_function = ring;
  event.sigev_value.sival_int = 7;
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0);
  fired = 0;
  set_timer(0, 10, 10);
  compute_until_fired(2);
  CHECK(timer_delete(timer) == 0);
  printf("started: %d\n", fired >= 2);
  return argument;
}

static void threads_started(void) { finish(start(start_threads, NULL)); }

static const struct twin_case cases[] = {
    {"of_oneself", THREADS, of_oneself},   {"not_of_others", THREADS, not_of_others},
    {"in_pieces", THREADS, in_pieces},     {"of_another", THREADS, of_another},
    {"silent", THREADS, silent},           {"overruns", THREADS, overruns},
    {"refused", THREADS, refused},         {"sleeps", THREADS, sleeps},
    {"interrupted", THREADS, interrupted}, {"threads_started", THREADS, threads_started},
};

TWIN_MAIN(cases)
