// Descriptors that are neither pipe nor socket, and the flags of all of them: no file description
// becomes non-blocking unless the program says so, for other processes share it.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "twin.h"

static int fds[2];

static void* signal_slowly(void* argument) {
  for (long i = 1; i <= as_number(argument); ++i) {
    const uint64_t value = (uint64_t)i;
    nap(2);
    CHECK(write(fds[0], &value, sizeof value) == sizeof value);
  }
  return NULL;
}

static void* overflow(void* argument) {
  (void)argument;
  const uint64_t most = UINT64_MAX - 1;
  CHECK(write(fds[0], &most, sizeof most) == sizeof most);
  const uint64_t one = 1;
  CHECK(write(fds[0], &one, sizeof one) == sizeof one);  // Waits for the reader.
  return NULL;
}

static void eventfds(void) {
  uint64_t value, sum = 0;
  fds[0] = eventfd(0, EFD_CLOEXEC);
  pthread_t writer = start(signal_slowly, as_pointer(4));
  while (sum < 10) {
    CHECK(read(fds[0], &value, sizeof value) == sizeof value);
    sum += value;
  }
  finish(writer);
  printf("sum %d\n", (int)sum);
  writer = start(overflow, NULL);
  nap(3);
  CHECK(read(fds[0], &value, sizeof value) == sizeof value && value == UINT64_MAX - 1);
  CHECK(read(fds[0], &value, sizeof value) == sizeof value && value == 1);
  finish(writer);
  printf("short: %s\n", said(read(fds[0], &value, 4)));
  close(fds[0]);
  fds[0] = eventfd(0, EFD_SEMAPHORE);
  writer = start(signal_slowly, as_pointer(2));
  for (int i = 0; i < 3; ++i) CHECK(read(fds[0], &value, sizeof value) == 8 && value == 1);
  finish(writer);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  printf("empty: %s\n", said(read(fds[0], &value, sizeof value)));
  close(fds[0]);
}

static void* count_expirations(void* argument) {
  const int timer = (int)as_number(argument);
  const struct itimerspec every = {{0, 5000000}, {0, 10000000}};
  const long long before = now_ms();
  CHECK(timerfd_settime(timer, 0, &every, NULL) == 0);
  uint64_t expirations, total = 0;
  while (total < 3) {
    CHECK(read(timer, &expirations, sizeof expirations) == sizeof expirations && expirations > 0);
    total += expirations;
  }
  CHECK(now_ms() - before >= 19);
  return NULL;
}

static void timerfds(void) {
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  finish(start(count_expirations, as_pointer(timer)));
  struct pollfd watched = {.fd = timer, .events = POLLIN};
  CHECK(poll(&watched, 1, 5000) == 1);
  close(timer);
  printf("expired\n");
}

static void* use_files(void* argument) {
  FILE* const file = argument;
  char text[64] = "";
  const int fd = fileno(file);
  printf("write %zd, ", write(fd, "regular file\n", 13));
  printf("pread %zd, ", pread(fd, text, 7, 0));
  CHECK(lseek(fd, 8, SEEK_SET) == 8);
  memset(text, 0, sizeof text);
  printf("read %zd %s", read(fd, text, sizeof text), text);
  printf("end %zd, sync %s\n", read(fd, text, sizeof text), said(fsync(fd)));
  const int null = open("/dev/null", O_RDWR);
  const int zero = open("/dev/zero", O_RDONLY);
  printf("null %zd %zd, zero %zd\n", write(null, "x", 1), read(null, text, 1), read(zero, text, 9));
  struct pollfd watched[] = {{.fd = fd, .events = POLLIN | POLLOUT},
                             {.fd = null, .events = POLLIN}};
  printf("ready %d\n", poll(watched, 2, 1000));
  close(null);
  close(zero);
  return NULL;
}

static void regular_files(void) {
  FILE* const file = tmpfile();
  MUST(file);
  finish(start(use_files, file));
  fclose(file);
}

