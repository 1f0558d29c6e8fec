// What a signal for one thread does beside running a handler: overruns, calls that it ends, those
// that look for it, and a thread that is gone.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "handlers.h"

#define gettid_of_timer _sigev_un._tid

static _Atomic int is_ready, is_over;

static timer_t timer_for_here(int signal, int every_ms) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal;
  event.gettid_of_timer = (int)syscall(SYS_gettid);
  timer_t timer;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  const struct itimerspec when = {{0, every_ms * 1000000L}, {0, every_ms * 1000000L}};
  MUST(timer_settime(timer, 0, &when, NULL) == 0);
  return timer;
}

// A timer has one signal pending, which says how many more there would have been.
static void* let_timer_overrun(void* argument) {
  block(SIGRTMIN);
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  const timer_t timer = timer_for_here(SIGRTMIN, 10);
  nap(200);
  MUST(sigwaitinfo(&set, &info) == SIGRTMIN);
  CHECK(info.si_code == SI_TIMER && info.si_overrun >= 5);
  CHECK(timer_getoverrun(timer) == info.si_overrun);
  const struct timespec at_once = {0, 0};
  int more = 0;
  while (more < 10 && sigtimedwait(&set, &info, &at_once) == SIGRTMIN) ++more;
  CHECK(more < 5);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void overruns(void) {
  finish(start(let_timer_overrun, NULL));
  printf("merged\n");
}

// A wait that nothing but its time-out or a signal ends, by a call of which the kernel alone knows.
static long wait_in_kernel(int ms) {
  struct {
    uint64_t expected, address;
    uint32_t flags, reserved;
  } list;
  uint32_t word = 0;
  memset(&list, 0, sizeof list);
  list.address = (uintptr_t)&word;
  list.flags = 2;  // FUTEX_32
  const struct timespec until = after_ms(CLOCK_MONOTONIC, ms);
  const long number_of_waitv = 449;
  return syscall(number_of_waitv, &list, 1, 0, &until, CLOCK_MONOTONIC);
}

static void* wait_for_signal(void* argument) {
  is_ready = 1;
  const long result = wait_in_kernel(argument ? 10000 : 400);
  printf("%s, here %d\n", said(result), hit_here());
  return argument;
}

static void kernel_calls_end(void) {
  for (int ends = 0; ends < 2; ++ends) {
    install(SIGUSR1, note_hit, ends ? 0 : SA_RESTART);
    is_ready = 0;
    const pthread_t thread = start(wait_for_signal, as_pointer(ends));
    while (!is_ready) nap(1);
    nap(100);
    MUST(pthread_kill(thread, SIGUSR1) == 0);
    finish(thread);
  }
}

static void* hand_out_id(void* argument) {
  *(_Atomic int*)argument = (int)syscall(SYS_gettid);
  while (!is_over) nap(1);
  return NULL;
}

// A name that was opened for reading can't be written to, nor the other way round.
static void names_opened_one_way(void) {
  _Atomic int tid = 0;
  is_over = 0;
  const pthread_t thread = start(hand_out_id, &tid);
  while (!tid) nap(1);
  char path[64], text[32];
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
  const int reads = open(path, O_RDONLY), writes = open(path, O_WRONLY);
  MUST(reads >= 0 && writes >= 0);
  printf("write: %s\n", said(write(reads, "other", 5)));
  printf("read: %s\n", said(read(writes, text, sizeof text)));
  printf("write: %ld\n", (long)write(writes, "new", 3));
  MUST(pthread_getname_np(thread, text, sizeof text) == 0);
  printf("named %s\n", text);
  close(reads);
  close(writes);
  is_over = 1;
  finish(thread);
}

// Each thread gets what was sent to its id, and nothing of its predecessors'.
static _Thread_local int own_serial;
static _Atomic int latest_tid, latest_serial, strays;

static void compare_serial(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  if (info->si_value.sival_int != own_serial) ++strays;
}

static void* live_shortly(void* argument) {
  own_serial = (int)as_number(argument);
  latest_serial = 0;
  latest_tid = (int)syscall(SYS_gettid);
  latest_serial = own_serial;
  return NULL;
}

// A few each: a thread that gets ever more signals never ends.
static void* send_to_latest(void* argument) {
  siginfo_t info;
  int last = 0, sent = 0;
  while (!is_over) {
    const int serial = latest_serial, tid = latest_tid;
    sched_yield();
    if (!serial || latest_serial != serial) continue;
    sent = serial == last ? sent + 1 : 0;
    last = serial;
    if (sent >= 5) continue;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = serial;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGRTMIN, &info);
  }
  return argument;
}

static void none_for_successors(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = compare_serial;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  MUST(sigaction(SIGRTMIN, &action, NULL) == 0);
  is_over = 0;
  const pthread_t sender = start(send_to_latest, NULL);
  for (int i = 1; i <= 200; ++i) finish(start(live_shortly, as_pointer(i)));
  is_over = 1;
  finish(sender);
  printf("strays %d\n", strays);
}

static _Thread_local volatile int own_hits;

static void count_own(int number) {
  (void)number;
  ++own_hits;
}

// A call ends with EINTR where a handler has run, and nowhere else.
static void* change_masks_and_nap(void* argument) {
  int ended = 0;
  while (!is_over) {
    block(SIGUSR1);
    if (poll(NULL, 0, 1) < 0) {
      CHECK(errno == EINTR);
      ++ended;
    }
    unblock(SIGUSR1);
    if (poll(NULL, 0, 1) < 0) {
      CHECK(errno == EINTR);
      ++ended;
    }
  }
  CHECK(ended <= own_hits);
  return argument;
}

static void no_handler_no_end(void) {
  install(SIGUSR1, count_own, 0);
  block(SIGUSR1);
  is_over = 0;
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start(change_masks_and_nap, NULL);
  for (const long long end = now_ms() + 400; now_ms() < end;) {
    MUST(kill(getpid(), SIGUSR1) == 0);
    sched_yield();
  }
  is_over = 1;
  for (int i = 0; i < 4; ++i) finish(threads[i]);
  printf("done\n");
}

static void compute_for(int ms) {
  const long long end = now_ms() + ms;
  while (now_ms() < end) {
  }
}

// Descriptors that begin to look for signals of timers, while other timers fire.
static void* look_for_timers(void* argument) {
  for (int number = SIGRTMIN + 1; number < SIGRTMIN + 20; ++number) {
    block(number);
    const timer_t timers[] = {timer_for_here(number, 1), timer_for_here(number, 2)};
    compute_for(8);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    const int fd = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(fd >= 0);
    for (int i = 0; i < 2; ++i) timer_delete(timers[i]);
    close(fd);
  }
  is_over = 1;
  return argument;
}

static void descriptors_beside_timers(void) {
  is_over = 0;
  pthread_t looker = start(look_for_timers, NULL);
  while (!is_over) compute_for(1);
  finish(looker);
  printf("done\n");
}

static const struct twin_case cases[] = {
    {"overruns", THREADS, overruns},
    {"kernel_calls_end", THREADS, kernel_calls_end},
    {"names_opened_one_way", THREADS, names_opened_one_way},
    {"none_for_successors", THREADS, none_for_successors},
    {"no_handler_no_end", THREADS, no_handler_no_end},
    {"descriptors_beside_timers", THREADS, descriptors_beside_timers},
};

TWIN_MAIN(cases)
