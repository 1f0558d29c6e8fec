// Affinity, nice value and scheduling policy of one thread: they hold for that thread alone, can be
// asked for, and are inherited, wherever the thread waits in between.
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "processors.h"

static pid_t tid(void) { return (pid_t)syscall(SYS_gettid); }

// The nice value of the kernel thread that runs the caller: what really counts.
static long real_nice(void) {
  FILE* file = fopen("/proc/thread-self/stat", "r");
  MUST(file != NULL);
  char line[1024];
  MUST(fgets(line, sizeof line, file) != NULL);
  fclose(file);
  long priority = 0;
  long nice = 0;
  MUST(sscanf(strrchr(line, ')') + 1,
              " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %ld %ld", &priority,
              &nice) == 2);
  return nice;
}

static long nice_of(pid_t thread) {
  errno = 0;
  return getpriority(PRIO_PROCESS, (id_t)thread);
}

// Runs on the processor that it has chosen, whatever it waits for in between.
static void* stay(void* argument) {
  int cpu = (int)as_number(argument);
  cpu_set_t set = only(cpu);
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  int strays = 0;
  for (int i = 0; i < 50; ++i) {
    strays += sched_getcpu() != cpu;
    if (i % 10 == 0) nap(1);
    sched_yield();
    strays += sched_getcpu() != cpu;
  }
  CHECK(strays == 0);
  CHECK(has_only(cpu));
  return NULL;
}

static void affinity_of_oneself(void) {
  int before = number_of_processors();
  pthread_t a = start(stay, as_pointer(processor(0)));
  pthread_t b = start(stay, as_pointer(processor(1)));
  finish(a);
  finish(b);
  CHECK(number_of_processors() == before);
  printf("stayed\n");
}

static int ends[2];

static void* read_then_look(void* argument) {
  char byte;
  CHECK(read(ends[0], &byte, 1) == 1);
  int cpu = (int)as_number(argument);
  CHECK(sched_getcpu() == cpu);
  CHECK(has_only(cpu));
  return NULL;
}

static _Atomic int is_bound;

// It computes, with no system call, and does not end before it is bound.
static void* compute_until_moved(void* argument) {
  while (!is_bound) {
  }
  return as_pointer(wait_for_cpu((int)as_number(argument)));
}

static void affinity_of_another(void) {
  MUST(pipe(ends) == 0);
  for (int last = 0; last < 2; ++last) {
    int cpu = processor(last);
    cpu_set_t set = only(cpu);
    pthread_t reader = start(read_then_look, as_pointer(cpu));
    nap(20);
    CHECK(pthread_setaffinity_np(reader, sizeof set, &set) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
    finish(reader);
    is_bound = 0;
    pthread_t worker = start(compute_until_moved, as_pointer(cpu));
    nap(20);
    printf("%s\n", error_name(pthread_setaffinity_np(worker, sizeof set, &set)));
    is_bound = 1;
    printf("moved: %ld\n", as_number(finish(worker)));
  }
}

static void* look(void* argument) {
  int cpu = (int)as_number(argument);
  CHECK(sched_getcpu() == cpu);
  CHECK(has_only(cpu));
  return NULL;
}

static void* do_nothing(void* argument) { return argument; }

static void affinity_by_attribute(void) {
  for (int last = 0; last < 2; ++last) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    cpu_set_t set = only(processor(last));
    MUST(pthread_attr_setaffinity_np(&attributes, sizeof set, &set) == 0);
    for (int i = 0; i < 5; ++i) {
      pthread_t thread;
      MUST(pthread_create(&thread, &attributes, look, as_pointer(processor(last))) == 0);
      finish(thread);
    }
    pthread_attr_destroy(&attributes);
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  struct sched_param parameter = {0};
  MUST(pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED) == 0);
  MUST(pthread_attr_setschedpolicy(&attributes, SCHED_OTHER) == 0);
  MUST(pthread_attr_setschedparam(&attributes, &parameter) == 0);
  pthread_t thread;
  printf("explicit: %s\n", error_name(pthread_create(&thread, &attributes, do_nothing, NULL)));
  finish(thread);
  pthread_attr_destroy(&attributes);
}

