// What the kernel keeps for each thread, and only that thread can change: namespaces, capabilities,
// a filter, settings.  It holds for that thread alone, wherever it waits in between, and for those
// that it starts.
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/ipc.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "twin.h"

enum { CROWD = 4, NAPS = 10 };

// Others that are on the move between carriers meanwhile, and see what they saw before.
typedef long look_function(void);
static look_function* look;
static long seen_before;
static _Atomic int is_over;

static void* watch(void* argument) {
  while (!is_over) {
    CHECK(look() == seen_before);
    nap(1);
    sched_yield();
  }
  return argument;
}

static void* look_once(void* argument) {
  (void)argument;
  return as_pointer(look());
}

struct part {
  long (*change)(long wanted);
  long wanted;
};

static void* change_and_stay(void* argument) {
  const struct part* part = argument;
  if (part->change(part->wanted) != 0) return as_pointer(errno);
  for (int i = 0; i < NAPS; ++i) {
    CHECK(look() == part->wanted);
    nap(1);
  }
  CHECK(as_number(finish(start(look_once, NULL))) == part->wanted);
  return NULL;
}

// Two threads that want something of their own, among others; then the first thread, unless that
// would keep the tests from writing files.
enum whose { OTHERS, FIRST_TOO };
static void each_its_own(enum whose whose, look_function* how_to_look, long (*change)(long),
                         long one, long two) {
  look = how_to_look;
  seen_before = look();
  is_over = 0;
  pthread_t crowd[CROWD];
  for (int i = 0; i < CROWD; ++i) crowd[i] = start(watch, NULL);
  struct part parts[] = {{change, one}, {change, two}};
  pthread_t a = start(change_and_stay, &parts[0]);
  pthread_t b = start(change_and_stay, &parts[1]);
  printf("%s\n", error_name((int)as_number(finish(a))));
  printf("%s\n", error_name((int)as_number(finish(b))));
  CHECK(look() == seen_before);
  // The crowd must go on seeing what it saw.
  if (whose == FIRST_TOO && change(one) == 0) {
    for (int i = 0; i < NAPS; ++i) {
      CHECK(look() == one);
      nap(1);
    }
    CHECK(as_number(finish(start(look_once, NULL))) == one);
  }
  is_over = 1;
  for (int i = 0; i < CROWD; ++i) finish(crowd[i]);
}

static long number_in_host_name(void) {
  struct utsname names;
  MUST(uname(&names) == 0);
  return strncmp(names.nodename, "twin", 4) == 0 ? atol(names.nodename + 4) : -1;
}

static long rename_host(long number) {
  if (unshare(CLONE_NEWUTS) != 0) return -1;
  char name[32];
  snprintf(name, sizeof name, "twin%ld", number);
  return sethostname(name, strlen(name));
}

static void namespaces(void) { each_its_own(FIRST_TOO, number_in_host_name, rename_host, 1, 2); }

static long slack(void) { return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0); }
static long set_slack(long nanoseconds) { return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }
static void timer_slack(void) { each_its_own(FIRST_TOO, slack, set_slack, 70000, 80000); }

static long is_randomized(void) { return (personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0; }
static long set_randomized(long is_on) {
  return personality(is_on ? 0 : ADDR_NO_RANDOMIZE) < 0 ? -1 : 0;
}
static void personalities(void) { each_its_own(FIRST_TOO, is_randomized, set_randomized, 0, 1); }

static long file_user(void) { return setfsuid((uid_t)-1); }
static long set_file_user(long user) {
  setfsuid((uid_t)user);
  if (file_user() == user) return 0;
  errno = EPERM;
  return -1;
}
static void file_users(void) { each_its_own(OTHERS, file_user, set_file_user, 1234, 5678); }

static long file_group(void) { return setfsgid((gid_t)-1); }
static long set_file_group(long group) {
  setfsgid((gid_t)group);
  if (file_group() == group) return 0;
  errno = EPERM;
  return -1;
}
static void file_groups(void) { each_its_own(FIRST_TOO, file_group, set_file_group, 1234, 5678); }

static long policy(void) {
  int mode = 0;
  return syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 ? mode : -1;
}
static long set_policy(long mode) {
  unsigned long first_node = 1;
  return syscall(SYS_set_mempolicy, mode, &first_node, 8 * sizeof first_node);
}
static void memory_policies(void) {
  each_its_own(FIRST_TOO, policy, set_policy, MPOL_BIND, MPOL_INTERLEAVE);
}

static long gs_base(void) {
  unsigned long base = 1;
  MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0);
  return (long)base;
}
static long set_gs_base(long base) { return syscall(SYS_arch_prctl, ARCH_SET_GS, base); }
static void registers(void) { each_its_own(FIRST_TOO, gs_base, set_gs_base, 0x10000, 0x20000); }

