// Descriptors of signalfd: of threads, from before the first thread, from another process; and
// signals that were there before.
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "handlers.h"

static int descriptor_for(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  const int fd = signalfd(-1, &set, SFD_NONBLOCK);
  MUST(fd >= 0);
  return fd;
}

// The signal that comes within a second, 0 for none.
static int read_signal(int fd) {
  struct pollfd wanted = {fd, POLLIN, 0};
  struct signalfd_siginfo info;
  if (poll(&wanted, 1, 1000) != 1) return 0;
  return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : -1;
}

static void* raise_and_read(void* fd) {
  MUST(raise(SIGUSR1) == 0);
  printf("raised: %d\n", read_signal((int)as_number(fd)) == SIGUSR1);
  MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
  printf("sent: %d\n", read_signal((int)as_number(fd)) == SIGUSR1);
  return NULL;
}

static void* make_and_read(void* argument) {
  const int fd = descriptor_for(SIGUSR1);
  raise_and_read(as_pointer(fd));
  close(fd);
  // It was there before.
  MUST(raise(SIGUSR2) == 0);
  const int later = descriptor_for(SIGUSR2);
  printf("early: %d\n", read_signal(later) == SIGUSR2);
  close(later);
  return argument;
}

static void of_threads(void) {
  block(SIGUSR1);
  block(SIGUSR2);
  finish(start(make_and_read, NULL));
  make_and_read(NULL);
}

static void from_before_threads(void) {
  block(SIGUSR1);
  const int fd = descriptor_for(SIGUSR1);
  finish(start(raise_and_read, as_pointer(fd)));
  raise_and_read(as_pointer(fd));
  close(fd);
}

// What was pending for the first thread by then is its own.
static void raised_before_threads(void) {
  block(SIGUSR1);
  block(SIGUSR2);
  block(SIGRTMIN);
  const int fd = descriptor_for(SIGUSR1);
  MUST(raise(SIGUSR1) == 0 && raise(SIGUSR2) == 0);
  for (int i = 0; i < 3; ++i) MUST(raise(SIGRTMIN) == 0);
  had_a_thread();
  printf("read: %d\n", read_signal(fd) == SIGUSR1);
  close(fd);
  pthread_t others[8];
  int missed = 0;
  sigset_t set;
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 8; ++k) others[k] = start(nap_a_little, NULL);
    MUST(sigpending(&set) == 0);
    missed += !sigismember(&set, SIGUSR2) || !sigismember(&set, SIGRTMIN);
    for (int k = 0; k < 8; ++k) finish(others[k]);
  }
  printf("missed: %d\n", missed);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGRTMIN);
  const struct timespec at_once = {0, 0};
  int taken = 0;
  while (sigtimedwait(&set, NULL, &at_once) > 0) ++taken;
  printf("taken: %d\n", taken);
}

// The program runs itself, with the descriptor's number in the environment.
static void inherited(void) {
  const char* number = getenv("TWIN_SIGNALFD");
  block(SIGUSR1);
  if (number) {
    finish(start(raise_and_read, as_pointer(strtol(number, NULL, 10))));
    return;
  }
  char text[16];
  snprintf(text, sizeof text, "%d", descriptor_for(SIGUSR1));
  MUST(setenv("TWIN_SIGNALFD", text, 1) == 0);
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "signal_descriptors", "inherited", NULL);
    _exit(9);
  }
  say_end_of(child);
}

union rights {
  char room[CMSG_SPACE(sizeof(int))];
  struct cmsghdr header;
};

static void send_descriptor(int by, int fd) {
  char byte = 1;
  struct iovec data = {&byte, 1};
  union rights rights = {.header = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  message.msg_control = &rights;
  message.msg_controllen = sizeof rights;
  memcpy(CMSG_DATA(&rights.header), &fd, sizeof fd);
  MUST(sendmsg(by, &message, 0) == 1);
}

static int receive_descriptor(int by, int in_a_batch) {
  char byte = 0;
  struct iovec data = {&byte, 1};
  union rights rights;
  memset(&rights, 0, sizeof rights);
  struct mmsghdr message;
  memset(&message, 0, sizeof message);
  message.msg_hdr.msg_iov = &data;
  message.msg_hdr.msg_iovlen = 1;
  message.msg_hdr.msg_control = &rights;
  message.msg_hdr.msg_controllen = sizeof rights;
  MUST(in_a_batch ? recvmmsg(by, &message, 1, 0, NULL) == 1
                  : recvmsg(by, &message.msg_hdr, 0) == 1);
  int fd = -1;
  memcpy(&fd, CMSG_DATA(&rights.header), sizeof fd);
  return fd;
}

static void* receive_and_read(void* argument) {
  const int* pair = argument;
  for (int i = 0; i < 2; ++i) {
    // This one was there before the descriptor.
    MUST(raise(SIGUSR1) == 0);
    const int fd = receive_descriptor(pair[0], i);
    printf("early: %d\n", read_signal(fd) == SIGUSR1);
    raise_and_read(as_pointer(fd));
    close(fd);
  }
  return NULL;
}

static void received(void) {
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  block(SIGUSR1);
  had_a_thread();
  const pid_t child = fork();
  if (child == 0) {
    nap(30);
    for (int i = 0; i < 2; ++i) send_descriptor(pair[1], descriptor_for(SIGUSR1));
    _exit(0);
  }
  finish(start(receive_and_read, pair));
  say_end_of(child);
  close(pair[0]);
  close(pair[1]);
}

static const struct twin_case cases[] = {
    {"of_threads", THREADS, of_threads},
    {"from_before_threads", THREADS, from_before_threads},
    {"raised_before_threads", THREADS, raised_before_threads},
    {"inherited", THREADS, inherited},
    {"received", THREADS, received},
};

TWIN_MAIN(cases)