static void* type_lines(void* argument) {
  (void)argument;
  nap(3);
  CHECK(write(fds[0], "hel", 3) == 3);
  nap(3);
  CHECK(write(fds[0], "lo\nworld\n\004", 10) == 10);  // Ends with the end-of-file character.
  return NULL;
}

static void terminals(void) {
  char text[64] = "";
  MUST(openpty(&fds[0], &fds[1], NULL, NULL, NULL) == 0);
  pthread_t typist = start(type_lines, NULL);
  for (int i = 0; i < 3; ++i) {
    const ssize_t got = read(fds[1], text, sizeof text);
    printf("line of %zd: %.*s\n", got, got > 0 ? (int)got - 1 : 0, text);
  }
  finish(typist);
  size_t echoed = 0;
  while (echoed < 14) {  // The terminal has echoed both lines, with \r\n.
    const ssize_t got = read(fds[0], text + echoed, sizeof text - echoed);
    MUST(got > 0);
    echoed += (size_t)got;
  }
  printf("echo %zu %d\n", echoed, memcmp(text, "hello\r\nworld\r\n", 14));
  CHECK((fcntl(fds[1], F_GETFL) & O_NONBLOCK) == 0);
  close(fds[1]);
  printf("hung up: %s\n", said(read(fds[0], text, 1)));
  close(fds[0]);
}

static void* read_one(void* argument) {
  char byte;
  CHECK(read((int)as_number(argument), &byte, 1) == 1);
  return NULL;
}

// While a thread waits on each, neither this process nor a child that shares the descriptions may
// find O_NONBLOCK on them.
static int non_blocking_seen(const int* list, int count) {
  int seen = 0;
  for (int i = 0; i < count; ++i) seen += (fcntl(list[i], F_GETFL) & O_NONBLOCK) != 0;
  return seen;
}

