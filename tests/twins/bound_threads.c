// A thread that has chosen its processor, among others: it waits and is woken, interrupted and
// cancelled, forks, and ends.  The first thread may be one.
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "processors.h"

static void* look(void* argument) {
  int cpu = (int)as_number(argument);
  CHECK(sched_getcpu() == cpu);
  CHECK(has_only(cpu));
  return NULL;
}

// There and back: between a thread that is bound to a processor and one that isn't.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
static int there[2];
static int back[2];
enum { ROUNDS = 200 };

static void take_turns(int me) {
  for (int i = 0; i < ROUNDS; ++i) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&turned, &mutex);
    turn = 1 - me;
    pthread_cond_signal(&turned);
    pthread_mutex_unlock(&mutex);
  }
}

static void* bound_player(void* argument) {
  cpu_set_t set = only(processor((int)as_number(argument)));
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  take_turns(1);
  char byte;
  for (int i = 0; i < ROUNDS; ++i) {
    CHECK(read(there[0], &byte, 1) == 1);
    CHECK(write(back[1], &byte, 1) == 1);
  }
  return NULL;
}

static void* free_player(void* argument) {
  (void)argument;
  take_turns(0);
  char byte = 'x';
  for (int i = 0; i < ROUNDS; ++i) {
    CHECK(write(there[1], &byte, 1) == 1);
    CHECK(read(back[0], &byte, 1) == 1);
  }
  return NULL;
}

static void with_others(void) {
  MUST(pipe(there) == 0 && pipe(back) == 0);
  for (int last = 0; last < 2; ++last) {
    pthread_t a = start(bound_player, as_pointer(last));
    pthread_t b = start(free_player, NULL);
    finish(a);
    finish(b);
  }
  printf("played\n");
}

static sem_t bound;
static int ends[2];
static volatile sig_atomic_t handled;
static _Atomic int has_read;
static void handle(int signal) { handled = signal; }

static void* bound_reader(void* argument) {
  cpu_set_t set = only(processor(1));
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  sem_post(&bound);
  char byte;
  long result = read(ends[0], &byte, 1);
  has_read = 1;
  if (argument != NULL) printf("read: %s, signal %d\n", said(result), handled == SIGUSR1);
  return NULL;
}

static void interrupted_and_cancelled(void) {
  MUST(pipe(ends) == 0 && sem_init(&bound, 0, 0) == 0);
  struct sigaction action = {0};
  action.sa_handler = handle;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  pthread_t reader = start(bound_reader, &bound);
  sem_wait(&bound);
  while (!has_read) {  // the first one may come before the read
    nap(20);
    pthread_kill(reader, SIGUSR1);
  }
  finish(reader);
  reader = start(bound_reader, NULL);
  sem_wait(&bound);
  nap(20);
  pthread_cancel(reader);
  printf("cancelled: %d\n", finish(reader) == PTHREAD_CANCELED);
}

static void* fork_bound(void* argument) {
  cpu_set_t set = only(processor(1));
  int cpu = processor(1);
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  pid_t child = fork();
  if (child == 0) {
    int good = sched_getcpu() == cpu && has_only(cpu);
    finish(start(look, as_pointer(cpu)));
    _exit(good && twin_failures == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  printf("child: %d\n", status);
  return argument;
}

static void forks(void) {
  finish(start(fork_bound, NULL));
  printf("parent: %d\n", number_of_processors() > 0);
}

static void* count_processors(void* argument) {
  (void)argument;
  return as_pointer(number_of_processors());
}

static void* wait_for_post(void* argument) {
  sem_wait(argument);
  return as_pointer(number_of_processors());
}

static void the_first_thread(void) {
  int before = number_of_processors();
  cpu_set_t all;
  MUST(sched_getaffinity(0, sizeof all, &all) == 0);
  MUST(sem_init(&bound, 0, 0) == 0);
  pthread_t older = start(wait_for_post, &bound);
  int cpu = processor(1);
  cpu_set_t set = only(cpu);
  for (int i = 0; i < 3; ++i) {
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
    nap(1);
    CHECK(sched_getcpu() == cpu && has_only(cpu));
    CHECK(as_number(finish(start(count_processors, NULL))) == 1);
    nap(1);
    CHECK(sched_getcpu() == cpu);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    CHECK(as_number(finish(start(count_processors, NULL))) == before);
  }
  sem_post(&bound);
  CHECK(as_number(finish(older)) == before);
  struct sched_param parameter = {9};
  printf("%s\n", said(sched_setscheduler(0, SCHED_OTHER, &parameter)));
  CHECK(number_of_processors() == before);
}

static void* bind_first(void* argument) {
  cpu_set_t set = only((int)as_number(argument));
  CHECK(sched_setaffinity(getpid(), sizeof set, &set) == 0);
  return as_pointer(number_of_processors());
}

static void the_first_by_another(void) {
  int before = number_of_processors();
  int cpu = processor(1);
  CHECK(as_number(finish(start(bind_first, as_pointer(cpu)))) == before);
  CHECK(has_only(cpu));
  CHECK(wait_for_cpu(cpu));
  nap(1);
  CHECK(sched_getcpu() == cpu);
  CHECK(as_number(finish(start(count_processors, NULL))) == 1);
  printf("bound\n");
}

static void* come_and_go(void* argument) {
  cpu_set_t set = only(processor((int)as_number(argument) % 2));
  CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
  if (as_number(argument) % 3 == 0) nap(1);
  return NULL;
}

static void many(void) {
  enum { MANY = 30 };
  for (int round = 0; round < 6; ++round) {
    pthread_t threads[MANY];
    for (long i = 0; i < MANY; ++i) threads[i] = start(come_and_go, as_pointer(i));
    for (int i = 0; i < MANY; ++i) finish(threads[i]);
  }
  printf("all gone\n");
}

static volatile sig_atomic_t rings;

static void note_ring(int number) {
  (void)number;
  ++rings;
}

// A timer on the clock of such a thread, which computes all the while.
static void* compute_until_rung(void* argument) {
  cpu_set_t set = only(processor(1));
  CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  timer_t timer;
  MUST(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0);
  const struct itimerspec when = {{0, 10000000}, {0, 10000000}};
  MUST(timer_settime(timer, 0, &when, NULL) == 0);
  while (rings < 3) {
  }
  CHECK(clock_ms(CLOCK_THREAD_CPUTIME_ID) >= 30);
  CHECK(timer_delete(timer) == 0);
  return argument;
}

static void timed(void) {
  MUST(signal(SIGUSR1, note_ring) != SIG_ERR);
  finish(start(compute_until_rung, NULL));
  printf("rung\n");
}

static const struct twin_case cases[] = {
    {"with_others", THREADS, with_others},
    {"interrupted_and_cancelled", THREADS, interrupted_and_cancelled},
    {"forks", THREADS, forks},
    {"the_first_thread", THREADS, the_first_thread},
    {"the_first_by_another", THREADS, the_first_by_another},
    {"many", THREADS, many},
    {"timed", THREADS, timed},
};

TWIN_MAIN(cases)
