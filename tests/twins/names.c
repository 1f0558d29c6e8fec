// The further names of libc's functions, by which libraries and programs compiled with checks
// (_FORTIFY_SOURCE) call them: each does on a thread what the plain name does.
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "twin.h"

// No header declares most of them.
static void* named(const char* name) {
  void* function = dlsym(RTLD_DEFAULT, name);
  if (function == NULL) {
    printf("no %s\n", name);
    exit(3);
  }
  return function;
}

#define CALL(type, name) (__extension__(type) named(#name))
#define SAY(what, call) printf("%s: %ld\n", what, (long)(call))

typedef int of_fd(int);
typedef int of_fds(int, int);
typedef int of_path(const char*, int, ...);
typedef ssize_t reads(int, void*, size_t);
typedef ssize_t writes(int, const void*, size_t);

static int ends[2];
static char text[8];
static struct iovec part = {text, 2};

static void write_and(ssize_t (*take)(void)) {
  CHECK(CALL(writes*, __write)(ends[1], "ab", 2) == 2);
  memset(text, 0, sizeof text);
  printf("%zd %s\n", take(), text);
}

static ssize_t by_read(void) { return CALL(reads*, __read)(ends[0], text, sizeof text); }
static ssize_t by_checked_read(void) {
  typedef ssize_t checked(int, void*, size_t, size_t);
  return CALL(checked*, __read_chk)(ends[0], text, 4, sizeof text);
}
static ssize_t by_checked_recv(void) {
  typedef ssize_t checked(int, void*, size_t, size_t, int);
  return CALL(checked*, __recv_chk)(ends[0], text, 4, sizeof text, 0);
}
static ssize_t by_checked_recvfrom(void) {
  typedef ssize_t checked(int, void*, size_t, size_t, int, struct sockaddr*, socklen_t*);
  return CALL(checked*, __recvfrom_chk)(ends[0], text, 4, sizeof text, 0, NULL, NULL);
}

static void* take_data(void* argument) {
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  write_and(by_read);
  write_and(by_checked_read);
  write_and(by_checked_recv);
  write_and(by_checked_recvfrom);
  typedef ssize_t sends(int, const void*, size_t, int);
  SAY("__send", CALL(sends*, __send)(ends[1], "cd", 2, 0));
  struct pollfd wish = {ends[0], POLLIN, 0};
  typedef int polls(struct pollfd*, nfds_t, int);
  SAY("__poll", CALL(polls*, __poll)(&wish, 1, -1));
  typedef int checked(struct pollfd*, nfds_t, int, size_t);
  SAY("__poll_chk", CALL(checked*, __poll_chk)(&wish, 1, -1, sizeof wish));
  typedef int precise(struct pollfd*, nfds_t, const struct timespec*, const sigset_t*, size_t);
  SAY("__ppoll_chk", CALL(precise*, __ppoll_chk)(&wish, 1, NULL, NULL, sizeof wish));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  typedef int selects(int, fd_set*, fd_set*, fd_set*, struct timeval*);
  SAY("__select", CALL(selects*, __select)(ends[0] + 1, &set, NULL, NULL, NULL));
  typedef int connects(int, const struct sockaddr*, socklen_t);
  SAY("__connect", CALL(connects*, __connect)(-1, NULL, 0));
  int event = eventfd(0, 0);
  eventfd_t value = 0;
  SAY("eventfd_write", eventfd_write(event, 3));
  SAY("eventfd_read", eventfd_read(event, &value));
  printf("value %d\n", (int)value);
  CALL(of_fd*, __close)(event);
  CALL(of_fd*, __close)(ends[0]);
  CALL(of_fd*, __close)(ends[1]);
  return argument;
}

static void data(void) { finish(start(take_data, NULL)); }

static char path[] = "/tmp/namesXXXXXX";

static void take_and_close(const char* name, int fd) {
  SAY(name, fd >= 0 && CALL(of_fd*, __close)(fd) == 0);
}

