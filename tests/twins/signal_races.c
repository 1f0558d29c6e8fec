// Signals that come at awkward moments: from other threads, again and again.
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>

#include "handlers.h"

static _Atomic int stopped, child_handled;
static pid_t parent;

static void note_process(int number) {
  (void)number;
  if (getpid() != parent) child_handled = 1;
}

static void* fire_until_stopped(void* victim) {
  while (!stopped) {
    pthread_kill(*(pthread_t*)victim, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

// What was sent to the parent's thread while it forked is none of the child's.
static void fork_under_fire(void) {
  pthread_t victim = pthread_self();
  parent = getpid();
  install(SIGUSR1, note_process, SA_RESTART);
  pthread_t thread = start(fire_until_stopped, &victim);
  for (int i = 0; i < 60; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int k = 0; k < 10; ++k) sched_yield();
      _exit(child_handled);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  stopped = 1;
  finish(thread);
}

// Signals that wait, with what came along, at every moment.
static void* queue_and_take(void* argument) {
  const int number = SIGRTMIN;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  const struct timespec at_once = {0, 0};
  MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  while (!stopped) {
    for (int k = 0; k < 50; ++k) {
      CHECK(pthread_sigqueue(pthread_self(), number, (union sigval){.sival_int = k}) == 0);
    }
    sched_yield();
    while (sigtimedwait(&set, NULL, &at_once) > 0) {
    }
  }
  return argument;
}

// The child has none of the other threads, nor what waits for them.
static void fork_beside_queues(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start(queue_and_take, NULL);
  for (int i = 0; i < 100; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(5);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  }
  stopped = 1;
  for (int i = 0; i < 4; ++i) finish(threads[i]);
}

static _Atomic int mixed, rounds, go;

static int is_blocked(int number) {
  sigset_t now;
  MUST(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
  return sigismember(&now, number);
}

// Two actions, of which each belongs to its mask.
static void first_action(int number) {
  (void)number;
  if (!is_blocked(SIGUSR2) || is_blocked(SIGHUP)) mixed = 1;
}

static void second_action(int number, siginfo_t* info, void* context) {
  (void)context;
  if (!is_blocked(SIGHUP) || is_blocked(SIGUSR2) || info->si_signo != number) mixed = 1;
}

static void* change_actions(void* argument) {
  struct sigaction one, two;
  memset(&one, 0, sizeof one);
  memset(&two, 0, sizeof two);
  one.sa_handler = first_action;
  sigaddset(&one.sa_mask, SIGUSR2);
  two.sa_sigaction = second_action;
  two.sa_flags = SA_SIGINFO;
  sigaddset(&two.sa_mask, SIGHUP);
  while (!stopped) {
    for (int i = 0; i < 100; ++i) {
      CHECK(sigaction(SIGUSR1, &one, NULL) == 0);
      CHECK(sigaction(SIGUSR1, &two, NULL) == 0);
    }
    sched_yield();
  }
  return argument;
}

static void actions_are_whole(void) {
  struct sigaction one;
  memset(&one, 0, sizeof one);
  one.sa_handler = first_action;
  sigaddset(&one.sa_mask, SIGUSR2);
  MUST(sigaction(SIGUSR1, &one, NULL) == 0);
  stopped = 0;
  pthread_t thread = start(change_actions, NULL);
  for (int i = 0; i < 30000; ++i) {
    raise(SIGUSR1);
    if (i % 1000 == 0) nap(1);
  }
  stopped = 1;
  finish(thread);
  printf("mixed %d\n", mixed);
}

static void note_round(int number) {
  (void)number;
  ++hits;
}

static void spin_until(_Atomic int* value, int wanted) {
  for (long i = 0; *value < wanted; ++i) {
    if (i > 200) sched_yield();
  }
}

static void* raise_each_round(void* argument) {
  for (int i = 1; i <= 2000; ++i) {
    spin_until(&go, i);
    raise(SIGURG);
    ++rounds;
  }
  return argument;
}

// Of two threads that get the signal at the same time, one calls the handler; for the other, it
// is ignored already.
static void reset_after_one(void) {
  int most = 0, least = 9;
  go = rounds = 0;
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) threads[i] = start(raise_each_round, NULL);
  for (int i = 1; i <= 2000; ++i) {
    install(SIGURG, note_round, SA_RESETHAND);
    go = i;
    spin_until(&rounds, 2 * i);
    if (hits > most) most = hits;
    if (hits < least) least = hits;
  }
  for (int i = 0; i < 2; ++i) finish(threads[i]);
  printf("calls: %d to %d\n", least, most);
}

// What another thread sets meanwhile isn't reset.
static void reset_leaves_the_next(void) {
  int lost = 0;
  go = rounds = 0;
  pthread_t thread = start(raise_each_round, NULL);
  for (int i = 1; i <= 2000; ++i) {
    install(SIGURG, note_round, SA_RESETHAND);
    go = i;
    for (volatile int k = 0; k < i; ++k) {
    }
    install(SIGURG, note_hit, 0);
    spin_until(&rounds, i);
    struct sigaction now;
    CHECK(sigaction(SIGURG, NULL, &now) == 0);
    lost += now.sa_handler != note_hit;
  }
  finish(thread);
  printf("lost %d\n", lost);
}

static void* pass_by(void* argument) {
  unblock(SIGUSR1);
  for (long i = 0; i < as_number(argument); ++i) sched_yield();
  return NULL;
}

// A signal for the process that comes while threads which let it in are about to end: one of them
// takes it, or the next.
static void taken_by_those_who_pass(void) {
  block(SIGUSR1);
  install(SIGUSR1, note_round, 0);
  int lost = 0;
  for (int i = 1; i <= 200; ++i) {
    pthread_t threads[4];
    for (int k = 0; k < 3; ++k) threads[k] = start(pass_by, as_pointer(k));
    CHECK(kill(getpid(), SIGUSR1) == 0);
    for (int k = 0; k < 3; ++k) finish(threads[k]);
    // Whoever comes now finds it, if nobody has taken it.
    for (int k = 0; hits < i - lost && k < 50; ++k) {
      finish(start(pass_by, as_pointer(2)));
      if (k > 10) nap(1);
    }
    lost += hits < i - lost;
  }
  printf("lost %d\n", lost);
}

static int ends[2];

// Whoever waits for the other one's byte finds it at once.
static void* pass_a_byte(void* end) {
  block(SIGUSR1);
  char byte = 'x';
  while (!stopped && write(ends[as_number(end)], &byte, 1) == 1 &&
         read(ends[as_number(end)], &byte, 1) == 1) {
  }
  stopped = 1;
  (void)!write(ends[as_number(end)], &byte, 1);
  return NULL;
}

// By one that sleeps again and again, and blocks the signal, as the others do.
static void* send_between_naps(void* argument) {
  block(SIGUSR1);
  for (int i = 1; i <= 20; ++i) {
    CHECK(kill(getpid(), SIGUSR1) == 0);
    for (int k = 0; hits < i && k < 2000; ++k) nap(1);
  }
  return argument;
}

// A signal for the process is let in by the only thread that doesn't block it, which waits, while
// those which block it go to sleep and come back.
static void taken_beside_those_who_block(void) {
  install(SIGUSR1, note_hit, SA_RESTART);
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  stopped = 0;

  finish(start(send_between_naps, NULL));
  printf("beside naps: %d, here %d\n", hits, hit_here());
  hits = 0;
  pthread_t threads[3];
  for (int i = 0; i < 2; ++i) threads[i] = start(pass_a_byte, as_pointer(i));
  threads[2] = start(send_between_naps, NULL);
  finish(threads[2]);
  printf("beside bytes: %d, here %d\n", hits, hit_here());
  stopped = 1;
  for (int i = 0; i < 2; ++i) finish(threads[i]);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void* nap_often(void* processor) {
  if (processor != NULL) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof one, &one) == 0);
  }
  while (!stopped) nanosleep(&(struct timespec){0, 1000}, NULL);
  return NULL;
}

// What its own thread has just blocked, as all others have, must stay in the kernel, though another
// thread goes to sleep and wakes up at that moment.
static int count_lost(int is_bound) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGTERM);
  stopped = 0;
  pthread_sigmask(SIG_BLOCK, &one, NULL);
  pthread_t napping = start(nap_often, as_pointer(is_bound));
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  int lost = 0;
  unsigned random = 1;
  for (int64_t end = now_ns() + 1000000000; now_ns() < end;) {
    random = random * 1103515245 + 12345;
    for (int64_t until = now_ns() + 5000 + random % 60000; now_ns() < until;) {
    }
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    kill(getpid(), SIGTERM);
    lost += sigtimedwait(&one, NULL, &(struct timespec){0, 0}) != SIGTERM;
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  }
  stopped = 1;
  finish(napping);
  return lost;
}

