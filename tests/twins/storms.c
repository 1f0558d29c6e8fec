// Much at the same time: signals that meet locks and short lives, children of many threads, crowds
// that only yield, and stacks that overflow where others have been before.
#include <semaphore.h>
#include <spawn.h>

#include "handlers.h"

extern char** environ;

enum { kThreads = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long guarded;

static void* lock_often(void* argument) {
  for (int i = 0; i < 200; ++i) {
    pthread_mutex_lock(&mutex);
    const long before = guarded;
    sched_yield();
    guarded = before + 1;
    pthread_mutex_unlock(&mutex);
    if (i % 10 == 0) nap(1);
  }
  return argument;
}

static void signals_and_locks(void) {
  pthread_t threads[kThreads];
  install(SIGUSR1, note_hit, SA_RESTART);
  guarded = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start(lock_often, NULL);
  for (int i = 0; i < 200; ++i) {
    CHECK(pthread_kill(threads[i % kThreads], SIGUSR1) == 0);
    if (i % 5 == 0) CHECK(kill(getpid(), SIGUSR1) == 0);
    if (i % 2 == 0) nap(1);
  }
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  CHECK(hits > 0);
  printf("counted %ld\n", guarded);
}

static void* end_at_once(void* argument) { return argument; }

// A thread that has ended and was not joined takes a signal without complaint.
static void signals_and_short_lives(void) {
  install(SIGUSR1, note_hit, SA_RESTART);
  long sum = 0;
  for (long i = 0; i < 300; ++i) {
    pthread_t thread = start(end_at_once, as_pointer(i));
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    sum += as_number(finish(thread));
  }
  CHECK(hits > 0);
  printf("sum %ld\n", sum);
}

static int code_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void* fork_often(void* argument) {
  for (int i = 0; i < 5; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      pthread_t threads[5];
      long sum = 0;
      for (long j = 0; j < 5; ++j) threads[j] = start(nap_a_little, as_pointer(j));
      for (int j = 0; j < 5; ++j) sum += as_number(finish(threads[j]));
      _exit((int)sum);
    }
    CHECK(code_of(child) == 10);
  }
  return argument;
}

static void forks_of_many_threads(void) {
  pthread_t threads[6];
  for (int i = 0; i < 6; ++i) threads[i] = start(fork_often, NULL);
  for (int i = 0; i < 6; ++i) finish(threads[i]);
  printf("done\n");
}

static void* spawn_often(void* argument) {
  char* words[] = {(char*)"true", NULL};
  for (int i = 0; i < 12; ++i) {
    pid_t child = -1;
    const int exists = i % 3 != 0;
    const int error = posix_spawn(&child, exists ? "/bin/true" : "/nowhere/to/be/found", NULL, NULL,
                                  words, environ);
    CHECK(error == (exists ? 0 : ENOENT));
    if (error == 0) CHECK(code_of(child) == 0);
    nap(1);
  }
  return argument;
}

static void* vfork_often(void* argument) {
  for (int i = 0; i < 12; ++i) {
    const pid_t child = vfork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", "exit 4", (char*)NULL);
      _exit(5);
    }
    CHECK(code_of(child) == 4);
    nap(1);
  }
  return argument;
}

static void spawns_and_vforks(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start(i % 2 ? spawn_often : vfork_often, NULL);
  for (int i = 0; i < 4; ++i) finish(threads[i]);
  printf("done\n");
}

static void* replace_process(void* argument) {
  CHECK(pthread_join(*(pthread_t*)argument, NULL) == 0);
  execl("/bin/sh", "sh", "-c", "kill -0 $$ && echo replaced", (char*)NULL);
  _exit(1);
}

static pthread_t first;

static void leave_exec_to_thread(void) {
  first = pthread_self();
  start(replace_process, &first);
  pthread_exit(NULL);
}

static void exec_after_the_first_thread(void) { in_child(leave_exec_to_thread); }

static volatile long depth_wanted;

static long dig(long depth) {
  volatile char page[4096];
  page[0] = (char)depth;
  return depth == depth_wanted ? 0 : dig(depth + 1) + page[0];
}

static void* dig_in_thread(void* argument) {
  dig(1);
  return argument;
}

