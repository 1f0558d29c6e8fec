// Calls of the table that no other twin makes: what each answers to a thread.
#include <fcntl.h>
#include <grp.h>
#include <linux/aio_abi.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "twin.h"

#define SAY(call) printf("%s: %s\n", #call, said(call))

static int file_with(const char* text) {
  char path[] = "/tmp/rowsXXXXXX";
  const int fd = mkstemp(path);
  MUST(fd >= 0 && unlink(path) == 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  return fd;
}

// Data between files and pipes.
static void* move_data(void* argument) {
  int in = file_with("abcdef"), out = file_with(""), ends[2], more[2];
  char text[8] = "";
  struct iovec part = {text, 3};
  off_t from = 0;
  loff_t start_of_in = 0, start_of_out = 0;
  MUST(pipe(ends) == 0 && pipe(more) == 0);
  printf("preadv2 %zd %s\n", preadv2(in, &part, 1, 1, 0), text);
  printf("preadv %zd %s\n", preadv(in, &part, 1, 2), text);
  printf("pwritev2 %zd\n", pwritev2(out, &part, 1, 0, 0));
  printf("pwritev %zd\n", pwritev(out, &part, 1, 3));
  printf("copy_file_range %zd\n", copy_file_range(in, &start_of_in, out, &start_of_out, 2, 0));
  printf("sendfile %zd\n", sendfile(ends[1], in, &from, 4));
  printf("tee %zd\n", tee(ends[0], more[1], 8, 0));
  printf("splice %zd\n", splice(ends[0], NULL, more[1], NULL, 8, 0));
  printf("vmsplice %zd\n", vmsplice(ends[1], &part, 1, 0));
  printf("read %zd\n", read(more[0], text, 8));
  printf("read %zd\n", read(ends[0], text, 8));
  SAY(msync(NULL, 0, MS_SYNC));
  SAY(syncfs(in));
  sync();
  const int fds[] = {in, out, ends[0], ends[1], more[0], more[1]};
  for (int i = 0; i < 6; ++i) close(fds[i]);
  return argument;
}

static void data(void) { finish(start(move_data, NULL)); }

static void* use_descriptors(void* argument) {
  int fd = open("/dev/null", O_RDONLY);
  SAY(dup3(fd, fd, 0));
  CHECK(dup3(fd, 900, O_CLOEXEC) == 900 && dup3(fd, 902, 0) == 902);
  SAY(fcntl(900, F_GETFD));
  SAY(close_range(900, 902, 0));
  SAY(close_range(2, 1, 0));
  SAY(fcntl(900, F_GETFD));
  SAY(fcntl(902, F_GETFD));
  SAY(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY));
  SAY(syscall(SYS_io_uring_register, -1, 0, NULL, 0));
  close(fd);
  return argument;
}

static void numbers_of_descriptors(void) { finish(start(use_descriptors, NULL)); }

// With the id 0, the caller's.
static void* keep_schedule(void* argument) {
  struct sched_param param = {0};
  struct timespec slice;
  cpu_set_t set;
  struct {
    unsigned size, policy;
    unsigned long long flags;
    int nice;
    unsigned rest[16];
  } attributes = {0};
  printf("policy %d\n", sched_getscheduler(0));
  SAY(sched_getparam(0, &param));
  SAY(sched_setparam(0, &param));
  SAY(sched_setscheduler(0, SCHED_OTHER, &param));
  param.sched_priority = 99;
  SAY(sched_setscheduler(0, SCHED_OTHER, &param));
  SAY(sched_rr_get_interval(0, &slice));
  SAY(sched_getaffinity(0, sizeof set, &set));
  SAY(sched_setaffinity(0, sizeof set, &set));
  SAY(syscall(SYS_sched_getattr, 0, &attributes, 48, 0));
  SAY(syscall(SYS_sched_setattr, 0, &attributes, 0));
  const long self = syscall(SYS_gettid);
  printf("I/O priority %ld\n", syscall(SYS_ioprio_get, 1, self));
  SAY(syscall(SYS_ioprio_set, 1, self, syscall(SYS_ioprio_get, 1, self)));
  SAY(syscall(SYS_ioprio_get, 1, -1));
  SAY(syscall(SYS_ioprio_get, 12345, 0));
  errno = 0;
  printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
  SAY(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)));
  SAY(setpriority(12345, 0, 0));
  return argument;
}

static void schedule(void) { finish(start(keep_schedule, NULL)); }

static void* keep_credentials(void* argument) {
  gid_t groups[1024];
  const int count = getgroups(1024, groups);
  SAY(setgid(getgid()));
  SAY(setreuid((uid_t)-1, (uid_t)-1));
  SAY(setregid((gid_t)-1, (gid_t)-1));
  SAY(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
  SAY(setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1));
  SAY(setgroups((size_t)(count > 0 ? count : 0), groups));
  return argument;
}

