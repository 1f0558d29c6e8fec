// Who has sent a signal: the same for each way in which it is taken.
#include <sched.h>
#include <stdint.h>

#include "handlers.h"

static _Atomic int is_over, handled_by_pid, handled_code;

static void note_sender(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  handled_code = info->si_code;
  handled_by_pid = info->si_pid;
}

// In and out of calls, so that signals come at any moment of them.
static void* turn_about(void* argument) {
  while (!is_over) {
    struct timespec moment = {0, 100000};
    nanosleep(&moment, NULL);
    sched_yield();
  }
  return argument;
}

static void say(int to, char what) { MUST(write(to, &what, 1) == 1); }

static int hear(int from) {
  char what = 0;
  return read(from, &what, 1) == 1 ? what : 0;
}

// Sends one for each byte.
static pid_t start_sender(int* requests) {
  MUST(pipe(requests) == 0);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    close(requests[1]);
    while (hear(requests[0]) != 0) {
      if (kill(parent, SIGUSR1) != 0) _exit(1);
    }
    _exit(0);
  }
  close(requests[0]);
  return child;
}

static void wait_for_handler(int pid) {
  for (const long long end = now_ms() + 5000; !handled_by_pid && now_ms() < end;) nap(1);
  CHECK(handled_by_pid == pid && handled_code == SI_USER);
  handled_by_pid = 0;
}

static void install_note_sender(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note_sender;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void by_turns(void) {
  int requests[2];
  pthread_t others[4];
  had_a_thread();
  const pid_t sender = start_sender(requests);
  install_note_sender();
  is_over = 0;
  block(SIGUSR1);
  for (int i = 0; i < 2; ++i) others[i] = start(turn_about, NULL);
  unblock(SIGUSR1);
  for (int i = 2; i < 4; ++i) others[i] = start(turn_about, NULL);
  for (int i = 0; i < 300; ++i) {
    say(requests[1], 'x');
    wait_for_handler(sender);
    MUST(kill(getpid(), SIGUSR1) == 0);
    wait_for_handler(getpid());
  }
  is_over = 1;
  for (int i = 0; i < 4; ++i) finish(others[i]);
  close(requests[1]);
  say_end_of(sender);
}

// Threads let it in and keep it out by turns, and one takes it.
static void* toggle(void* argument) {
  while (!is_over) {
    unblock(SIGUSR1);
    sched_yield();
    block(SIGUSR1);
    nap(1);
  }
  return argument;
}

static void taken(void) {
  int requests[2];
  pthread_t others[3];
  had_a_thread();
  const pid_t sender = start_sender(requests);
  install_note_sender();
  is_over = 0;
  block(SIGUSR1);
  for (int i = 0; i < 3; ++i) others[i] = start(toggle, NULL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  for (int i = 0; i < 600; ++i) {
    const int by_child = i % 2 == 0, pid = by_child ? sender : getpid();
    if (by_child) {
      say(requests[1], 'x');
    } else {
      MUST(kill(getpid(), SIGUSR1) == 0);
    }
    siginfo_t info;
    const struct timespec moment = {0, 2000000};
    int got = 0;
    for (const long long end = now_ms() + 5000; !got && !handled_by_pid && now_ms() < end;) {
      got = sigtimedwait(&set, &info, &moment) == SIGUSR1;
    }
    CHECK(got || handled_by_pid);
    CHECK(got ? info.si_pid == pid && info.si_code == SI_USER
              : handled_by_pid == pid && handled_code == SI_USER);
    handled_by_pid = 0;
  }
  is_over = 1;
  for (int i = 0; i < 3; ++i) finish(others[i]);
  close(requests[1]);
  say_end_of(sender);
}

static const struct twin_case cases[] = {
    {"by_turns", THREADS, by_turns},
    {"taken", THREADS, taken},
};

TWIN_MAIN(cases)
