// A process with one thread: it must look the same with and without the shim, and so must all that
// blocks in it.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "twin.h"

static int count_entries(const char* path) {
  int count = 0;
  DIR* const directory = opendir(path);
  MUST(directory);
  for (const struct dirent* entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

static void descriptors_and_tasks(void) {
  printf("descriptors %d\n", count_entries("/proc/self/fd"));
  printf("tasks %d\n", count_entries("/proc/self/task"));
  const int lowest = open("/dev/null", O_RDONLY);
  printf("lowest free %d\n", lowest);
  close(lowest);
}

static void signal_state(void) {
  char line[256];
  FILE* const file = fopen("/proc/self/status", "r");
  MUST(file);
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, "Sig", 3) == 0 && strncmp(line, "SigQ", 4) != 0) printf("%s", line);
  }
  fclose(file);
  stack_t stack;
  CHECK(sigaltstack(NULL, &stack) == 0);
  printf("alternate stack: %d\n", (stack.ss_flags & SS_DISABLE) == 0);
}

static void limits(void) {
  for (int which = 0; which < RLIMIT_NLIMITS; ++which) {
    struct rlimit limit;
    CHECK(getrlimit((__rlimit_resource_t)which, &limit) == 0);
    printf("%d: %llu\n", which, (unsigned long long)limit.rlim_cur);
  }
}

// A child writes, and this process blocks in each of the calls in turn.
static void calls_that_block(void) {
  int ends[2], pair[2], status = -1;
  char text[16] = "";
  MUST(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 4; ++i) {
      nap(3);
      CHECK(write(ends[1], "x", 1) == 1);
      CHECK(send(pair[1], "y", 1, 0) == 1);
    }
    nap(3);
    _exit(4);
  }
  // One byte alone: on a busy machine all four may be there, and poll needs one.
  printf("read %zd\n", read(ends[0], text, 1));
  printf("recv %zd\n", recv(pair[0], text, 1, 0));
  struct pollfd watched = {.fd = ends[0], .events = POLLIN};
  printf("poll %d\n", poll(&watched, 1, -1));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[0], &set);
  printf("select %d\n", select(pair[0] + 1, &set, NULL, NULL, NULL));
  struct epoll_event event = {.events = EPOLLIN};
  const int epoll = epoll_create1(0);
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
  printf("epoll %d\n", epoll_wait(epoll, &event, 1, -1));
  CHECK(waitpid(child, &status, 0) == child);
  printf("code %d\n", WEXITSTATUS(status));
  printf("shell %d\n", WEXITSTATUS(system("exit 3")));
  printf("sleep %u\n", sleep(0));
}

static volatile sig_atomic_t caught;
static void note_signal(int number) { caught = number; }

static void signals_that_interrupt(void) {
  struct sigaction action;
  char byte;
  int ends[2];
  memset(&action, 0, sizeof action);
  action.sa_handler = note_signal;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  MUST(pipe(ends) == 0);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    while (kill(parent, SIGUSR1) == 0) nap(10);
    _exit(0);
  }
  printf("read: %s\n", said(read(ends[0], &byte, 1)));
  printf("caught %d\n", caught == SIGUSR1);
  kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) != child) {
  }
}

static const struct twin_case cases[] = {
    {"descriptors_and_tasks", ALONE, descriptors_and_tasks},
    {"signal_state", ALONE, signal_state},
    {"limits", ALONE, limits},
    {"calls_that_block", ALONE, calls_that_block},
    {"signals_that_interrupt", ALONE, signals_that_interrupt},
};

TWIN_MAIN(cases)