static void blocked_beside_those_who_nap(void) {
  printf("lost: %d\n", count_lost(0));
  printf("lost beside one with an affinity: %d\n", count_lost(1));
}

// Those who nap let nothing in, but their kernel threads may be about to for the one who unblocks.
static void handled_before_the_call_ends(void) {
  const int numbers[] = {SIGUSR1, SIGRTMIN};
  int late = 0;
  stopped = 0;
  sigset_t both;
  sigemptyset(&both);
  for (int i = 0; i < 2; ++i) {
    sigaddset(&both, numbers[i]);
    install(numbers[i], note_hit, SA_RESTART);
  }
  pthread_sigmask(SIG_BLOCK, &both, NULL);
  pthread_t napping[3];
  for (int i = 0; i < 3; ++i) napping[i] = start(nap_often, NULL);
  for (int round = 0; round < 20000; ++round) {
    const int before = hits;
    kill(getpid(), numbers[round % 2]);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
    late += hits == before;
    pthread_sigmask(SIG_BLOCK, &both, NULL);
  }
  stopped = 1;
  for (int i = 0; i < 3; ++i) finish(napping[i]);
  printf("late: %d, handled %d\n", late, hits);
}

// A thread that blocks a signal, just as another one's handler of it ends, waits for nobody.
static void* block_and_unblock(void* first) {
  long long longest = 0;
  for (int i = 0; i < 10000; ++i) {
    pthread_kill(*(pthread_t*)first, SIGUSR1);
    if (i % 3 == 0) sched_yield();
    const long long begin = now_ms();
    block(SIGUSR1);
    const long long took = now_ms() - begin;
    longest = took > longest ? took : longest;
    unblock(SIGUSR1);
  }
  CHECK(longest < 700);
  stopped = 1;
  return NULL;
}

static void blocked_as_handlers_end(void) {
  pthread_t first = pthread_self();
  install(SIGUSR1, note_hit, SA_RESTART);
  stopped = 0;
  pthread_t thread = start(block_and_unblock, &first);
  while (!stopped) nap(1);
  finish(thread);
  CHECK(hits > 0);
  printf("blocked\n");
}

static const struct twin_case cases[] = {
    {"handled_before_the_call_ends", THREADS, handled_before_the_call_ends},
    {"blocked_beside_those_who_nap", THREADS, blocked_beside_those_who_nap},
    {"taken_beside_those_who_block", THREADS, taken_beside_those_who_block},
    {"taken_by_those_who_pass", THREADS, taken_by_those_who_pass},
    {"actions_are_whole", THREADS, actions_are_whole},
    {"reset_after_one", THREADS, reset_after_one},
    {"reset_leaves_the_next", THREADS, reset_leaves_the_next},
    {"fork_under_fire", THREADS, fork_under_fire},
    {"blocked_as_handlers_end", THREADS, blocked_as_handlers_end},
    {"fork_beside_queues", THREADS, fork_beside_queues},
};

TWIN_MAIN(cases)