static void* open_files(void* argument) {
  typedef int creates(const char*, mode_t);
  typedef int at(int, const char*, int, ...);
  take_and_close("creat64", CALL(creates*, creat64)(path, 0600));
  take_and_close("__open", CALL(of_path*, __open)(path, O_RDONLY));
  take_and_close("__open64", CALL(of_path*, __open64)(path, O_RDONLY));
  take_and_close("open64", CALL(of_path*, open64)(path, O_RDONLY));
  take_and_close("openat", CALL(at*, openat)(AT_FDCWD, path, O_RDONLY));
  take_and_close("openat64", CALL(at*, openat64)(AT_FDCWD, path, O_RDONLY));

  const int fd = open(path, O_RDWR);
  typedef ssize_t moves(int, const struct iovec*, int, off_t, int);
  memcpy(text, "xy", 2);
  SAY("pwritev2", CALL(moves*, pwritev2)(fd, &part, 1, 0, 0));
  SAY("pwritev64v2", CALL(moves*, pwritev64v2)(fd, &part, 1, 2, 0));
  typedef ssize_t reads_at(int, void*, size_t, off_t);
  typedef ssize_t reads_parts_at(int, const struct iovec*, int, off_t);
  SAY("pread64", CALL(reads_at*, pread64)(fd, text, 1, 0));
  SAY("__pread64", CALL(reads_at*, __pread64)(fd, text, 2, 0));
  typedef ssize_t checked_at(int, void*, size_t, off_t, size_t);
  SAY("__pread_chk", CALL(checked_at*, __pread_chk)(fd, text, 1, 0, sizeof text));
  SAY("__pread64_chk", CALL(checked_at*, __pread64_chk)(fd, text, 2, 0, sizeof text));
  SAY("preadv64", CALL(reads_parts_at*, preadv64)(fd, &part, 1, 1));
  SAY("preadv2", CALL(moves*, preadv2)(fd, &part, 1, 2, 0));
  SAY("preadv64v2", CALL(moves*, preadv64v2)(fd, &part, 1, 3, 0));
  SAY("syncfs", syncfs(fd));
  SAY("msync", msync(NULL, 0, MS_SYNC));

  int other[2];
  off_t from = 0;
  MUST(pipe(ends) == 0 && pipe(other) == 0);
  typedef ssize_t sends(int, int, off_t*, size_t);
  SAY("sendfile", CALL(sends*, sendfile)(ends[1], fd, &from, 1));
  SAY("sendfile64", CALL(sends*, sendfile64)(ends[1], fd, &from, 1));
  SAY("tee", tee(ends[0], other[1], 2, 0));
  SAY("splice", splice(ends[0], NULL, other[1], NULL, 2, 0));
  SAY("vmsplice", vmsplice(other[1], &part, 1, 0));
  for (int i = 0; i < 2; ++i) close(ends[i]), close(other[i]);

  typedef int controls(int, int, ...);
  SAY("__fcntl", CALL(controls*, __fcntl)(fd, F_GETFD));
  SAY("fcntl64", CALL(controls*, fcntl64)(fd, F_SETFD, FD_CLOEXEC));
  SAY("__dup2", CALL(of_fds*, __dup2)(fd, 901));
  SAY("dup3", dup3(fd, 902, O_CLOEXEC));
  SAY("close_range", close_range(901, 901, 0));
  typedef void closes(int);
  CALL(closes*, closefrom)(900);
  SAY("closed", fcntl(901, F_GETFD) == -1 && fcntl(902, F_GETFD) == -1);
  close(fd);
  return argument;
}

static void files(void) {
  MUST(mkstemp(path) >= 0);
  finish(start(open_files, NULL));
  unlink(path);
}

static void* wait_for_children(void* argument) {
  typedef pid_t waits(int*);
  typedef pid_t waits_for(pid_t, int*, int);
  int status = 0;
  pid_t child = fork();
  if (child == 0) _exit(3);
  SAY("__wait", CALL(waits*, __wait)(&status) == child && WEXITSTATUS(status) == 3);
  child = fork();
  if (child == 0) _exit(4);
  SAY("__waitpid",
      CALL(waits_for*, __waitpid)(child, &status, 0) == child && WEXITSTATUS(status) == 4);
  extern pid_t __vfork(void) __attribute__((returns_twice));
  child = __vfork();
  if (child == 0) _exit(5);
  SAY("__vfork", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
  return argument;
}

static void children(void) { finish(start(wait_for_children, NULL)); }

static void* rest(void* argument) {
  typedef int sleeps(const struct timespec*, struct timespec*);
  typedef int yields(void);
  const struct timespec soon = {0, 1000000};
  SAY("__nanosleep", CALL(sleeps*, __nanosleep)(&soon, NULL));
  SAY("__sched_yield", CALL(yields*, __sched_yield)());
  // By a name that is there for programs compiled long ago.
  yields* old = __extension__(yields*) dlvsym(RTLD_DEFAULT, "pthread_yield", "GLIBC_2.2.5");
  MUST(old != NULL);
  SAY("pthread_yield", old());
  struct timespec until = after_ms(CLOCK_REALTIME, 10);
  SAY("mq_timedsend", mq_timedsend(-1, "x", 1, 0, &until));
  return argument;
}

static void times(void) { finish(start(rest, NULL)); }

static const struct twin_case cases[] = {
    {"data", THREADS, data},
    {"files", THREADS, files},
    {"children", THREADS, children},
    {"times", THREADS, times},
};

TWIN_MAIN(cases)