// Whether files can be opened for writing, where a domain is entered that forbids it.
static long is_restricted(void) {
  int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno == EACCES;
  close(fd);
  return 0;
}
static long restrict_files(long restricts) {
  if (!restricts) return 0;
  const struct landlock_ruleset_attr rules = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
  int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
  if (fd < 0) return -1;
  long result =
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -1 : syscall(SYS_landlock_restrict_self, fd, 0);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}
static void domains(void) { each_its_own(OTHERS, is_restricted, restrict_files, 1, 0); }

// The ports of the kernel's debugging output, which nobody reads.
static void* use_ports(void* argument) {
  printf("%s\n", said(ioperm(0xe9, 1, 1)));
  nap(1);
  printf("%s\n", said(ioperm(0xe9, 1, 0)));
  printf("%s\n", said(iopl(3)));
  nap(1);
  printf("%s\n", said(iopl(0)));
  return argument;
}

static void ports(void) {
  finish(start(use_ports, NULL));
  use_ports(NULL);
}

static long effective_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  MUST(syscall(SYS_capget, &header, data) == 0);
  return data[0].effective;
}
static long set_effective_capabilities(long set) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  MUST(syscall(SYS_capget, &header, data) == 0);
  data[0].effective = (unsigned)set;
  return syscall(SYS_capset, &header, data);
}
static void capabilities(void) {
  each_its_own(FIRST_TOO, effective_capabilities, set_effective_capabilities, 0, 1 << CAP_CHOWN);
}

static long is_filtered(void) { return syscall(SYS_getppid) < 0 ? errno : 0; }
static long filter(long error) {
  if (error == 0) return 0;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
             ? -1
             : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
static void filters(void) { each_its_own(FIRST_TOO, is_filtered, filter, EXDEV, ENOTTY); }

// Semaphores of a namespace of its own, which two threads wait for and post.
static int semaphores;

static void* post(void* argument) {
  struct sembuf one_more = {0, 1, 0};
  nap(20);
  CHECK(semop(semaphores, &one_more, 1) == 0);
  return argument;
}

static void* wait_elsewhere(void* argument) {
  long result = unshare(CLONE_NEWIPC);
  printf("%s\n", said(result));
  if (result != 0) return argument;
  semaphores = semget(IPC_PRIVATE, 1, 0600);
  CHECK(semaphores >= 0);
  pthread_t poster = start(post, NULL);
  struct sembuf one_less = {0, -1, 0};
  CHECK(semop(semaphores, &one_less, 1) == 0);
  finish(poster);
  return argument;
}

static void waits_elsewhere(void) {
  for (int i = 0; i < 2; ++i) finish(start(wait_elsewhere, NULL));
}

// A FIFO, named from a working directory of its own.
static void* write_to_fifo(void* argument) {
  nap(20);
  const int fd = open("fifo", O_WRONLY);
  CHECK(fd >= 0 && write(fd, "x", 1) == 1);
  close(fd);
  return argument;
}

static void* read_from_fifo(void* path) {
  char byte = 0;
  MUST(unshare(CLONE_FS) == 0 && chdir(path) == 0);
  pthread_t writer = start(write_to_fifo, NULL);
  const int fd = open("fifo", O_RDONLY);
  CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'x');
  close(fd);
  finish(writer);
  return NULL;
}

static void fifos(void) {
  char path[] = "/tmp/twin_XXXXXX", fifo[32];
  MUST(mkdtemp(path));
  snprintf(fifo, sizeof fifo, "%s/fifo", path);
  MUST(mkfifo(fifo, 0600) == 0);
  for (int i = 0; i < 2; ++i) finish(start(read_from_fifo, path));
  unlink(fifo);
  rmdir(path);
  printf("read\n");
}

// They leave the thread as it was.
static void* fail(void* argument) {
  for (int i = 0; i < 3; ++i) {
    printf("%s\n", said(unshare(CLONE_PARENT)));
    printf("%s\n", said(setns(-1, 0)));
    printf("%s\n", said(prctl(PR_SET_PDEATHSIG, 4711, 0, 0, 0)));
    nap(1);
  }
  return argument;
}

static void errors(void) {
  finish(start(fail, NULL));
  fail(NULL);
}

static const struct twin_case cases[] = {
    {"namespaces", THREADS, namespaces},
    {"timer_slack", THREADS, timer_slack},
    {"personalities", THREADS, personalities},
    {"file_users", THREADS, file_users},
    {"file_groups", THREADS, file_groups},
    {"memory_policies", THREADS, memory_policies},
    {"registers", THREADS, registers},
    {"domains", THREADS, domains},
    {"ports", THREADS, ports},
    {"capabilities", THREADS, capabilities},
    {"filters", THREADS, filters},
    {"waits_elsewhere", THREADS, waits_elsewhere},
    {"fifos", THREADS, fifos},
    {"errors", THREADS, errors},
};

TWIN_MAIN(cases)
