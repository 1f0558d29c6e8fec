// Whether a read waits is decided by the open file description: changed after reads that waited, by
// another descriptor of it, by another process, or because the number means another one.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tcp.h"

static int listener, client, server;

static void* write_soon(void* ms) {
  nap((int)as_number(ms));
  CHECK(write(client, "ping", 4) == 4);
  return NULL;
}

static ssize_t read_some(void) {
  char data[100];
  return read(server, data, sizeof data);
}

static void* accept_one(void* fd) { return as_pointer(accept((int)as_number(fd), NULL, NULL)); }

// A connection whose server's side has waited for input, and has been read empty, several times.
static void begin(void) {
  listener = tcp_listener();
  pthread_t acceptor = start(accept_one, as_pointer(listener));
  nap(1);
  client = tcp_client(port_of(listener));
  server = (int)as_number(finish(acceptor));
  MUST(server >= 0);
  for (int i = 0; i < 4; ++i) {
    pthread_t writer = start(write_soon, as_pointer(2));
    CHECK(read_some() == 4);
    finish(writer);
  }
}

static void end(void) {
  close(listener);
  close(client);
  close(server);
}

// What a read says now.  Should it wait, it gets something in the end.
static void say_read(const char* when) {
  pthread_t writer = start(write_soon, as_pointer(100));
  printf("%s: %s\n", when, said(read_some()));
  finish(writer);
  while (recv(server, (char[100]){0}, 100, MSG_DONTWAIT) > 0) {
  }
}

static void set_non_blocking(int fd, int on) {
  const int flags = fcntl(fd, F_GETFL);
  CHECK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0);
}

static void by_fcntl(void) {
  begin();
  set_non_blocking(server, 1);
  say_read("non-blocking");
  set_non_blocking(server, 0);
  say_read("blocking");
  say_read("still");
  set_non_blocking(server, 1);
  say_read("non-blocking again");
  end();
}

static void by_ioctl(void) {
  begin();
  int on = 1;
  CHECK(ioctl(server, FIONBIO, &on) == 0);
  say_read("non-blocking");
  on = 0;
  CHECK(ioctl(server, FIONBIO, &on) == 0);
  say_read("blocking");
  end();
}

static void by_another_descriptor(void) {
  begin();
  const int other = dup(server);
  set_non_blocking(other, 1);
  say_read("non-blocking");
  set_non_blocking(other, 0);
  say_read("blocking");
  close(other);
  say_read("closed the other");
  end();
}

static void set_timeout(int fd, int ms) {
  const struct timeval span = {0, ms * 1000L};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span) == 0);
}

static void by_time_out(void) {
  begin();
  set_timeout(server, 20);
  say_read("with time-out");
  set_timeout(server, 0);
  say_read("without");
  const int other = dup(server);
  set_timeout(other, 20);
  say_read("with the other's");
  close(other);
  end();
}

static void by_child(void) {
  begin();
  const pid_t child = fork();
  if (child == 0) {
    nap(20);
    set_non_blocking(server, 1);
    _exit(0);
  }
  say_read("before");
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  say_read("non-blocking");
  end();
}

static void by_child_of_vfork(void) {
  begin();
  const pid_t child = vfork();
  if (child == 0) {
    fcntl(server, F_SETFL, O_RDWR | O_NONBLOCK);
    _exit(0);
  }
  CHECK(waitpid(child, NULL, 0) == child);
  say_read("non-blocking");
  end();
}

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr header;
};

static struct msghdr message_with(union control* control, struct iovec* text) {
  return (struct msghdr){.msg_iov = text,
                         .msg_iovlen = 1,
                         .msg_control = control->bytes,
                         .msg_controllen = sizeof control->bytes};
}

static void give(int over, int fd) {
  union control control = {{0}};
  struct iovec text = {(char[]){'x'}, 1};
  struct msghdr message = message_with(&control, &text);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  CHECK(sendmsg(over, &message, 0) == 1);
}

static int take(int over) {
  int fd = -1;
  char byte;
  union control control;
  struct iovec text = {&byte, 1};
  struct msghdr message = message_with(&control, &text);
  if (recvmsg(over, &message, 0) == 1 && CMSG_FIRSTHDR(&message)) {
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  }
  return fd;
}

// The child is there before the socket is.
static void by_receiver(void) {
  int ways[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ways) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ways[0]);
    set_non_blocking(take(ways[1]), 1);
    _exit(write(ways[1], "y", 1) != 1);
  }
  close(ways[1]);
  begin();
  give(ways[0], server);
  char byte = 0;
  CHECK(read(ways[0], &byte, 1) == 1 && byte == 'y');
  CHECK(waitpid(child, NULL, 0) == child);
  say_read("non-blocking");
  close(ways[0]);
  end();
}

// What comes after it under the same number is another description.
static void by_successor(void) {
  begin();
  int ends[2];
  const int number = server;
  close(client);
  close(server);
  MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  server = number;
  client = ends[0] == number ? ends[1] : ends[0];
  CHECK(ends[0] == number || ends[1] == number);
  say_read("non-blocking pair");
  close(client);
  close(server);
  close(listener);

  begin();
  MUST(pipe2(ends, O_NONBLOCK) == 0);
  CHECK(dup2(ends[0], server) == server);
  close(client);
  client = ends[1];
  printf("non-blocking pipe: %s\n", said(read_some()));
  close(ends[0]);
  end();

  // An accepted socket has the listener's time-out.
  begin();
  set_timeout(listener, 20);
  close(client);
  close(server);
  pthread_t acceptor = start(accept_one, as_pointer(listener));
  client = tcp_client(port_of(listener));
  server = (int)as_number(finish(acceptor));
  say_read("inherited time-out");
  say_read("once more");
  end();
}

