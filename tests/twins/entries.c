// The ways by which a program's system calls are made: libc's functions, by their numbers, by
// instructions of its own; and what a program may forbid itself.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

static long by_instruction(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

static void* write_by_instruction(void* fd) {
  const struct timespec span = {0, 10000000};
  CHECK(by_instruction(SYS_nanosleep, (long)&span, 0, 0) == 0);
  CHECK(by_instruction(SYS_write, as_number(fd), (long)"x", 1) == 1);
  return NULL;
}

static void read_from_thread(void* (*writer)(void*)) {
  int ends[2];
  char text[2] = "";
  MUST(pipe(ends) == 0);
  pthread_t thread = start(writer, as_pointer(ends[1]));
  printf("read %ld", by_instruction(SYS_read, ends[0], (long)text, 1));
  printf(" %s\n", text);
  finish(thread);
  printf("read %ld\n", by_instruction(SYS_read, -1, 0, 0));
  close(ends[0]);
  close(ends[1]);
}

// In the child, which has this very stack, nothing but the end.
static void* vfork_by_instruction(void* argument) {
  register long sixth __asm__("r9") = 0x1234567890;
  long result = SYS_vfork;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov $60, %%eax\n\t"
      "mov $7, %%edi\n\t"
      "syscall\n"
      "1:"
      : "+a"(result), "+r"(sixth)
      :
      : "rcx", "r11", "rdi", "memory");
  int status = 0;
  CHECK(result > 0 && waitpid((pid_t)result, &status, 0) == (pid_t)result);
  printf("code %d, r9 %lx\n", WEXITSTATUS(status), sixth);
  return argument;
}

static void registers_stay(void) { finish(start(vfork_by_instruction, NULL)); }

// By the way in of 32-bit programs, which have numbers of their own, where the kernel has it.
static void* ask_as_32_bits(void* argument) {
  const pid_t child = fork();
  if (child == 0) {
    long result = 20;  // getpid
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    _exit(result == getpid() ? 8 : 9);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) {
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    printf("process id %d\n", result == getpid());
  }
  return argument;
}

static void numbers_of_32_bits(void) { finish(start(ask_as_32_bits, NULL)); }

static void own_instructions(void) { read_from_thread(write_by_instruction); }

static void* write_by_libc(void* fd) {
  nap(10);
  CHECK(write((int)as_number(fd), "x", 1) == 1);
  return NULL;
}

// PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN (Linux 6.3): code can't be rewritten from here on.
static void code_is_sealed(void) {
  const int set_mdwe = 65;
  const int said_no = prctl(set_mdwe, 1, 0, 0, 0) != 0;
  printf("sealed: %s\n", said_no ? error_name(errno) : "ok");
  read_from_thread(write_by_libc);
  FILE* pipe = popen("echo from the shell", "r");
  MUST(pipe);
  char line[32] = "";
  MUST(fgets(line, sizeof line, pipe));
  printf("%scode %d\n", line, pclose(pipe));
}

static void* finish_process(void* argument) {
  nap(2);
  _exit((int)as_number(argument));
}

// The child sleeps, and makes a thread of its own.
static void be_child(int code) {
  nap(2);
  finish(start(finish_process, as_pointer(code)));
  _exit(1);
}

static void* fork_by_number(void* argument) {
  pid_t child = (pid_t)syscall(SYS_fork);
  if (child == 0) be_child(11);
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  printf("fork: code %d\n", WEXITSTATUS(status));
  child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) be_child(12);
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  printf("clone: code %d\n", WEXITSTATUS(status));
  return argument;
}

static void* sleep_long(void* argument) {
  nap(3600 * 1000);
  return argument;
}

static void forks_by_number(void) {
  for (int i = 0; i < 3; ++i) pthread_detach(start(sleep_long, NULL));
  finish(start(fork_by_number, NULL));
}

static void* sleep_a_little(void* argument) {
  nap(2);
  return argument;
}

static volatile sig_atomic_t sigsys_code = 1000;

static void on_sigsys(int signal, siginfo_t* info, void* context) {
  (void)context;
  sigsys_code = signal == SIGSYS ? info->si_code : -1000;
}

// A signal of which an entry may make use.
static void sigsys_is_the_programs(void) {
  finish(start(sleep_a_little, NULL));
  struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGSYS, &action, NULL) == 0);
  raise(SIGSYS);
  printf("raised: %d\n", sigsys_code == SI_TKILL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSYS);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  sigsys_code = 1000;
  raise(SIGSYS);
  nap(1);
  printf("blocked: %d\n", sigsys_code == 1000);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
  printf("unblocked: %d\n", sigsys_code == SI_TKILL);
  struct sigaction old;
  CHECK(signal(SIGSYS, SIG_DFL) != SIG_ERR && sigaction(SIGSYS, NULL, &old) == 0);
  const pid_t child = fork();
  if (child == 0) {
    finish(start(sleep_a_little, NULL));
    raise(SIGSYS);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  printf("default: %s\n", old.sa_handler == SIG_DFL && WIFSIGNALED(status) ? "dies" : "?");
}

static const struct twin_case cases[] = {
    {"registers_stay", THREADS, registers_stay},
    {"numbers_of_32_bits", THREADS, numbers_of_32_bits},
    {"own_instructions", THREADS, own_instructions},
    {"code_is_sealed", THREADS, code_is_sealed},
    {"forks_by_number", THREADS, forks_by_number},
    {"sigsys_is_the_programs", THREADS, sigsys_is_the_programs},
};

TWIN_MAIN(cases)