static void with_stack(void* (*body)(void*), size_t size, size_t guard) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, size) == 0);
  CHECK(pthread_attr_setguardsize(&attributes, guard) == 0);
  MUST(pthread_create(&thread, &attributes, body, NULL) == 0);
  pthread_attr_destroy(&attributes);
  finish(thread);
}

static void say_caught(int number) {
  static const char text[] = "caught\n";
  (void)number;
  _exit(write(1, text, sizeof text - 1) > 0 ? 4 : 5);
}

static void* overflow(void* argument) {
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  MUST(sigaltstack(&stack, NULL) == 0);
  install(SIGSEGV, say_caught, SA_ONSTACK);
  depth_wanted = -1;
  dig(1);
  return argument;
}

enum { kMega = 1 << 20, kPage = 4096, kBigGuard = 16 * kPage };

static void overflow_in_thread(void) { with_stack(overflow, kMega, kPage); }

// Stacks of one size with their guards, which glibc may give to the next thread with another guard.
static void overflow_of_used_stacks(void) {
  depth_wanted = 2;
  for (int i = 0; i < 40; ++i) with_stack(dig_in_thread, kMega + kPage - kBigGuard, kBigGuard);
  depth_wanted = (kMega - kBigGuard) / (kPage + 256);
  for (int i = 0; i < 40; ++i) with_stack(dig_in_thread, kMega, kPage);
  depth_wanted = 2;
  for (int i = 0; i < 40; ++i) with_stack(dig_in_thread, kMega + kPage, 0);
  in_child(overflow_in_thread);
}

enum { kSpinners = 700 };

static int spinners;

static void* spin_until_all_are_there(void* argument) {
  __atomic_add_fetch(&spinners, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&spinners, __ATOMIC_SEQ_CST) < kSpinners) sched_yield();
  return argument;
}

// However many threads never do anything but yield, each of the others has its turn.
static void many_that_only_yield(void) {
  static pthread_t threads[kSpinners];
  for (int i = 0; i < kSpinners; ++i) threads[i] = start(spin_until_all_are_there, NULL);
  for (int i = 0; i < kSpinners; ++i) finish(threads[i]);
  printf("all were there\n");
}

static int may_sleep = 1, may_end;

// Sleeps at first, and then computes until it is told to end.
static void* spin_at_last(void* argument) {
  while (!__atomic_load_n(&may_end, __ATOMIC_SEQ_CST)) {
    if (__atomic_load_n(&may_sleep, __ATOMIC_SEQ_CST)) nap(1);
  }
  return argument;
}

// All of them compute until the one that sleeps has had its turn.
static void crowd_that_spins(void) {
  enum { kCrowd = 300 };
  static pthread_t threads[kCrowd];
  for (int i = 0; i < kCrowd; ++i) threads[i] = start(spin_at_last, NULL);
  nap(20);
  __atomic_store_n(&may_sleep, 0, __ATOMIC_SEQ_CST);
  nap(20);
  __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < kCrowd; ++i) finish(threads[i]);
}

enum { kWriters = 60, kRounds = 20 };

static int had_turns;

static void* write_and_read_back(void* argument) {
  int ends[2];
  MUST(pipe(ends) == 0);
  for (int round = 0; __atomic_load_n(&had_turns, __ATOMIC_SEQ_CST) < kWriters; ++round) {
    char byte = 'x';
    CHECK(write(ends[1], &byte, 1) == 1);
    CHECK(read(ends[0], &byte, 1) == 1);
    if (round == kRounds) __atomic_add_fetch(&had_turns, 1, __ATOMIC_SEQ_CST);
  }
  close(ends[0]);
  close(ends[1]);
  return argument;
}

// Calls that may wait and never do: each of the threads has its turn between two of another one,
// without a kernel thread of its own.
static void crowd_that_never_waits(void) {
  pthread_t threads[kWriters];
  for (int i = 0; i < kWriters; ++i) threads[i] = start(write_and_read_back, NULL);
  for (int i = 0; i < kWriters; ++i) finish(threads[i]);
  printf("all had their turns\n");
}

static int may_yield = 1;

static void* compute_and_yield(void* argument) {
  while (__atomic_load_n(&may_yield, __ATOMIC_SEQ_CST)) {
    for (volatile int i = 0; i < 300000; ++i) {
    }
    sched_yield();
  }
  return argument;
}

