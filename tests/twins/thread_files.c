// What /proc says of one thread.
#include <fcntl.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "handlers.h"

static _Atomic int other_tid;
static sem_t is_over;

static int own_tid(void) { return (int)syscall(SYS_gettid); }

// The beginning of a thread's file; of the caller's for 0.
static const char* contents(int tid, const char* file) {
  static _Thread_local char text[4096];
  char path[64];
  if (tid != 0) {
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, file);
  } else {
    snprintf(path, sizeof path, "/proc/thread-self/%s", file);
  }
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    printf("%s: %s\n", file, said(fd));
    return "";
  }
  const ssize_t size = read(fd, text, sizeof text - 1);
  MUST(size > 0 && close(fd) == 0);
  text[size] = '\0';
  return text;
}

// The value of a line of `status`.
static const char* value_of(const char* status, const char* label) {
  static _Thread_local char value[64];
  const char* at = strstr(status, label);
  MUST(at != NULL);
  sscanf(at + strlen(label), ":\t%63[^\n]", value);
  return value;
}

static void compute_for(int ms) {
  const long long end = clock_ms(CLOCK_THREAD_CPUTIME_ID) + ms;
  while (clock_ms(CLOCK_THREAD_CPUTIME_ID) < end) {
  }
}

static int count_blanks(const char* text) {
  int count = 0;
  for (; *text; ++text) count += *text == ' ';
  return count;
}

// Ticks are hundredths of a second.
static void look_at_stat(int tid, int wanted_tid, int least_ms, int most_ms) {
  int id = 0, parent = 0;
  char name[32] = "", state = 0;
  unsigned long user = 0, system = 0;
  long long started = 0;
  const char* text = contents(tid, "stat");
  const int got =
      sscanf(text,
             "%d (%31[^)]) %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
             "%*d %*d %*d %lld",
             &id, name, &state, &parent, &user, &system, &started);
  printf("stat: %d fields, %d blanks, %s, %c\n", got, count_blanks(text), name, state);
  CHECK(id == wanted_tid && parent == getppid() && started > 0);
  const int used_ms = (int)(user + system) * 10;
  CHECK(used_ms >= least_ms - 20 && used_ms <= most_ms + 20);
}

static void look_at_status(int tid, int wanted_tid, int signal) {
  char status[4096];
  strcpy(status, contents(tid, "status"));
  printf("status: %s", value_of(status, "Name"));
  printf(", %s", value_of(status, "State"));
  CHECK(atoi(value_of(status, "\nPid")) == wanted_tid);
  CHECK(atoi(value_of(status, "\nTgid")) == getpid());
  const unsigned long long bit = 1ULL << (signal - 1);
  printf(", blocks it: %d", (strtoull(value_of(status, "SigBlk"), NULL, 16) & bit) != 0);
  printf(", has it: %d\n", (strtoull(value_of(status, "SigPnd"), NULL, 16) & bit) != 0);
}

static void* look_at_oneself(void* name) {
  MUST(pthread_setname_np(pthread_self(), name) == 0);
  compute_for(0);
  block(SIGUSR2);
  MUST(raise(SIGUSR2) == 0);
  compute_for(60);
  for (int i = 0; i < 2; ++i) {
    const int tid = i == 0 ? own_tid() : 0;
    const int used_ms = (int)clock_ms(CLOCK_THREAD_CPUTIME_ID);
    look_at_stat(tid, own_tid(), used_ms, used_ms + 100);
    look_at_status(tid, own_tid(), SIGUSR2);
    printf("comm: %s", contents(tid, "comm"));
    long long nanos = 0, waited = -1, turns = -1;
    printf("schedstat: %d fields\n",
           sscanf(contents(tid, "schedstat"), "%lld %lld %lld", &nanos, &waited, &turns));
    CHECK(nanos >= 40000000);
  }
  return NULL;
}

static void of_oneself(void) { finish(start(look_at_oneself, "looker")); }

static void* sleep_until_over(void* argument) {
  MUST(pthread_setname_np(pthread_self(), "napper") == 0);
  block(SIGUSR1);
  other_tid = own_tid();
  while (sem_wait(&is_over) != 0) {
  }
  return argument;
}

static char state_of(int tid) {
  const char* const behind_name = strrchr(contents(tid, "stat"), ')');
  return behind_name != NULL ? behind_name[2] : '?';
}

static void await_sleep(int tid) {
  for (const long long end = now_ms() + 5000; state_of(tid) != 'S' && now_ms() < end;) nap(1);
}

// The thread's id goes a little after a join has returned.
static void await_absence(int tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int fd = 0;
  for (const long long end = now_ms() + 5000; fd >= 0 && now_ms() < end;) {
    nap(5);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
  }
}

static void of_another(void) {
  other_tid = 0;
  MUST(sem_init(&is_over, 0, 0) == 0);
  const pthread_t napper = start(sleep_until_over, NULL);
  while (!other_tid) nap(1);
  await_sleep(other_tid);
  look_at_stat(other_tid, other_tid, 0, 1000);
  look_at_status(other_tid, other_tid, SIGUSR1);
  printf("comm: %s", contents(other_tid, "comm"));
  MUST(sem_post(&is_over) == 0);
  finish(napper);
  await_absence(other_tid);
  (void)contents(other_tid, "stat");
  (void)contents(other_tid, "comm");
}

// The first thread is the same, whatever kernel thread runs it.
static void of_the_first(void) {
  MUST(pthread_setname_np(pthread_self(), "first") == 0);
  int wrong = 0;
  for (int i = 0; i < 50; ++i) {
    pthread_t others[4];
    for (int k = 0; k < 4; ++k) others[k] = start(nap_a_little, NULL);
    nap(1);
    wrong += strcmp(contents(0, "comm"), "first\n") != 0 || atoi(contents(0, "stat")) != getpid();
    for (int k = 0; k < 4; ++k) finish(others[k]);
  }
  printf("wrong: %d\n", wrong);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/comm", getpid(), getpid());
  const int fd = open(path, O_RDONLY);
  char text[32] = "";
  CHECK(read(fd, text, sizeof text - 1) > 0);
  close(fd);
  printf("comm: %s", text);
}

// The caller's name is also changed by its file.
static void* rename_oneself(void* argument) {
  const int fd = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC);
  MUST(fd >= 0 && write(fd, "other", 5) == 5);
  close(fd);
  char name[16];
  MUST(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
  printf("named %s\n", name);
  return argument;
}

static void written(void) { finish(start(rename_oneself, NULL)); }

static const struct twin_case cases[] = {
    {"of_oneself", THREADS, of_oneself},
    {"of_another", THREADS, of_another},
    {"of_the_first", THREADS, of_the_first},
    {"written", THREADS, written},
};

TWIN_MAIN(cases)
