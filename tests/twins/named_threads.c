// Threads that RAMIE_NATIVE names ("native*"), which they are called at some time of their lives,
// beside others.
#include <dirent.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

// Of the kernel's threads, how many have the name; `last` is one of them.
static int last;
static int count_named(const char* name) {
  DIR* threads = opendir("/proc/self/task");
  MUST(threads != NULL);
  int count = 0;
  for (struct dirent* entry; (entry = readdir(threads)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    char path[300];
    char text[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE* file = fopen(path, "r");
    if (file == NULL) continue;
    if (fgets(text, sizeof text, file) != NULL) text[strcspn(text, "\n")] = '\0';
    fclose(file);
    if (strcmp(text, name) != 0) continue;
    ++count;
    last = atoi(entry->d_name);
  }
  closedir(threads);
  return count;
}

static void await_count(const char* name, int count) {
  while (count_named(name) != count) nap(2);
}

static void call_self(const char* name) { CHECK(pthread_setname_np(pthread_self(), name) == 0); }

static void* nothing(void* argument) { return argument; }

// Whether the kernel has it in that call.
static int is_in_call(int tid, long number) {
  char path[64];
  char text[32] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
  FILE* file = fopen(path, "r");
  if (file == NULL) return 1;  // this kernel doesn't say
  if (fgets(text, sizeof text, file) == NULL) text[0] = '\0';
  fclose(file);
  char* end;
  return strtol(text, &end, 10) == number && end != text;
}

static void await_call(const char* name, long number) {
  while (count_named(name) != 1 || !is_in_call(last, number)) nap(2);
}

static int ends[2];

static void* read_natively(void* argument) {
  call_self("native-read");
  char text[8] = "";
  printf("read %s: %s\n", said(read(ends[0], text, sizeof text)), text);
  return argument;
}

static void by_itself(void) {
  MUST(pipe(ends) == 0);
  const pthread_t reader = start(read_natively, as_pointer(4));
  await_call("native-read", SYS_read);
  CHECK(write(ends[1], "moved", 5) == 5);
  printf("joined: %ld\n", as_number(finish(reader)));
  await_count("native-read", 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void take_turns(int side) {
  for (int i = 0; i < 200; ++i) {
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

static volatile int stops;

static void* compute(void* argument) {
  while (!stops) {
  }
  return argument;
}

// Whoever made the thread calls it so: as it waits for a lock or for data, or computes.
static void by_its_creator(void) {
  const pthread_t other = start(take_odd_turns, NULL);
  const pthread_t computes = start(compute, NULL);
  nap(10);
  CHECK(pthread_setname_np(other, "native-turns") == 0);
  CHECK(pthread_setname_np(computes, "native-loop") == 0);
  char name[16];
  CHECK(pthread_getname_np(other, name, sizeof name) == 0);
  printf("%s\n", name);
  printf("%d %d\n", count_named("native-turns"), count_named("native-loop"));
  take_turns(0);
  stops = 1;
  finish(other);
  finish(computes);
  printf("turns %d\n", turn);
}

static sem_t there;
static sem_t go;

static void* wait_to_go(void* argument) {
  sem_post(&there);
  sem_wait(&go);
  return argument;
}

static void* start_two(void* argument) {
  call_self("native-parent");
  const pthread_t children[] = {start(wait_to_go, NULL), start(wait_to_go, NULL)};
  sem_wait(&there);
  sem_wait(&there);
  printf("named alike: %d\n", count_named("native-parent"));
  // It names another thread, whose own doing ends it.
  CHECK(pthread_setname_np(children[0], "other") == 0);
  char name[16];
  CHECK(pthread_getname_np(children[0], name, sizeof name) == 0);
  printf("%s\n", name);
  sem_post(&go);
  sem_post(&go);
  finish(children[0]);
  finish(children[1]);
  return argument;
}

static void inherited(void) {
  MUST(sem_init(&there, 0, 0) == 0 && sem_init(&go, 0, 0) == 0);
  finish(start(start_two, NULL));
  await_count("native-parent", 0);
}

static void* come_and_go(void* argument) {
  for (int i = 0; i < 20; ++i) {
    call_self("native-guest");
    CHECK(count_named("native-guest") == 1);
    nap(1);
    call_self("guest");
    finish(start(nothing, NULL));
  }
  return argument;
}

static void called_otherwise(void) {
  finish(start(come_and_go, NULL));
  printf("%d\n", count_named("native-guest"));
}

static _Atomic int hits;
static void note_hit(int number) {
  (void)number;
  ++hits;
}

static void* sleep_long(void* argument) {
  call_self("native-sleep");
  struct timespec rest = {1000, 0};
  const struct timespec* mine = argument;
  printf("sleep: %s\n", said(nanosleep(mine != NULL ? mine : &rest, &rest)));
  return NULL;
}

static void* poll_with_mask(void* argument) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  call_self("native-poll");
  MUST(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
  sem_post(&there);
  printf("ppoll: %s, ", said(ppoll(NULL, 0, NULL, &none)));
  printf("hits %d\n", hits);
  return argument;
}

static void interrupted(void) {
  MUST(sem_init(&there, 0, 0) == 0 && pipe(ends) == 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note_hit;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  pthread_t thread = start(sleep_long, NULL);
  await_call("native-sleep", SYS_clock_nanosleep);
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  finish(thread);
  printf("hits %d\n", hits);
  thread = start(poll_with_mask, NULL);
  sem_wait(&there);
  nap(10);
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  finish(thread);
  action.sa_flags = SA_RESTART;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  thread = start(read_natively, NULL);
  await_call("native-read", SYS_read);
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  while (hits < 3) nap(1);
  CHECK(write(ends[1], "again", 5) == 5);
  finish(thread);
  thread = start(read_natively, NULL);
  await_call("native-read", SYS_read);
  CHECK(pthread_cancel(thread) == 0);
  printf("cancelled: %d\n", finish(thread) == PTHREAD_CANCELED);
}

// The child has the name of the thread that forked.
static void* fork_named(void* argument) {
  call_self(argument);
  const pid_t child = fork();
  if (child == 0) {
    printf("child %s: %d\n", (char*)argument, count_named(argument));
    finish(start(nothing, NULL));
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  printf("status %d\n", status);
  return NULL;
}

static void forks(void) {
  finish(start(fork_named, "native-forker"));
  finish(start(fork_named, "forker"));
}

// What the first thread starts has its name at first.
static void* look_at_first(void* argument) {
  call_self("plain");
  while (!is_in_call(getpid(), SYS_read)) nap(2);
  CHECK(write(ends[1], "first", 5) == 5);
  return argument;
}

static void the_first(void) {
  MUST(pipe(ends) == 0);
  call_self("native-first");
  const pthread_t other = start(look_at_first, NULL);
  char text[8] = "";
  CHECK(read(ends[0], text, sizeof text) == 5);
  puts(text);
  finish(other);
  call_self("first");
  finish(start(nothing, NULL));
  char name[16];
  CHECK(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
  puts(name);
}

static long switches(void) {
  struct rusage usage;
  MUST(getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_nvcsw;
}

// Nobody has anything to do while one thread is in the kernel and the others sleep.
static void idle_beside_one(void) {
  MUST(pipe(ends) == 0);
  const pthread_t reader = start(read_natively, as_pointer(4));
  await_call("native-read", SYS_read);
  nap(200);
  const long before = switches();
  nap(1000);
  printf("%s\n", switches() - before < 50 ? "idle" : "busy");
  CHECK(write(ends[1], "moved", 5) == 5);
  finish(reader);
}

static const struct twin_case cases[] = {
    {"by_itself", THREADS, by_itself},     {"by_its_creator", THREADS, by_its_creator},
    {"inherited", THREADS, inherited},     {"called_otherwise", THREADS, called_otherwise},
    {"interrupted", THREADS, interrupted}, {"forks", THREADS, forks},
    {"the_first", THREADS, the_first},     {"idle_beside_one", THREADS, idle_beside_one},
};

TWIN_MAIN(cases)