static void same_credentials(void) { finish(start(keep_credentials, NULL)); }

static void run_in_child(void (*body)(void)) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(99);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  printf("code %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static char* const words[] = {"sh", "-c", "exit 5", NULL};
static char* const none[] = {NULL};

static void start_program(void) { execve("/bin/sh", words, none); }
static void start_program_at(void) { syscall(SYS_execveat, AT_FDCWD, "/bin/sh", words, none, 0); }
static void end_all(void) { syscall(SYS_exit_group, 6); }

static void* start_programs(void* argument) {
  run_in_child(start_program);
  run_in_child(start_program_at);
  run_in_child(end_all);
  SAY(execve("/nonexistent", words, none));
  SAY(syscall(SYS_execveat, AT_FDCWD, "/nonexistent", words, none, 0));
  return argument;
}

static void programs(void) { finish(start(start_programs, NULL)); }

static volatile sig_atomic_t handled;

static void note(int number) { handled += number == SIGUSR1; }

// To the caller itself, by each number.
static void* signal_itself(void* argument) {
  const struct sigaction action = {.sa_handler = note};
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  const pid_t process = getpid();
  const int self = (int)syscall(SYS_gettid);
  MUST(sigaction(SIGUSR1, &action, NULL) == 0);
  SAY(syscall(SYS_tkill, self, SIGUSR1));
  printf("handled %d\n", (int)handled);
  SAY(syscall(SYS_tgkill, process, self, SIGUSR1));
  printf("handled %d\n", (int)handled);
  SAY(syscall(SYS_rt_tgsigqueueinfo, process, self, SIGUSR1, &info));
  printf("handled %d\n", (int)handled);
  SAY(syscall(SYS_tkill, self, 65));
  SAY(syscall(SYS_tgkill, process, -1, 0));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  SAY(syscall(SYS_rt_tgsigqueueinfo, process, self, SIGUSR1, &info));
  CHECK(sigpending(&set) == 0);
  printf("pending %d, handled %d\n", sigismember(&set, SIGUSR1), (int)handled);
  return argument;
}

static void numbers_of_signals(void) { finish(start(signal_itself, NULL)); }

// What the kernel keeps for libc in each thread.
static void* ask_about_itself(void* argument) {
  void* head = NULL;
  size_t size = 0;
  SAY(syscall(SYS_get_robust_list, 0, &head, &size));
  printf("robust list: %zu, %d\n", size, head != NULL);
  SAY(syscall(SYS_set_robust_list, head, size));
  SAY(syscall(SYS_set_robust_list, head, size + 1));
  return argument;
}

static void lists(void) { finish(start(ask_about_itself, NULL)); }

static void* use_memory(void* argument) {
  const size_t size = 1 << 16;
  char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(memory != MAP_FAILED);
  memory[0] = 'x';
  SAY(madvise(memory, size, MADV_DONTNEED));
  printf("cleared %d\n", memory[0] == 0);
  SAY(madvise(memory, size, 12345));
  SAY(madvise(memory + 1, size, MADV_DONTNEED));
  SAY(munmap(memory, size));
  printf("mallopt %d %d\n", mallopt(M_MMAP_THRESHOLD, 4096), mallopt(M_MXFAST, -1));
  return argument;
}

static void memory(void) { finish(start(use_memory, NULL)); }

static void* ask_the_kernel(void* argument) {
  char bytes[16];
  aio_context_t context = 0;
  struct io_event event;
  struct timespec none_left = {0, 0};
  printf("getrandom %zd\n", getrandom(bytes, sizeof bytes, 0));
  SAY(klogctl(10, NULL, 0));
  SAY(klogctl(12345, NULL, 0));
  SAY(syscall(SYS_keyctl, 12345L, 0L, 0L, 0L, 0L));
  SAY(syscall(SYS_request_key, "twin", "none", NULL, 0));
  MUST(syscall(SYS_io_setup, 1, &context) == 0);
  SAY(syscall(SYS_io_pgetevents, context, 1L, 1L, &event, &none_left, NULL));
  CHECK(syscall(SYS_io_destroy, context) == 0);
  return argument;
}

static void kernel(void) { finish(start(ask_the_kernel, NULL)); }

static const struct twin_case cases[] = {
    {"data", THREADS, data},         {"numbers_of_descriptors", THREADS, numbers_of_descriptors},
    {"schedule", THREADS, schedule}, {"same_credentials", THREADS, same_credentials},
    {"programs", THREADS, programs}, {"numbers_of_signals", THREADS, numbers_of_signals},
    {"lists", THREADS, lists},       {"memory", THREADS, memory},
    {"kernel", THREADS, kernel},
};

TWIN_MAIN(cases)
