// The life of a thread: how it starts, what it is told about itself, and the ways in which it ends.
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

static void* return_number(void* argument) { return as_pointer(as_number(argument) * 2); }

static void many_in_a_row(void) {
  long sum = 0;
  for (long i = 0; i < 500; ++i) sum += as_number(finish(start(return_number, as_pointer(i))));
  printf("sum %ld\n", sum);
}

static void* start_two(void* argument) {
  const long depth = as_number(argument);
  if (depth == 0) return as_pointer(1);
  nap(1);
  pthread_t left = start(start_two, as_pointer(depth - 1));
  pthread_t right = start(start_two, as_pointer(depth - 1));
  return as_pointer(as_number(finish(left)) + as_number(finish(right)));
}

static void started_by_threads(void) {
  printf("leaves %ld\n", as_number(finish(start(start_two, as_pointer(5)))));
}

static void cleaned(void* text) { printf("cleaned up: %s\n", (const char*)text); }

static void leave(void) {
  pthread_cleanup_push(cleaned, "innermost");
  nap(1);
  pthread_exit(as_pointer(77));
  pthread_cleanup_pop(1);
}

static void call_leave(void) {
  pthread_cleanup_push(cleaned, "middle");
  leave();
  pthread_cleanup_pop(1);
}

static void* exit_deep(void* argument) {
  pthread_cleanup_push(cleaned, "outermost");
  call_leave();
  pthread_cleanup_pop(1);
  return argument;
}

static void exit_from_nested_frames(void) {
  printf("result %ld\n", as_number(finish(start(exit_deep, NULL))));
}

static int detached_done;

