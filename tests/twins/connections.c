// How connections come about: accept in its forms, connect that waits, is refused or in progress.
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>
#include <sys/un.h>

#include "tcp.h"

static int listener;

static void* accept_clients(void* argument) {
  for (long i = 0; i < as_number(argument); ++i) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    const int fd = i % 2 ? accept4(listener, (struct sockaddr*)&peer, &length, SOCK_CLOEXEC)
                         : accept(listener, (struct sockaddr*)&peer, &length);
    CHECK(fd >= 0 && length == sizeof peer && peer.sin_family == AF_INET);
    CHECK(ntohl(peer.sin_addr.s_addr) == INADDR_LOOPBACK && peer.sin_port != 0);
    CHECK(!!(fcntl(fd, F_GETFD) & FD_CLOEXEC) == i % 2);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    CHECK(write(fd, "hello", 5) == 5);
    close(fd);
  }
  return NULL;
}

static void accept_and_accept4(void) {
  listener = tcp_listener();
  pthread_t server = start(accept_clients, as_pointer(6));
  for (int i = 0; i < 6; ++i) {
    char text[16] = "";
    nap(1);
    const int fd = tcp_client(port_of(listener));
    CHECK(recv(fd, text, 5, MSG_WAITALL) == 5);
    printf("%s, then %zd\n", text, read(fd, text, 1));
    close(fd);
  }
  finish(server);
  CHECK((fcntl(listener, F_GETFL) & O_NONBLOCK) == 0);
  close(listener);
}

static void* accept_one(void* argument) {
  (void)argument;
  const int fd = accept(listener, NULL, NULL);
  CHECK(fd >= 0);
  close(fd);
  return NULL;
}

// Several threads wait at one listener; each connection wakes one that takes it.
static void many_acceptors(void) {
  pthread_t threads[8];
  listener = tcp_listener();
  for (int i = 0; i < 8; ++i) threads[i] = start(accept_one, NULL);
  nap(5);
  for (int i = 0; i < 8; ++i) {
    char byte;
    const int fd = tcp_client(port_of(listener));
    CHECK(read(fd, &byte, 1) == 0);
    close(fd);
  }
  for (int i = 0; i < 8; ++i) finish(threads[i]);
  printf("all accepted\n");
  close(listener);
}

static void* accept_errors(void* argument) {
  (void)argument;
  const struct timeval limit = {0, 20000};
  const long long before = now_ms();
  CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  printf("time-out: %s\n", said(accept(listener, NULL, NULL)));
  CHECK(now_ms() - before >= 19);
  fcntl(listener, F_SETFL, O_NONBLOCK);
  printf("non-blocking: %s\n", said(accept4(listener, NULL, NULL, 0)));
  printf("not a socket: %s\n", said(accept(0, NULL, NULL)));
  printf("closed: %s\n", said(accept(-1, NULL, NULL)));
  const int unbound = socket(AF_INET, SOCK_STREAM, 0);
  printf("not listening: %s\n", said(accept(unbound, NULL, NULL)));
  printf("bad flags: %s\n", said(accept4(listener, NULL, NULL, 0x7fff0000)));
  close(unbound);
  return NULL;
}

static void accept_that_fails(void) {
  MUST(freopen("/dev/null", "r", stdin));
  listener = tcp_listener();
  finish(start(accept_errors, NULL));
  close(listener);
}

static void* wait_in_accept(void* argument) {
  (void)argument;
  printf("accept: %s\n", said(accept(listener, NULL, NULL)));
  return NULL;
}

static void shutdown_of_listener(void) {
  listener = tcp_listener();
  pthread_t server = start(wait_in_accept, NULL);
  nap(5);
  shutdown(listener, SHUT_RDWR);
  finish(server);
  close(listener);
}

static void* connect_errors(void* argument) {
  (void)argument;
  const int probe = bound_socket(SOCK_STREAM);  // Bound and not listening: its port refuses.
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  printf("refused: %s\n", said(connect_to(fd, port_of(probe))));
  close(fd);
  fd = tcp_client(port_of(listener));
  printf("again: %s\n", said(connect_to(fd, port_of(listener))));
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  close(fd);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int answer = connect_to(fd, port_of(listener));
  CHECK(answer == 0 || errno == EINPROGRESS);
  struct pollfd watched = {.fd = fd, .events = POLLOUT};
  int error = -1;
  socklen_t length = sizeof error;
  CHECK(poll(&watched, 1, 5000) == 1 && watched.revents == POLLOUT);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
  printf("in progress: %s\n", error_name(error));
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  close(fd);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connect_to(fd, port_of(probe)) == 0) printf("connected to nobody\n");
  watched.fd = fd;
  CHECK(poll(&watched, 1, 5000) == 1 && watched.revents & POLLERR);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
  printf("in progress, refused: %s\n", error_name(error));
  close(fd);
  close(probe);
  return NULL;
}

static void connect_that_fails(void) {
  listener = tcp_listener();
  finish(start(connect_errors, NULL));
  close(listener);
}

// A Unix listener whose backlog is full keeps connect waiting, which TCP on loopback does not.
static struct sockaddr_un unix_address;

static void* connect_unix(void* argument) {
  (void)argument;
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  char byte;
  CHECK(connect(fd, (struct sockaddr*)&unix_address, sizeof unix_address) == 0);
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  CHECK(read(fd, &byte, 1) == 1);
  close(fd);
  return NULL;
}

static void connect_that_waits(void) {
  pthread_t clients[4];  // The kernel has a worker wait for each.
  unix_address.sun_family = AF_UNIX;
  // An abstract name: it begins with a zero byte and leaves no file behind.
  snprintf(unix_address.sun_path + 1, sizeof unix_address.sun_path - 1, "twin-%d", getpid());
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  MUST(bind(server, (struct sockaddr*)&unix_address, sizeof unix_address) == 0);
  MUST(listen(server, 0) == 0);
  const int first = socket(AF_UNIX, SOCK_STREAM, 0);  // Fills the backlog.
  CHECK(connect(first, (struct sockaddr*)&unix_address, sizeof unix_address) == 0);
  const int hasty = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  printf("hasty: %s\n", said(connect(hasty, (struct sockaddr*)&unix_address, sizeof unix_address)));
  for (int i = 0; i < 4; ++i) clients[i] = start(connect_unix, NULL);
  nap(5);
  for (int i = 0; i < 5; ++i) {
    const int fd = accept(server, NULL, NULL);
    CHECK(write(fd, "x", 1) == 1);
    close(fd);
  }
  for (int i = 0; i < 4; ++i) finish(clients[i]);
  close(first);
  close(hasty);
  close(server);
}

static const struct twin_case cases[] = {
    {"accept_and_accept4", THREADS, accept_and_accept4},
    {"many_acceptors", THREADS, many_acceptors},
    {"accept_that_fails", THREADS, accept_that_fails},
    {"shutdown_of_listener", THREADS, shutdown_of_listener},
    {"connect_that_fails", THREADS, connect_that_fails},
    {"connect_that_waits", THREADS, connect_that_waits},
};

TWIN_MAIN(cases)