// Forks at the end of a long turn, while another thread waits for its own.
static void forks_after_computing(void) {
  const pthread_t other = start(compute_and_yield, NULL);
  for (int i = 0; i < 60; ++i) {
    for (const long long end = now_ms() + 8; now_ms() < end;) {
    }
    const pid_t child = fork();
    if (child == 0) _exit(getppid() == 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    nap(1);
  }
  __atomic_store_n(&may_yield, 0, __ATOMIC_SEQ_CST);
  finish(other);
}

enum { kTurns = 100 };

static sem_t is_asked, is_answered;
static int answers;

static void* answer_late(void* argument) {
  for (int turn = 0; turn < kTurns; ++turn) {
    MUST(sem_wait(&is_asked) == 0);
    nap(1);
    __atomic_store_n(&answers, turn + 1, __ATOMIC_SEQ_CST);
    nap(1);
    MUST(sem_post(&is_answered) == 0);
  }
  return argument;
}

static long long compute_and_wait(void) {
  __atomic_store_n(&answers, 0, __ATOMIC_SEQ_CST);
  const pthread_t other = start(answer_late, NULL);
  const long long begin = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
  for (int turn = 0; turn < kTurns; ++turn) {
    MUST(sem_post(&is_asked) == 0);
    while (__atomic_load_n(&answers, __ATOMIC_SEQ_CST) == turn) {
    }
    MUST(sem_wait(&is_answered) == 0);
  }
  const long long used = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - begin;
  finish(other);
  return used;
}

// One that computes until another one has had its turn, and waits in between.  That takes eight
// milliseconds of its own or more, unless it is known after the first time; or the machine is busy.
static void computes_and_waits(void) {
  sem_init(&is_asked, 0, 0);
  sem_init(&is_answered, 0, 0);
  int is_quick = 0;
  for (int i = 0; i < 5 && !is_quick; ++i) is_quick = compute_and_wait() < kTurns * 6;
  printf("quickly: %d\n", is_quick);
}

enum { kCrowd = 24, kNaps = 15 };

static int is_crowd_over;

static void* compute_and_nap(void* argument) {
  while (!__atomic_load_n(&is_crowd_over, __ATOMIC_SEQ_CST)) {
    for (const long long end = now_ms() + 4; now_ms() < end;) {
    }
    nap(1);
  }
  return argument;
}

// How many of the naps end late: by more than twice a turn of those who compute.
static int late_naps(void) {
  int late = 0;
  for (int i = 0; i < kNaps; ++i) {
    const long long begin = now_ms();
    nap(10);
    late += now_ms() - begin > 10 + 8;
  }
  return late;
}

// Who sleeps need not wait for the turns of all who compute: here that is some fifty milliseconds.
static void sleeper_beside_a_crowd(void) {
  pthread_t crowd[kCrowd];
  for (int i = 0; i < kCrowd; ++i) crowd[i] = start(compute_and_nap, NULL);
  int is_early = 0;
  for (int i = 0; i < 10 && !is_early; ++i) is_early = late_naps() < kNaps / 2;
  __atomic_store_n(&is_crowd_over, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < kCrowd; ++i) finish(crowd[i]);
  printf("early: %d\n", is_early);
}

static const struct twin_case cases[] = {
    {"computes_and_waits", THREADS, computes_and_waits},
    {"signals_and_locks", THREADS, signals_and_locks},
    {"signals_and_short_lives", THREADS, signals_and_short_lives},
    {"forks_of_many_threads", THREADS, forks_of_many_threads},
    {"spawns_and_vforks", THREADS, spawns_and_vforks},
    {"exec_after_the_first_thread", THREADS, exec_after_the_first_thread},
    {"overflow_of_used_stacks", THREADS, overflow_of_used_stacks},
    {"many_that_only_yield", THREADS, many_that_only_yield},
    {"crowd_that_spins", THREADS, crowd_that_spins},
    {"sleeper_beside_a_crowd", THREADS, sleeper_beside_a_crowd},
    {"crowd_that_never_waits", THREADS, crowd_that_never_waits},
    {"forks_after_computing", THREADS, forks_after_computing},
};

TWIN_MAIN(cases)
