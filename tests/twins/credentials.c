// Users and groups: libc's functions change those of all threads, once for each; syscall() changes
// those of the thread that calls it.
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "handlers.h"

enum { kNobody = 65534, kThreads = 6 };

struct ids {
  uid_t real, effective, saved;
};

static struct ids ask(void) {
  struct ids ids;
  MUST(getresuid(&ids.real, &ids.effective, &ids.saved) == 0);
  return ids;
}

static void say(const char* who) {
  const struct ids ids = ask();
  printf("%s: %u %u %u\n", who, ids.real, ids.effective, ids.saved);
}

static pthread_barrier_t begun, changed;

static void* look_when_changed(void* wanted) {
  pthread_barrier_wait(&begun);
  pthread_barrier_wait(&changed);
  const struct ids ids = ask();
  CHECK(memcmp(&ids, wanted, sizeof ids) == 0);
  return NULL;
}

static void* look(void* wanted) {
  nap(2);
  const struct ids ids = ask();
  CHECK(memcmp(&ids, wanted, sizeof ids) == 0);
  return NULL;
}

// Who does it twice has another user in the end: the first time gives the privileges back that the
// second one uses.
static void take_back(void) {
  struct ids wanted = {kNobody, 0, 0};
  printf("%s\n", said(setresuid(kNobody, kNobody, (uid_t)-1)));
  MUST(pthread_barrier_init(&begun, NULL, kThreads + 1) == 0);
  MUST(pthread_barrier_init(&changed, NULL, kThreads + 1) == 0);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start(look_when_changed, &wanted);
  pthread_barrier_wait(&begun);
  printf("%s\n", said(setuid(0)));
  say("first");
  wanted = ask();
  pthread_barrier_wait(&changed);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
  for (int i = 0; i < kThreads; ++i) threads[i] = start(look, &wanted);
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
}

static void once_for_each(void) { in_child(take_back); }

static _Atomic int is_over;

static void* change_for_all(void* argument) {
  for (int i = 0; i < 60; ++i) {
    CHECK(seteuid(getuid()) == 0);
    CHECK(setegid(getgid()) == 0);
  }
  return argument;
}

static void* come_and_go(void* argument) {
  while (!is_over) had_a_thread();
  return argument;
}

// Changes by several at a time, while threads begin and end.
static void by_several(void) {
  pthread_t other = start(come_and_go, NULL), threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start(change_for_all, NULL);
  for (int i = 0; i < 3; ++i) finish(threads[i]);
  is_over = 1;
  finish(other);
  printf("changed\n");
}

static _Atomic int ready;

static void* be_another(void* user) {
  const long result = syscall(SYS_setresuid, (uid_t)as_number(user), -1, -1);
  const int error = errno;
  struct ids wanted = ask();
  CHECK(result != 0 || wanted.real == (uid_t)as_number(user));
  for (int i = 0; i < 5; ++i) {
    finish(start(look, &wanted));
    look(&wanted);
  }
  ++ready;
  while (ready < 3) nap(1);
  if (result != 0) return as_pointer(error);
  wanted.saved = 3000;
  finish(start(look, &wanted));
  look(&wanted);
  return NULL;
}

// What libc changes for all, it changes for those as well.
static void differ(void) {
  pthread_t one = start(be_another, as_pointer(1000)), two = start(be_another, as_pointer(2000));
  while (ready < 2) nap(1);
  say("first");
  printf("%s\n", said(setresuid((uid_t)-1, (uid_t)-1, 3000)));
  ready = 3;
  printf("%s\n", error_name((int)as_number(finish(one))));
  printf("%s\n", error_name((int)as_number(finish(two))));
  say("first");
  printf("%s\n", said(syscall(SYS_setresuid, 4000, -1, -1)));
  say("first");
  struct ids wanted = ask();
  for (int i = 0; i < 3; ++i) finish(start(look, &wanted));
}

static void of_one_thread(void) { in_child(differ); }

static void* keep_no_privileges(void* argument) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  CHECK(syscall(SYS_capset, &header, none) == 0);
  ready = 1;
  while (ready == 1) nap(1);
  return argument;
}

static void change_beside_it(void) {
  pthread_t thread = start(keep_no_privileges, NULL);
  while (!ready) nap(1);
  printf("%s\n", said(setresuid(kNobody, (uid_t)-1, (uid_t)-1)));
  ready = 2;
  finish(thread);
  say("first");
}

// libc ends a process in which one thread can't do what another could.
static void one_that_may_not(void) { in_child(change_beside_it); }

// What else a thread has of its own doesn't keep it from what the process does.
static void* has_settings(void* wanted) {
  CHECK(prctl(PR_SET_TIMERSLACK, 70000, 0, 0, 0) == 0);
  return look_when_changed(wanted);
}

static void change_with_settings(void) {
  struct ids wanted;
  MUST(pthread_barrier_init(&begun, NULL, 3) == 0);
  MUST(pthread_barrier_init(&changed, NULL, 3) == 0);
  pthread_t one = start(has_settings, &wanted), two = start(look_when_changed, &wanted);
  CHECK(prctl(PR_SET_TIMERSLACK, 80000, 0, 0, 0) == 0);
  pthread_barrier_wait(&begun);
  printf("%s\n", said(setresuid(kNobody, kNobody, (uid_t)-1)));
  printf("%s\n", said(setuid(0)));
  say("first");
  wanted = ask();
  pthread_barrier_wait(&changed);
  finish(one);
  finish(two);
}

static void with_settings(void) { in_child(change_with_settings); }

static void* have_no_groups(void* argument) {
  printf("%s\n", said(syscall(SYS_setgroups, 0, NULL)));
  return as_pointer(getgroups(0, NULL) + as_number(argument));
}

static void set_groups(void) {
  const gid_t groups[] = {1, 2, 3};
  printf("%s\n", said(setgroups(3, groups)));
  const int count = getgroups(0, NULL);
  printf("%ld\n", as_number(finish(start(have_no_groups, as_pointer(0)))));
  CHECK(getgroups(0, NULL) == count);
  const pid_t child = fork();
  if (child == 0) {
    // A fork's child begins anew.
    had_a_thread();
    printf("%s\n", said(setgroups(1, groups)));
    printf("%s\n", said(seteuid(kNobody)));
    say("child");
    _exit(twin_failures != 0);
  }
  say_end_of(child);
}

static void groups(void) { in_child(set_groups); }

static const struct twin_case cases[] = {
    {"once_for_each", THREADS, once_for_each}, {"by_several", THREADS, by_several},
    {"of_one_thread", THREADS, of_one_thread}, {"one_that_may_not", THREADS, one_that_may_not},
    {"with_settings", THREADS, with_settings}, {"groups", THREADS, groups},
};

TWIN_MAIN(cases)
