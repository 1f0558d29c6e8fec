// Threads whose every call wakes somebody who takes the processor from them: another process, which
// answers them.  Their thread-locals are right all the same, also under a filter that forbids one
// of the ways to switch them.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "processors.h"

enum { TALKING = 6, LASTING_MS = 120, SILENT_MS = 5 };

static __thread long own_number;
static int own_end[TALKING];
static pthread_barrier_t barrier;
static void (*filter)(void);  // what the first one does when all have talked for a while

static void answer_all(const int* ends) {
  struct pollfd fds[TALKING];
  for (int i = 0; i < TALKING; ++i) fds[i] = (struct pollfd){ends[i], POLLIN, 0};
  for (;;) {
    MUST(poll(fds, TALKING, -1) > 0);
    for (int i = 0; i < TALKING; ++i) {
      char byte;
      if (fds[i].revents == 0) continue;
      if (read(fds[i].fd, &byte, 1) != 1) _exit(0);
      MUST(write(fds[i].fd, &byte, 1) == 1);
    }
  }
}

static void talk(long number) {
  for (const long long end = now_ms() + LASTING_MS; now_ms() < end;) {
    char byte = (char)number;
    MUST(write(own_end[number], &byte, 1) == 1);
    CHECK(own_number == number);
    byte = 0;
    CHECK(read(own_end[number], &byte, 1) == 1 && byte == number);
    CHECK(own_number == number);
    errno = (int)number;
    CHECK(close(-1) == -1 && errno == EBADF);
  }
}

static void* talk_before_and_after(void* argument) {
  own_number = as_number(argument);
  talk(own_number);
  pthread_barrier_wait(&barrier);
  nap(SILENT_MS);
  if (own_number == 0 && filter != NULL) filter();
  talk(own_number);
  return argument;
}

static void talk_with_partner(void (*first_does)(void)) {
  filter = first_does;
  int other_end[TALKING];
  const cpu_set_t one = only(processor(0));
  for (int i = 0; i < TALKING; ++i) {
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    own_end[i] = ends[0];
    other_end[i] = ends[1];
  }
  MUST(sched_setaffinity(0, sizeof one, &one) == 0);
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  const pid_t partner = fork();
  if (partner == 0) {
    for (int i = 0; i < TALKING; ++i) close(own_end[i]);
    answer_all(other_end);
  }
  for (int i = 0; i < TALKING; ++i) close(other_end[i]);
  pthread_barrier_init(&barrier, NULL, TALKING);
  pthread_t threads[TALKING];
  for (long i = 0; i < TALKING; ++i) threads[i] = start(talk_before_and_after, as_pointer(i));
  for (int i = 0; i < TALKING; ++i) finish(threads[i]);
  for (int i = 0; i < TALKING; ++i) close(own_end[i]);
  int status;
  CHECK(waitpid(partner, &status, 0) == partner && status == 0);
  printf("all were answered\n");
}

static void refuse(unsigned flags) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
}

static void refuse_own(void) { refuse(0); }
static void refuse_all(void) { refuse(SECCOMP_FILTER_FLAG_TSYNC); }

static void answered(void) { talk_with_partner(NULL); }
static void refused_to_one(void) { talk_with_partner(refuse_own); }
static void refused_to_all(void) { talk_with_partner(refuse_all); }

static const struct twin_case cases[] = {
    {"answered", THREADS, answered},
    {"refused_to_one", THREADS, refused_to_one},
    {"refused_to_all", THREADS, refused_to_all},
};

TWIN_MAIN(cases)
