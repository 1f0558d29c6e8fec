// What a handler may do: jump out, wait, raise, fork, end its thread; and what a fork's child
// keeps.
//
// Compiled with -fexceptions, so that the clean-ups of C frames run when a thread is unwound.
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "handlers.h"

static sigjmp_buf back;
static _Atomic int armed, stopped;

static void jump_out(int number) { siglongjmp(back, number); }

static void* divide_by_zero(void* argument) {
  static volatile int some = 8, zero;
  install(SIGFPE, jump_out, 0);
  if (sigsetjmp(back, 1) == 0) {
    printf("quotient %d\n", some / zero);
  } else {
    printf("caught\n");
  }
  return argument;
}

static void jump_from_division(void) { finish(start(divide_by_zero, NULL)); }

static void* jump_from_pauses(void* argument) {
  for (volatile int i = 0; i < 3; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      armed = i + 1;
      for (;;) pause();
    }
    printf("jumped %d\n", i);
  }
  return argument;
}

static void jump_from_pause(void) {
  armed = 0;
  install(SIGUSR1, jump_out, 0);
  pthread_t thread = start(jump_from_pauses, NULL);
  for (int i = 0; i < 3; ++i) {
    while (armed != i + 1) nap(1);
    nap(5);
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
  }
  finish(thread);
}

static void* fault_thrice(void* argument) {
  char* const page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(page != MAP_FAILED);
  for (volatile int i = 0; i < 3; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      *(volatile char*)page = 1;
      printf("written\n");
    } else {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, NULL, &mask);
      printf("caught %d, blocked %d\n", i, sigismember(&mask, SIGSEGV));
    }
  }
  munmap(page, 4096);
  stopped = 1;
  return argument;
}

static void jump_from_fault(void) {
  install(SIGSEGV, jump_out, 0);
  finish(start(fault_thrice, NULL));
}

static void nap_and_jump(int number) {
  sched_yield();
  nap(10);
  siglongjmp(back, number);
}

static void* nap_until_stopped(void* argument) {
  while (!stopped) nap(1);
  return argument;
}

// Other threads run while the handler waits.
static void jump_after_nap(void) {
  stopped = 0;
  install(SIGSEGV, nap_and_jump, 0);
  pthread_t other = start(nap_until_stopped, NULL);
  finish(start(fault_thrice, NULL));
  finish(other);
}

static void die_of_it(int number) {
  signal(number, SIG_DFL);
  raise(number);  // Kills as the handler returns, which unblocks it.
}

static void raise_doom(void) {
  install(SIGTERM, die_of_it, 0);
  raise(SIGTERM);
}

static void* raise_term(void* argument) {
  raise(SIGTERM);
  return argument;
}

static void raise_doom_in_thread(void) {
  install(SIGTERM, die_of_it, 0);
  finish(start(raise_term, NULL));
}

