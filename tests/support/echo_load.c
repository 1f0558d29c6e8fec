// A client for echo servers: many connections at once from one thread, each message its own.
//
//   echo_load PORT CONNECTIONS MESSAGES
//
// Opens all connections before it sends anything, then plays question and answer on each. Every
// tenth connection is torn down in the middle, with a message under way: half of those by a plain
// close, half by a reset. Prints a summary; the exit code is 0 if every other connection got each
// of its messages back intact.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMostBytes = 1200, kMostConnecting = 200, kPatienceMs = 60000 };

struct connection {
  int fd;
  int number;
  int messages;  // Sent so far.
  int size;      // Of the message under way.
  int received;  // Of its echo.
};

static int port, total, messages_each;
static int epoll;
static struct connection* connections;
static int opened, connected, finished, torn_down, wrong;
static long echoed;

static void give_up(const char* what) {
  fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

// What connection `number` says in its message `index`: no two are alike.
static int compose(char* text, int number, int index) {
  const int head = snprintf(text, kMostBytes, "connection %d, message %d: ", number, index);
  const int size = head + 1 + (number * 31 + index * 131) % (kMostBytes - head - 1);
  for (int i = head; i < size; ++i) text[i] = (char)('a' + (number + index * 7 + i) % 26);
  return size;
}

static int is_torn_down(const struct connection* each) { return each->number % 10 == 3; }

static void end(struct connection* each) {
  close(each->fd);
  each->fd = -1;
}

static void tear_down(struct connection* each) {
  if (each->number % 20 == 3) {
    const struct linger reset = {1, 0};
    setsockopt(each->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  end(each);
  ++torn_down;
}

static void spoil(struct connection* each, const char* why) {
  fprintf(stderr, "echo_load: connection %d, message %d: %s\n", each->number, each->messages, why);
  end(each);
  ++wrong;
}

static void send_next(struct connection* each) {
  char text[kMostBytes];
  if (each->messages == messages_each) {
    end(each);
    ++finished;
    return;
  }
  each->size = compose(text, each->number, each->messages++);
  each->received = 0;
  // A message is far smaller than a socket's buffer, which is empty: it always fits.
  if (send(each->fd, text, (size_t)each->size, MSG_NOSIGNAL) != each->size) {
    spoil(each, "cannot be sent");
  } else if (is_torn_down(each) && each->messages == (messages_each + 1) / 2) {
    tear_down(each);
  }
}

static void receive(struct connection* each) {
  char text[kMostBytes], expected[kMostBytes];
  const ssize_t got = recv(each->fd, text, (size_t)(each->size - each->received), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    spoil(each, got == 0 ? "the server hung up" : strerror(errno));
    return;
  }
  compose(expected, each->number, each->messages - 1);
  if (memcmp(text, expected + each->received, (size_t)got) != 0) {
    spoil(each, "the echo differs");
    return;
  }
  each->received += (int)got;
  if (each->received < each->size) return;
  ++echoed;
  send_next(each);
}

static void open_next(void) {
  struct connection* const each = &connections[opened];
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
  each->number = opened++;
  each->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (each->fd < 0) give_up("socket");
  if (connect(each->fd, (const struct sockaddr*)&address, sizeof address) != 0 &&
      errno != EINPROGRESS) {
    give_up("connect");
  }
  struct epoll_event event = {.events = EPOLLOUT, .data = {.ptr = each}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, each->fd, &event) != 0) give_up("epoll_ctl");
}

static void note_connected(struct connection* each) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(each->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  errno = error;
  if (error != 0) give_up("connect");
  struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = each}};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, each->fd, &event) != 0) give_up("epoll_ctl");
  ++connected;
}

static void wait_for_events(void (*handle)(struct connection*)) {
  struct epoll_event events[256];
  const int ready = epoll_wait(epoll, events, 256, kPatienceMs);
  if (ready == 0) {
    printf("stuck: connected %d, finished %d, torn down %d\n", connected, finished, torn_down);
    exit(1);
  }
  for (int i = 0; i < ready; ++i) {
    struct connection* const each = events[i].data.ptr;
    if (each->fd >= 0) handle(each);
  }
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: echo_load PORT CONNECTIONS MESSAGES\n");
    return 2;
  }
  port = atoi(argv[1]);
  total = atoi(argv[2]);
  messages_each = atoi(argv[3]);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  connections = calloc((size_t)total, sizeof *connections);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (!connections || epoll < 0) give_up("set-up");
  while (connected < total) {
    while (opened < total && opened - connected < kMostConnecting) open_next();
    wait_for_events(note_connected);
  }
  for (int i = 0; i < total; ++i) send_next(&connections[i]);
  while (finished + torn_down + wrong < total) wait_for_events(receive);
  printf("connected at once %d, finished %d, torn down %d, echoed %ld, wrong %d\n", connected,
         finished, torn_down, echoed, wrong);
  return wrong == 0 ? 0 : 1;
}