static void flags_are_left_alone(void) {
  int pipe_ends[2], pair[2], terminal[2];
  MUST(pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  MUST(openpty(&terminal[0], &terminal[1], NULL, NULL, NULL) == 0);
  const int list[] = {pipe_ends[0], pipe_ends[1], pair[0], pair[1], terminal[0], terminal[1]};
  const pid_t child = fork();
  if (child == 0) {
    int seen = 0;
    for (int i = 0; i < 30; ++i) {
      seen += non_blocking_seen(list, 6);
      nap(1);
    }
    _exit(seen > 0);
  }
  pthread_t readers[] = {start(read_one, as_pointer(pipe_ends[0])),
                         start(read_one, as_pointer(pair[0])),
                         start(read_one, as_pointer(terminal[1]))};
  int seen = 0, status = -1;
  for (int i = 0; i < 20; ++i) {
    seen += non_blocking_seen(list, 6);
    nap(1);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(write(pipe_ends[1], "x", 1) == 1);
  CHECK(write(pair[1], "x", 1) == 1);
  CHECK(write(terminal[0], "x\n", 2) == 2);
  for (int i = 0; i < 3; ++i) finish(readers[i]);
  seen += non_blocking_seen(list, 6);
  printf("seen here %d, by the child %d\n", seen, WEXITSTATUS(status));
}

static void* read_all(void* argument) {
  char bytes[4096];
  long sum = 0;
  nap(10);
  for (ssize_t size; (size = read((int)as_number(argument), bytes, sizeof bytes)) > 0;) sum += size;
  return as_pointer(sum);
}

// A number that was tried while nothing was open under it, and then became a pipe's: the writer
// waits for a reader that can only run when it does.
static void numbers_come_back(void) {
  static char much[1 << 20];
  int ends[2];
  MUST(pipe(ends) == 0);
  pthread_t reader = start(read_all, as_pointer(ends[0]));
  close(ends[1]);
  printf("closed: %s, ", said(write(ends[1], much, 1)));
  printf("read %ld\n", as_number(finish(reader)));
  close(ends[0]);
  printf("closed: %s\n", said(read(ends[0], much, 1)));
  MUST(pipe(ends) == 0);
  reader = start(read_all, as_pointer(ends[0]));
  CHECK(write(ends[1], much, sizeof much) == sizeof much);
  close(ends[1]);
  printf("read %ld\n", as_number(finish(reader)));
  close(ends[0]);
}

static _Atomic int stopped;

// Sleeps by an instruction of its own, of which nobody but the kernel knows.
static void sleep_unseen(long ms) {
  struct timespec span = {0, ms * 1000000};
  long result = 35;  // nanosleep
  __asm__ volatile("syscall" : "+a"(result) : "D"(&span), "S"(0) : "rcx", "r11", "memory");
  CHECK(result == 0);
}

static void* sleep_often(void* argument) {
  for (int i = 0; i < 25; ++i) {
    sleep_unseen(15);
    sched_yield();
  }
  stopped = 1;
  return argument;
}

// Nobody else opens anything, so the lowest free number stays the same.
static void lowest_number_stays(void) {
  pthread_t sleeper = start(sleep_often, NULL);
  const int lowest = open("/dev/null", O_RDONLY);
  MUST(lowest >= 0 && close(lowest) == 0);
  int others = 0;
  while (!stopped) {
    const int fd = dup(0);
    others += fd != lowest;
    close(fd);
    sched_yield();
  }
  finish(sleeper);
  printf("others %d\n", others);
}

enum { kFaults = 3, kPageSize = 4096 };

static char* missing;
static int faults;

static void* touch(void* argument) {
  return as_pointer(((volatile char*)missing)[as_number(argument) * kPageSize]);
}

// Poll says of a userfaultfd that blocks that there is an error.
static void* bring_page(void* argument) {
  static char page[kPageSize] __attribute__((aligned(kPageSize)));
  struct uffd_msg message;
  MUST(read(faults, &message, sizeof message) == sizeof message);
  struct uffdio_copy copy = {
      .dst = message.arg.pagefault.address & ~(kPageSize - 1ULL),
      .src = (uintptr_t)page,
      .len = kPageSize,
  };
  CHECK(ioctl(faults, UFFDIO_COPY, &copy) == 0);
  return argument;
}

static void page_faults(void) {
  struct uffdio_api api = {.api = UFFD_API};
  // Of faults in the program's own code, which everybody may have.
  faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  MUST(faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0);
  missing =
      mmap(NULL, kFaults * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(missing != MAP_FAILED);
  struct uffdio_register area = {.range = {(uintptr_t)missing, kFaults * kPageSize},
                                 .mode = UFFDIO_REGISTER_MODE_MISSING};
  MUST(ioctl(faults, UFFDIO_REGISTER, &area) == 0);
  pthread_t readers[kFaults], touchers[kFaults];
  for (int i = 0; i < kFaults; ++i) readers[i] = start(bring_page, NULL);
  for (int i = 0; i < kFaults; ++i) {
    nap(20);
    const long long before = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    nap(200);
    CHECK(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - before < 100);  // nobody spins
    touchers[i] = start(touch, as_pointer(i));
  }
  for (int i = 0; i < kFaults; ++i) finish(touchers[i]);
  for (int i = 0; i < kFaults; ++i) finish(readers[i]);
  close(faults);
  printf("all there\n");
}

static const struct twin_case cases[] = {
    {"eventfds", THREADS, eventfds},
    {"timerfds", THREADS, timerfds},
    {"regular_files", THREADS, regular_files},
    {"terminals", THREADS, terminals},
    {"page_faults", THREADS, page_faults},
    {"flags_are_left_alone", THREADS, flags_are_left_alone},
    {"numbers_come_back", THREADS, numbers_come_back},
    {"lowest_number_stays", THREADS, lowest_number_stays},
};

TWIN_MAIN(cases)