static void start_alarm(void) {
  const struct itimerval soon = {{0, 0}, {0, 20000}};
  MUST(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void spin_until_doom(void) {
  install(SIGALRM, die_of_it, 0);
  start_alarm();
  while (hits == 0) {
  }
}

static void reraised_kills(void) {
  in_child(raise_doom);
  in_child(raise_doom_in_thread);
  in_child(spin_until_doom);
}

static _Atomic int hits_inside;

static void raise_once_more(int number) {
  if (hits++ == 0) {
    raise(number);
    hits_inside = hits;
  }
}

static void say_nesting(void) { printf("inside %d, after %d\n", hits_inside, hits); }

static void* raise_nested(void* argument) {
  install(SIGUSR1, raise_once_more, 0);
  raise(SIGUSR1);
  say_nesting();
  return argument;
}

static void raised_in_handler(void) {
  finish(start(raise_nested, NULL));
  raise_nested(NULL);
}

static void* spin_until_alarm(void* argument) {
  unblock(SIGALRM);
  install(SIGALRM, raise_once_more, 0);
  start_alarm();
  while (hits == 0) {
  }
  say_nesting();
  block(SIGALRM);
  return argument;
}

// The same when the signal meets no call, but a thread that computes.
static void raised_in_alarm(void) {
  had_a_thread();
  spin_until_alarm(NULL);
  finish(start(spin_until_alarm, NULL));
}

static void nap_and_count(int number) {
  (void)number;
  nap(5);
  ++hits;
}

static void handlers_nap(void) {
  stopped = 0;
  install(SIGUSR1, nap_and_count, SA_RESTART);
  pthread_t one = start(nap_until_stopped, NULL);
  pthread_t other = start(nap_until_stopped, NULL);
  for (int i = 1; i <= 5; ++i) {
    CHECK(pthread_kill(one, SIGUSR1) == 0);
    CHECK(pthread_kill(other, SIGUSR1) == 0);
    while (hits < 2 * i) nap(1);
  }
  stopped = 1;
  finish(one);
  finish(other);
  printf("handled %d\n", hits);
}

static _Atomic int code_of_child;

static void fork_in_handler(int number) {
  int status = -1;
  (void)number;
  const pid_t child = fork();
  if (child == 0) return;
  CHECK(waitpid(child, &status, 0) == child);
  code_of_child = WEXITSTATUS(status);
}

static void* suspend_and_exit(void* argument) {
  sigset_t none;
  sigemptyset(&none);
  printf("sigsuspend: %s, ", said(sigsuspend(&none)));
  printf("child's code %d\n", code_of_child);
  if (code_of_child == 0) exit(7);  // The child, in which the handler has returned as well.
  return argument;
}

static void handler_forks(void) {
  install(SIGUSR1, fork_in_handler, 0);
  block(SIGUSR1);
  pthread_t thread = start(suspend_and_exit, NULL);
  nap(5);
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  finish(thread);
  unblock(SIGUSR1);
}

static void say_cleaned(const int* what) { printf("cleaned up %d\n", *what); }

static void block_in_frame(int fd, int depth) {
  const int frame __attribute__((cleanup(say_cleaned))) = depth;
  char byte;
  (void)frame;
  if (depth > 0) {
    block_in_frame(fd, depth - 1);
  } else {
    armed = 1;
    if (fd < 0) {
      for (;;) pause();
    }
    CHECK(read(fd, &byte, 1) == 1);
  }
}

static void* block_in_frames(void* argument) {
  block_in_frame((int)as_number(argument), 2);
  return NULL;
}

static pthread_t start_armed(void* (*body)(void*), void* argument) {
  armed = 0;
  pthread_t thread = start(body, argument);
  while (!armed) nap(1);
  nap(5);
  return thread;
}

static void cancel_unwinds(void) {
  int ends[2];
  MUST(pipe(ends) == 0);
  pthread_t thread = start_armed(block_in_frames, as_pointer(ends[0]));
  CHECK(pthread_cancel(thread) == 0);
  printf("cancelled %d\n", finish(thread) == PTHREAD_CANCELED);
}

static void end_thread(int number) {
  (void)number;
  pthread_exit(as_pointer(5));
}

static void exit_in_handler_unwinds(void) {
  install(SIGUSR1, end_thread, 0);
  pthread_t thread = start_armed(block_in_frames, as_pointer(-1));
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  printf("result %ld\n", as_number(finish(thread)));
}

static void* fork_with_stack(void* argument) {
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  MUST(sigaltstack(&stack, NULL) == 0);
  const pid_t child = fork();
  if (child == 0) {
    stack_t kept;
    struct sigaction action;
    sigaltstack(NULL, &kept);
    sigaction(SIGUSR1, NULL, &action);
    printf("stack %d, flags %d\n", kept.ss_sp == stack.ss_sp, kept.ss_flags);
    printf("handler %d, restart %d\n", action.sa_handler == note_hit,
           (action.sa_flags & SA_RESTART) != 0);
    _exit(3);
  }
  say_end_of(child);
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, NULL);
  free(stack.ss_sp);
  return argument;
}

static void child_keeps_settings(void) {
  install(SIGUSR1, note_hit, SA_RESTART);
  finish(start(fork_with_stack, NULL));
}

static void raise_within(int number) {
  if (++hits < 5) raise(number);
}

static void raise_reset(void) { raise(SIGTERM); }

// The handler serves once, so that what it raises meets the default action.
static void child_keeps_reset(void) {
  install(SIGTERM, raise_within, SA_RESETHAND);
  in_child(raise_reset);
}

static void* fork_and_fork(void* argument) {
  pid_t child = fork();
  if (child == 0) {
    install(SIGUSR2, note_hit, 0);
    raise(SIGUSR2);
    had_a_thread();
    raise(SIGUSR1);
    printf("child: handled %d, here %d\n", hits, hit_here());
    child = fork();
    if (child == 0) {
      raise(SIGUSR1);
      printf("grandchild: handled %d, here %d\n", hits, hit_here());
      _exit(4);
    }
    say_end_of(child);
    _exit(5);
  }
  say_end_of(child);
  return argument;
}

// Beside many threads, which are not in the child.
static void children_handle(void) {
  pthread_t others[20];
  stopped = 0;
  install(SIGUSR1, note_hit, 0);
  for (int i = 0; i < 20; ++i) others[i] = start(nap_until_stopped, NULL);
  finish(start(fork_and_fork, NULL));
  stopped = 1;
  for (int i = 0; i < 20; ++i) finish(others[i]);
}

static const struct twin_case cases[] = {
    {"jump_from_division", THREADS, jump_from_division},
    {"jump_from_pause", THREADS, jump_from_pause},
    {"jump_from_fault", THREADS, jump_from_fault},
    {"jump_after_nap", THREADS, jump_after_nap},
    {"reraised_kills", THREADS, reraised_kills},
    {"raised_in_handler", THREADS, raised_in_handler},
    {"raised_in_alarm", THREADS, raised_in_alarm},
    {"handlers_nap", THREADS, handlers_nap},
    {"handler_forks", THREADS, handler_forks},
    {"cancel_unwinds", THREADS, cancel_unwinds},
    {"exit_in_handler_unwinds", THREADS, exit_in_handler_unwinds},
    {"child_keeps_settings", THREADS, child_keeps_settings},
    {"child_keeps_reset", THREADS, child_keeps_reset},
    {"children_handle", THREADS, children_handle},
};

TWIN_MAIN(cases)