// Input of four bytes, while what follows already waits.
#define WHILE_WAITING(statement)                          \
  do {                                                    \
    pthread_t writer = start(write_soon, as_pointer(20)); \
    statement;                                            \
    finish(writer);                                       \
  } while (0)

// Every form of a read, each after one that has left nothing.
static void forms(void) {
  char data[100];
  struct iovec parts[2] = {{data, 2}, {data + 2, 98}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  struct pollfd one = {0, POLLIN | POLLPRI, 0};
  const struct timespec long_enough = {5, 0};
  begin();
  one.fd = server;
  WHILE_WAITING(printf("peeked %zd\n", recv(server, data, sizeof data, MSG_PEEK)));
  printf("peeked again %zd\n", recv(server, data, sizeof data, MSG_PEEK));
  printf("read %zd, ", recv(server, data, 2, 0));
  printf("read %zd\n", recv(server, data, sizeof data, 0));
  WHILE_WAITING(printf("message %zd\n", recvmsg(server, &message, 0)));
  WHILE_WAITING(printf("parts %zd\n", readv(server, parts, 2)));
  WHILE_WAITING(WHILE_WAITING(printf("all %zd\n", recv(server, data, 8, MSG_WAITALL))));
  WHILE_WAITING(CHECK(poll(&one, 1, 5000) == 1 && one.revents == POLLIN));
  printf("polled, read %zd\n", recv(server, data, sizeof data, MSG_DONTWAIT));
  printf("nothing: %s\n", said(recv(server, data, sizeof data, MSG_DONTWAIT)));
  CHECK(poll(&one, 1, 10) == 0 && one.revents == 0);
  WHILE_WAITING(CHECK(ppoll(&one, 1, &long_enough, NULL) == 1 && one.revents == POLLIN));
  printf("polled, read %zd\n", recv(server, data, sizeof data, MSG_DONTWAIT));
  // There before the poll, however short that is.
  for (int i = 0; i < 100; ++i) {
    CHECK(write(client, "ping", 4) == 4);
    CHECK(poll(&one, 1, 1) == 1 && one.revents == POLLIN);
    CHECK(recv(server, data, sizeof data, MSG_DONTWAIT) == 4);
  }
  shutdown(client, SHUT_WR);
  CHECK(poll(&one, 1, 5000) == 1 && one.revents == POLLIN);
  printf("end %zd, ", read_some());
  printf("and again %zd\n", read_some());
  end();
}

// Reading nothing never waits.
static void of_nothing(void) {
  begin();
  char data[4];
  const struct iovec none = {data, 0};
  printf("readv of nothing: %zd\n", readv(server, &none, 1));
  end();
}

// A read that asks for less than the low-water mark gets it.
static void below_low_water(void) {
  begin();
  const int mark = 100;
  CHECK(setsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark) == 0);
  CHECK(write(client, "some", 4) == 4);
  nap(20);
  char data[4];
  printf("got %zd\n", recv(server, data, sizeof data, 0));
  end();
}

static void* receive_some(void* argument) {
  (void)argument;
  char data[16];
  return as_pointer(recv(server, data, sizeof data, 0));
}

// The mark holds for a read that waits already.
static void low_water_meanwhile(void) {
  begin();
  const pthread_t reader = start(receive_some, NULL);
  nap(20);
  const int mark = 4;
  CHECK(setsockopt(server, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark) == 0);
  CHECK(write(client, "a", 1) == 1);
  nap(20);
  CHECK(write(client, "bcd", 3) == 3);
  printf("got %ld\n", as_number(finish(reader)));
  end();
}

// A read ends at the urgent mark, though more has come.
static void after_urgent_data(void) {
  begin();
  CHECK(send(client, "abc", 3, 0) == 3 && send(client, "U", 1, MSG_OOB) == 1);
  CHECK(send(client, "def", 3, 0) == 3);
  nap(20);
  char urgent = 0;
  CHECK(recv(server, &urgent, 1, MSG_OOB) == 1);
  for (size_t had = 0; had < 6;) {
    char data[10];
    const ssize_t got = read(server, data, sizeof data);
    MUST(got > 0);
    had += (size_t)got;
  }
  printf("urgent %c, and all the rest\n", urgent);
  end();
}

static const struct twin_case cases[] = {
    {"by_fcntl", THREADS, by_fcntl},
    {"by_ioctl", THREADS, by_ioctl},
    {"by_another_descriptor", THREADS, by_another_descriptor},
    {"by_time_out", THREADS, by_time_out},
    {"by_child", THREADS, by_child},
    {"by_child_of_vfork", THREADS, by_child_of_vfork},
    {"by_receiver", THREADS, by_receiver},
    {"by_successor", THREADS, by_successor},
    {"forms", THREADS, forms},
    {"of_nothing", THREADS, of_nothing},
    {"below_low_water", THREADS, below_low_water},
    {"low_water_meanwhile", THREADS, low_water_meanwhile},
    {"after_urgent_data", THREADS, after_urgent_data},
};

TWIN_MAIN(cases)
