// Kernel threads and processes that the program makes by clone(3), on the thread-locals of the
// thread that calls it.
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

enum {
  kAsThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
};

enum { kStack = 256 * 1024, kGuests = 4, kRounds = 200 };

static char* new_stack(void) {
  char* const memory =
      mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(memory != MAP_FAILED);
  return memory + kStack;
}

static int exit_code_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void wait_for_end(int* tid) {
  for (int seen; (seen = __atomic_load_n(tid, __ATOMIC_ACQUIRE)) != 0;) {
    syscall(SYS_futex, tid, FUTEX_WAIT, seen, NULL, NULL, 0);
  }
}

static __thread int local = 5;

struct guest {
  int there[2], back[2];
  sem_t asked, answered;
  uint32_t word;
  int tid;
  int rounds;
  int local_seen;
};

// What it calls itself needs nothing of its own of libc, natively either.
static int answer(void* argument) {
  struct guest* const guest = argument;
  guest->local_seen = local;
  char c;
  while (read(guest->there[0], &c, 1) == 1) {
    nap(0);
    if (write(guest->back[1], &c, 1) != 1) return 1;
    while (sem_wait(&guest->asked) != 0) continue;
    ++guest->rounds;
    sem_post(&guest->answered);
    while (__atomic_load_n(&guest->word, __ATOMIC_ACQUIRE) != 1) {
      syscall(SYS_futex, &guest->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    __atomic_store_n(&guest->word, 2, __ATOMIC_RELEASE);
    syscall(SYS_futex, &guest->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  return 0;
}

static void ask(struct guest* guest) {
  char c = 'x';
  __atomic_store_n(&guest->word, 0, __ATOMIC_RELEASE);
  CHECK(write(guest->there[1], &c, 1) == 1 && read(guest->back[0], &c, 1) == 1);
  sem_post(&guest->asked);
  while (sem_wait(&guest->answered) != 0) continue;
  __atomic_store_n(&guest->word, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &guest->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  for (uint32_t seen; (seen = __atomic_load_n(&guest->word, __ATOMIC_ACQUIRE)) != 2;) {
    syscall(SYS_futex, &guest->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
  }
}

static void* talk_to_guest(void* argument) {
  local = (int)as_number(argument);
  struct guest guest = {.rounds = 0};
  MUST(pipe(guest.there) == 0 && pipe(guest.back) == 0);
  MUST(sem_init(&guest.asked, 0, 0) == 0 && sem_init(&guest.answered, 0, 0) == 0);
  char* const stack = new_stack();
  MUST(clone(answer, stack, kAsThread | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID, &guest,
             &guest.tid, NULL, &guest.tid) > 0);
  for (int i = 0; i < kRounds; ++i) ask(&guest);
  close(guest.there[1]);
  wait_for_end(&guest.tid);
  munmap(stack - kStack, kStack);
  CHECK(guest.local_seen == local);
  return as_pointer(guest.rounds);
}

static void kernel_threads(void) {
  for (int time = 0; time < 2; ++time) {
    pthread_t threads[kGuests];
    for (int i = 0; i < kGuests; ++i) threads[i] = start(talk_to_guest, as_pointer(10 + i));
    for (int i = 0; i < kGuests; ++i) printf("%ld\n", as_number(finish(threads[i])));
  }
}

static void* add_one(void* argument) {
  nap(1);
  return as_pointer(as_number(argument) + 1);
}

static int be_a_process(void* argument) {
  nap(5);
  if (local != 6 || getpid() != (pid_t)syscall(SYS_gettid)) return 99;
  return (int)as_number(finish(start(add_one, argument)));
}

static void* clone_with_copy(void* argument) {
  local = 6;
  char* const stack = new_stack();
  const pid_t child = clone(be_a_process, stack, SIGCHLD, argument);
  CHECK(child > 0);
  nap(1);
  printf("code %d\n", exit_code_of(child));
  munmap(stack - kStack, kStack);
  return NULL;
}

static void processes_with_copies(void) {
  pthread_t sleeper = start(add_one, NULL);
  for (long i = 0; i < 3; ++i) finish(start(clone_with_copy, as_pointer(i)));
  finish(sleeper);
}

static int change_and_end(void* argument) {
  nap(5);
  *(int*)argument = 8;
  return 9;
}

static int change_and_exec(void* argument) {
  *(int*)argument = 8;
  execl("/bin/sh", "sh", "-c", "exit 11", (char*)NULL);
  return 127;
}

static void* clone_while_waiting(void* argument) {
  char* const stack = new_stack();
  for (int i = 0; i < 2; ++i) {
    int shared = 7;
    const pid_t child = clone(i == 0 ? change_and_end : change_and_exec, stack,
                              CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
    printf("shared %d\n", shared);
    printf("code %d\n", exit_code_of(child));
    nap(1);
  }
  munmap(stack - kStack, kStack);
  return argument;
}

static void processes_while_waiting(void) {
  pthread_t sleeper = start(add_one, NULL);
  finish(start(clone_while_waiting, NULL));
  finish(sleeper);
}

struct beside {
  int ends[2];
  int value;
};

static int write_and_end(void* argument) {
  struct beside* const beside = argument;
  nap(5);
  beside->value = 3;
  return write(beside->ends[1], "x", 1) == 1 ? 4 : 5;
}

static void* clone_beside(void* argument) {
  struct beside beside = {.value = 0};
  char c = 0;
  MUST(pipe(beside.ends) == 0);
  char* const stack = new_stack();
  const pid_t child = clone(write_and_end, stack, CLONE_VM | SIGCHLD, &beside);
  CHECK(read(beside.ends[0], &c, 1) == 1);
  printf("%c %d\n", c, beside.value);
  printf("code %d\n", exit_code_of(child));
  munmap(stack - kStack, kStack);
  return argument;
}

static void processes_beside(void) {
  pthread_t sleeper = start(add_one, NULL);
  for (int i = 0; i < 3; ++i) finish(start(clone_beside, NULL));
  finish(sleeper);
}

// Its other name, which no header declares.
int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

static void bad_arguments(void) {
  finish(start(add_one, NULL));
  char* const stack = new_stack();
  int (*volatile nothing)(void*) = NULL;
  printf("%s\n", said(clone(nothing, stack, SIGCHLD, NULL)));
  printf("%s\n", said(__clone(change_and_end, NULL, SIGCHLD, NULL)));
  printf("%s\n", said(clone(change_and_end, stack, CLONE_VM | CLONE_THREAD, NULL)));
  printf("%s\n", said(clone(change_and_end, stack, CLONE_SIGHAND | SIGCHLD, NULL)));
}

// A lock that knows its owner, by what libc keeps of a thread.
static pthread_mutex_t checked;

static int lock_and_unlock(void* argument) {
  int* const results = argument;
  results[0] = pthread_mutex_lock(&checked);
  results[1] = pthread_mutex_lock(&checked);
  results[2] = pthread_mutex_unlock(&checked);
  return 0;
}

static void* let_one_lock(void* argument) {
  int results[3] = {-1, -1, -1}, tid = 1;
  CHECK(clone(lock_and_unlock, new_stack(), kAsThread | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
              results, &tid, NULL, &tid) > 0);
  wait_for_end(&tid);
  for (int i = 0; i < 3; ++i) printf("%s\n", error_name(results[i]));
  return argument;
}

static void locks_with_owners(void) {
  pthread_mutexattr_t attributes;
  MUST(pthread_mutexattr_init(&attributes) == 0);
  MUST(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK) == 0);
  MUST(pthread_mutex_init(&checked, &attributes) == 0);
  finish(start(let_one_lock, NULL));
}

// Its maker waits for it, and it for a thread that is yet to be made.
static int ends_of_pipe[2];

static int read_byte(void* argument) {
  char byte;
  _exit(read(ends_of_pipe[0], &byte, 1) == 1 ? 7 : 8);
  (void)argument;
}

static void* make_one_that_reads(void* argument) {
  const pid_t child = clone(read_byte, new_stack(), CLONE_VFORK | SIGCHLD, NULL);
  printf("exit code %d\n", exit_code_of(child));
  return argument;
}

static void* write_byte(void* argument) {
  CHECK(write(ends_of_pipe[1], "x", 1) == 1);
  return argument;
}

static void waiting_for_a_copy(void) {
  MUST(pipe(ends_of_pipe) == 0);
  pthread_t maker = start(make_one_that_reads, NULL);
  nap(50);
  finish(start(write_byte, NULL));
  finish(maker);
}

static const struct twin_case cases[] = {
    {"kernel_threads", THREADS, kernel_threads},
    {"processes_with_copies", THREADS, processes_with_copies},
    {"processes_while_waiting", THREADS, processes_while_waiting},
    {"processes_beside", THREADS, processes_beside},
    {"locks_with_owners", THREADS, locks_with_owners},
    {"waiting_for_a_copy", THREADS, waiting_for_a_copy},
    {"bad_arguments", THREADS, bad_arguments},
};

TWIN_MAIN(cases)