static void* count_detached(void* argument) {
  nap(1);
  __atomic_add_fetch((int*)argument, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static void detached(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (int i = 0; i < 20; ++i) {
    if (i % 2) {
      CHECK(pthread_detach(start(count_detached, &detached_done)) == 0);
    } else {
      MUST(pthread_create(&thread, &attributes, count_detached, &detached_done) == 0);
    }
  }
  while (__atomic_load_n(&detached_done, __ATOMIC_SEQ_CST) < 20) nap(1);
  printf("done %d\n", detached_done);
}

static void* nap_for(void* argument) {
  nap((int)as_number(argument));
  return as_pointer(9);
}

static void* wait_until_told(void* argument) {
  while (!__atomic_load_n((int*)argument, __ATOMIC_SEQ_CST)) nap(1);
  return as_pointer(9);
}

static void joins_with_limits(void) {
  int told = 0;
  void* result = NULL;
  pthread_t thread = start(wait_until_told, &told);
  printf("try: %s\n", error_name(pthread_tryjoin_np(thread, &result)));
  long long before = now_ms();
  struct timespec then = after_ms(CLOCK_REALTIME, 10);
  printf("timed: %s\n", error_name(pthread_timedjoin_np(thread, &result, &then)));
  then = after_ms(CLOCK_MONOTONIC, 10);
  printf("clock: %s\n", error_name(pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &then)));
  CHECK(now_ms() - before >= 18);
  printf("self: %s\n", error_name(pthread_join(pthread_self(), NULL)));
  __atomic_store_n(&told, 1, __ATOMIC_SEQ_CST);
  then = after_ms(CLOCK_REALTIME, 20000);
  printf("timed: %s", error_name(pthread_timedjoin_np(thread, &result, &then)));
  printf(" %ld\n", as_number(result));
  thread = start(nap_for, as_pointer(2));
  pthread_detach(thread);
  thread = start(nap_for, as_pointer(1));
  int answer;
  while ((answer = pthread_tryjoin_np(thread, &result)) == EBUSY) nap(1);
  printf("tried: %s\n", error_name(answer));
}

static void* names_and_ids(void* argument) {
  char name[32] = "";
  const pid_t mine = (pid_t)syscall(SYS_gettid);
  CHECK(mine == gettid());
  CHECK(mine != getpid());
  CHECK(pthread_setname_np(pthread_self(), (const char*)argument) == 0);
  nap(3);
  CHECK(gettid() == mine);
  CHECK(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
  CHECK(strcmp(name, (const char*)argument) == 0);
  CHECK(pthread_setname_np(pthread_self(), "a name that is too long") == ERANGE);
  CHECK(pthread_kill(pthread_self(), 0) == 0);
  return as_pointer(mine);
}

static sem_t named, may_end;

static void say_name(pthread_t thread) {
  char name[16] = "";
  printf("%s:", error_name(pthread_getname_np(thread, name, sizeof name)));
  printf(" %s\n", name);
}

static void* be_named(void* argument) {
  say_name(pthread_self());  // its creator's
  sem_post(&named);
  sem_wait(&may_end);
  say_name(pthread_self());
  prctl(PR_SET_NAME, "by prctl, and far too long");
  sem_post(&named);
  sem_wait(&may_end);
  return argument;
}

static void* name_main(void* main_thread) {
  const pthread_t other = *(const pthread_t*)main_thread;
  printf("main renamed: %s\n", error_name(pthread_setname_np(other, "main-by-other")));
  say_name(other);
  return NULL;
}

// glibc asks for another thread's name by a file in /proc.
static void names_of_others(void) {
  char name[16], path[64];
  pthread_t self = pthread_self();
  MUST(sem_init(&named, 0, 0) == 0 && sem_init(&may_end, 0, 0) == 0);
  CHECK(pthread_setname_np(self, "creator") == 0);
  pthread_t thread = start(be_named, NULL);
  sem_wait(&named);
  printf("set: %s\n", error_name(pthread_setname_np(thread, "by-its-creator")));
  say_name(thread);
  printf("too long: %s\n", error_name(pthread_setname_np(thread, "sixteen letters!")));
  printf("too short: %s\n", error_name(pthread_getname_np(thread, name, 8)));
  sem_post(&may_end);
  sem_wait(&named);
  say_name(thread);
  printf("empty: %s\n", error_name(pthread_setname_np(thread, "")));
  say_name(thread);
  sem_post(&may_end);
  finish(thread);
  snprintf(path, sizeof path, "/proc/self/task/%d/comm", 0x7ffffff);
  printf("nobody: %s\n", said(open(path, O_RDWR)));
  finish(start(name_main, &self));
  say_name(self);
}

static void identity(void) {
  static char names[8][16];
  pthread_t threads[8];
  long ids[8];
  CHECK(gettid() == getpid());
  for (int i = 0; i < 8; ++i) {
    snprintf(names[i], sizeof names[i], "twin-%d", i);
    threads[i] = start(names_and_ids, names[i]);
  }
  for (int i = 0; i < 8; ++i) CHECK(pthread_kill(threads[i], 0) == 0);
  for (int i = 0; i < 8; ++i) ids[i] = as_number(finish(threads[i]));
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < i; ++j) CHECK(ids[i] != ids[j]);
  printf("main is process: %d\n", gettid() == getpid());
}

static pthread_t main_thread;

static void* outlive_main(void* argument) {
  CHECK(pthread_join(main_thread, NULL) == 0);
  printf("main has ended, %s goes on\n", (const char*)argument);
  nap(2);
  fflush(stdout);
  return NULL;  // The last thread: the process ends with 0.
}

static void exit_of_main(void) {
  main_thread = pthread_self();
  pthread_detach(start(outlive_main, "the other"));
  pthread_exit(NULL);
}

// Whoever asks for the address, changes it and sets it back can be joined as before.
static void* set_tid_address_back(void* argument) {
  int* address = NULL;
  CHECK(prctl(PR_GET_TID_ADDRESS, &address) == 0);
  CHECK(address != NULL && *address == gettid());
  CHECK(syscall(SYS_set_tid_address, NULL) == gettid());
  int* none = &twin_failures;
  CHECK(prctl(PR_GET_TID_ADDRESS, &none) == 0 && none == NULL);
  CHECK(syscall(SYS_set_tid_address, address) == gettid());
  return argument;
}

static void tid_address(void) { finish(start(set_tid_address_back, NULL)); }

// As much address space as the process has now, and so many kB.
static void leave_room(long kilobytes) {
  char line[128];
  long has = 0;
  FILE* status = fopen("/proc/self/status", "r");
  MUST(status != NULL);
  while (fgets(line, sizeof line, status) != NULL) sscanf(line, "VmSize: %ld", &has);
  fclose(status);
  MUST(has > 0);
  const rlim_t bytes = (rlim_t)(has + kilobytes) << 10;
  const struct rlimit limit = {bytes, bytes};
  MUST(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void* nap_often(void* ends) {
  char byte;
  for (int i = 0; i < 20; ++i) nap(1);
  CHECK(read(*(int*)ends, &byte, 1) == 1);
  return ends;
}

// Three threads with small stacks that sleep and wait, or none.
static void live_with(long kilobytes) {
  enum { kThreads = 3 };
  pthread_t threads[kThreads];
  pthread_attr_t attributes;
  int ends[2], error = 0;
  MUST(pipe(ends) == 0 && pthread_attr_init(&attributes) == 0);
  MUST(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  leave_room(kilobytes);
  for (int i = 0; i < kThreads && error == 0; ++i) {
    error = pthread_create(&threads[i], &attributes, nap_often, ends);
  }
  printf("%ld kB: %s\n", kilobytes, error_name(error));
  if (error != 0) exit(0);
  nap(5);
  CHECK(write(ends[1], "abc", kThreads) == kThreads);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  exit(twin_failures);
}

static void* do_nothing(void* argument) { return argument; }

static void live_with_less_and_less(int had_one) {
  static const long rooms[] = {700000, 400000, 250000, 170000, 120000, 60000, 20000, 4000, 100};
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      if (had_one) finish(start(do_nothing, NULL));
      live_with(rooms[i]);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
}

// Before the process has had a thread, after it, and where it has got one when there was room.
static void little_room(void) {
  live_with_less_and_less(0);
  finish(start(do_nothing, NULL));
  live_with_less_and_less(0);
  live_with_less_and_less(1);
}

static const struct twin_case cases[] = {
    {"tid_address", THREADS, tid_address},
    {"many_in_a_row", THREADS, many_in_a_row},
    {"started_by_threads", THREADS, started_by_threads},
    {"exit_from_nested_frames", THREADS, exit_from_nested_frames},
    {"detached", THREADS, detached},
    {"joins_with_limits", THREADS, joins_with_limits},
    {"identity", THREADS, identity},
    {"names_of_others", THREADS, names_of_others},
    {"little_room", THREADS, little_room},
    {"exit_of_main", THREADS, exit_of_main},
};

TWIN_MAIN(cases)