static void* be_nice(void* argument) {
  int by = (int)as_number(argument);
  long before = nice_of(0);
  CHECK(setpriority(PRIO_PROCESS, 0, (int)before + by) == 0);
  CHECK(nice_of(0) == before + by);
  CHECK(nice_of(tid()) == before + by);
  nap(2);
  CHECK(real_nice() == before + by);
  errno = 0;
  CHECK(nice(1) == before + by + 1 && errno == 0);
  CHECK(real_nice() == before + by + 1);
  return NULL;
}

static void* note_nice(void* argument) {
  (void)argument;
  CHECK(nice_of(0) == real_nice());
  return as_pointer(real_nice());
}

static void nice_values(void) {
  long before = real_nice();
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start(be_nice, as_pointer(i + 1));
  for (int i = 0; i < 3; ++i) finish(threads[i]);
  CHECK(real_nice() == before);
  CHECK(as_number(finish(start(note_nice, NULL))) == before);
  printf("nice\n");
}

static void* be_batch(void* argument) {
  (void)argument;
  struct sched_param parameter = {0};
  CHECK(sched_setscheduler(0, SCHED_BATCH, &parameter) == 0);
  int policy = -1;
  CHECK(pthread_getschedparam(pthread_self(), &policy, &parameter) == 0);
  nap(1);
  printf("batch: %d %d\n", sched_getscheduler(0) == SCHED_BATCH, policy == SCHED_BATCH);
  parameter.sched_priority = 3;
  printf("fifo: %s\n", error_name(pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter)));
  printf("policy: %d\n", sched_getscheduler(tid()));
  parameter.sched_priority = 0;
  printf("other: %s\n", error_name(pthread_setschedparam(pthread_self(), SCHED_OTHER, &parameter)));
  printf("policy: %d\n", sched_getscheduler(0));
  return NULL;
}

static void policies(void) {
  finish(start(be_batch, NULL));
  printf("policy: %d\n", sched_getscheduler(0));
}

static void* sleep_with_a_policy(void* argument) {
  sigset_t all;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
  struct sched_param parameter = {0};
  CHECK(sched_setscheduler(0, SCHED_BATCH, &parameter) == 0);
  char byte;
  CHECK(read(ends[0], &byte, 1) == 1);
  return argument;
}

// Nobody takes a signal when the first thread blocks them all, and each time the other one's kernel
// thread, which sleeps, has to be told: a matter of microseconds, not of seconds.
static void masks_beside_a_sleeper(void) {
  MUST(pipe(ends) == 0);
  pthread_t sleeper = start(sleep_with_a_policy, NULL);
  nap(100);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  long long since = now_ms();
  for (int i = 0; i < 30; ++i) {
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
  }
  CHECK(now_ms() - since < 10000);
  MUST(write(ends[1], "x", 1) == 1);
  finish(sleeper);
  printf("blocked\n");
}

static void* note_all(void* argument) {
  int* found = argument;
  found[0] = has_only(processor(1));
  found[1] = (int)real_nice();
  found[2] = sched_getscheduler(0);
  return NULL;
}

static void* start_note_all(void* argument) {
  finish(start(note_all, argument));
  return NULL;
}

static void* bequeath(void* argument) {
  int before = (int)real_nice();
  cpu_set_t set = only(processor(1));
  CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
  CHECK(setpriority(PRIO_PROCESS, 0, before + 4) == 0);
  int found[3];
  finish(start(start_note_all, found));
  printf("grandchild: %d %d %d\n", found[0], found[1] - before, found[2]);
  struct sched_param parameter = {0};
  printf("batch: %s\n", said(sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &parameter)));
  finish(start(note_all, found));
  printf("child: %d %d %d\n", found[0], found[1] - before, found[2]);
  return argument;
}

static void inheritance(void) {
  int before = number_of_processors();
  long nice = real_nice();
  finish(start(bequeath, NULL));
  int found[3];
  finish(start(note_all, found));
  CHECK(found[1] == nice && number_of_processors() == before);
}

static void* make_mistakes(void* argument) {
  (void)argument;
  cpu_set_t none;
  CPU_ZERO(&none);
  cpu_set_t before;
  cpu_set_t after;
  CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
  printf("no processor: %s\n", said(sched_setaffinity(0, sizeof none, &none)));
  printf("bad mask: %s\n", said(syscall(SYS_sched_setaffinity, 0, sizeof none, NULL)));
  struct sched_param parameter = {7};
  printf("bad priority: %s\n", said(sched_setscheduler(0, SCHED_OTHER, &parameter)));
  printf("bad policy: %s\n", said(sched_setscheduler(0, 99, &parameter)));
  printf("no parameter: %s\n", said(syscall(SYS_sched_setparam, 0, NULL)));
  printf("no thread: %s\n", said(sched_setaffinity(0x7ffffff0, sizeof before, &before)));
  printf("no thread: %s\n", said(setpriority(PRIO_PROCESS, 0x7ffffff0, 1)));
  CHECK(sched_getaffinity(0, sizeof after, &after) == 0);
  printf("unchanged: %d %d\n", CPU_EQUAL(&before, &after), sched_getscheduler(0));
  return as_pointer(tid());
}

static void mistakes(void) {
  pid_t gone = (pid_t)as_number(finish(start(make_mistakes, NULL)));
  nap(20);
  cpu_set_t set = only(processor(0));
  printf("an ended thread: %s\n", said(sched_setaffinity(gone, sizeof set, &set)));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CPU_ZERO(&set);
  MUST(pthread_attr_setaffinity_np(&attributes, sizeof set, &set) == 0);
  pthread_t thread;
  printf("started: %s\n", error_name(pthread_create(&thread, &attributes, look, NULL)));
  pthread_attr_destroy(&attributes);
}

static void* same_again(void* argument) {
  (void)argument;
  cpu_set_t set;
  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  printf("affinity: %s\n", said(sched_setaffinity(0, sizeof set, &set)));
  memset(&set, 0xff, sizeof set);
  printf("any: %s\n", said(sched_setaffinity(0, sizeof set, &set)));
  printf("nice: %s\n", said(setpriority(PRIO_PROCESS, 0, (int)nice_of(0))));
  struct sched_param parameter = {0};
  printf("policy: %s\n", said(sched_setscheduler(0, SCHED_OTHER, &parameter)));
  printf("parameter: %s\n", said(sched_setparam(0, &parameter)));
  return NULL;
}

static void what_is_so_already(void) { finish(start(same_again, NULL)); }

// A thread that has a kernel thread of its own, beside one that looks: its processors are those
// that it may use, whoever looks, and when.
static _Atomic int may_end;

static void* yield_until_end(void* argument) {
  CHECK(setpriority(PRIO_PROCESS, 0, (int)nice_of(0) + 1) == 0);
  while (!may_end) sched_yield();
  return argument;
}

static void processors_stay(void) {
  const int all = number_of_processors();
  pthread_t thread = start(yield_until_end, NULL);
  int others = 0;
  for (long long end = now_ms() + 400; now_ms() < end;) {
    cpu_set_t set;
    MUST(pthread_getaffinity_np(thread, sizeof set, &set) == 0);
    others += CPU_COUNT(&set) != all;
    sched_yield();
  }
  may_end = 1;
  finish(thread);
  printf("seen with other processors: %d\n", others);
}

static const struct twin_case cases[] = {
    {"affinity_of_oneself", THREADS, affinity_of_oneself},
    {"processors_stay", THREADS, processors_stay},
    {"affinity_of_another", THREADS, affinity_of_another},
    {"affinity_by_attribute", THREADS, affinity_by_attribute},
    {"nice_values", THREADS, nice_values},
    {"policies", THREADS, policies},
    {"masks_beside_a_sleeper", THREADS, masks_beside_a_sleeper},
    {"inheritance", THREADS, inheritance},
    {"mistakes", THREADS, mistakes},
    {"what_is_so_already", THREADS, what_is_so_already},
};

TWIN_MAIN(cases)
