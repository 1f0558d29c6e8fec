// Stream sockets: short reads, flags, the program's own O_NONBLOCK, time-outs, shutdown, resets.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/un.h>

#include "tcp.h"

// Each case runs over a pair of each family; [0] is the thread's, [1] the peer.
static int pair[2];

static void over_both(void* (*body)(void*), void (*peer)(void)) {
  for (int family = 0; family < 2; ++family) {
    if (family == 0) {
      MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    } else {
      tcp_pair(pair);
    }
    printf("%s\n", family == 0 ? "unix:" : "tcp:");
    pthread_t thread = start(body, NULL);
    peer();
    finish(thread);
    close(pair[0]);
    close(pair[1]);
  }
}

static void* read_pieces(void* argument) {
  (void)argument;
  char text[64] = "";
  printf("short %zd\n", recv(pair[0], text, sizeof text, 0));
  CHECK(send(pair[0], "!", 1, 0) == 1);
  printf("peek %zd\n", recv(pair[0], text, 1, MSG_PEEK));
  printf("all %zd\n", recv(pair[0], text, 10, MSG_WAITALL));
  printf("text %.10s\n", text);
  printf("none: %s\n", said(recv(pair[0], text, 1, MSG_DONTWAIT)));
  CHECK(send(pair[0], "!", 1, 0) == 1);
  printf("rest %zd\n", recv(pair[0], text, 10, MSG_WAITALL));
  printf("end %zd\n", recv(pair[0], text, 10, 0));
  return NULL;
}

static void write_pieces(void) {
  char byte;
  nap(3);
  CHECK(write(pair[1], "abc", 3) == 3);
  CHECK(read(pair[1], &byte, 1) == 1);
  for (int i = 0; i < 10; ++i) {
    CHECK(send(pair[1], &"0123456789"[i], 1, 0) == 1);
    if (i % 4 == 0) nap(2);
  }
  CHECK(read(pair[1], &byte, 1) == 1);
  CHECK(write(pair[1], "tail", 4) == 4);
  nap(2);
  shutdown(pair[1], SHUT_WR);
}

static void short_reads_and_flags(void) { over_both(read_pieces, write_pieces); }

enum { kBig = 4 << 20 };

static void* send_big(void* argument) {
  (void)argument;
  char* const data = malloc(kBig);
  for (int i = 0; i < kBig; ++i) data[i] = (char)(i * 13 + (i >> 9));
  printf("sent %zd\n", send(pair[0], data, kBig, 0));
  shutdown(pair[0], SHUT_WR);
  free(data);
  return NULL;
}

static void receive_big(void) {
  char piece[30011];
  int total = 0, wrong = 0;
  ssize_t got;
  nap(2);
  while ((got = read(pair[1], piece, sizeof piece)) > 0)
    for (ssize_t i = 0; i < got; ++i, ++total)
      wrong += piece[i] != (char)(total * 13 + (total >> 9));
  CHECK(total == kBig && wrong == 0);
}

static void one_big_send(void) { over_both(send_big, receive_big); }

static int filled;

static void* own_non_blocking(void* argument) {
  (void)argument;
  char data[4096] = {0};
  MUST(fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) | O_NONBLOCK) == 0);
  printf("recv: %s\n", said(recv(pair[0], data, 1, 0)));
  printf("read: %s\n", said(read(pair[0], data, 1)));
  ssize_t put;
  while ((put = write(pair[0], data, sizeof data)) > 0) {
  }
  printf("write: %s\n", said(put));
  MUST(fcntl(pair[0], F_SETFL, fcntl(pair[0], F_GETFL) & ~O_NONBLOCK) == 0);
  // TCP may find a little room yet, as segments arrive.
  while ((put = send(pair[0], data, 1, MSG_DONTWAIT)) > 0) {
  }
  CHECK(put == -1 && errno == EAGAIN);
  int on = 1;
  MUST(ioctl(pair[0], FIONBIO, &on) == 0);
  printf("by ioctl: %s\n", said(recv(pair[0], data, 1, 0)));
  __atomic_store_n(&filled, 1, __ATOMIC_SEQ_CST);
  on = 0;
  MUST(ioctl(pair[0], FIONBIO, &on) == 0);
  shutdown(pair[0], SHUT_WR);
  printf("blocking again: %zd\n", recv(pair[0], data, 1, 0));
  return NULL;
}

static void drain_then_write(void) {
  char data[65536];
  while (!__atomic_load_n(&filled, __ATOMIC_SEQ_CST)) nap(1);
  filled = 0;
  while (read(pair[1], data, sizeof data) > 0) {
  }
  CHECK(write(pair[1], "x", 1) == 1);
}

static void non_blocking_of_program(void) { over_both(own_non_blocking, drain_then_write); }

static void* wait_with_limit(void* argument) {
  (void)argument;
  char data[65536] = {0};
  const struct timeval limit = {0, 20000};
  CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
  long long before = now_ms();
  printf("recv: %s\n", said(recv(pair[0], data, 1, 0)));
  CHECK(now_ms() - before >= 19);
  before = now_ms();
  printf("read: %s\n", said(read(pair[0], data, 1)));
  CHECK(now_ms() - before >= 19);
  CHECK(send(pair[0], "go", 2, 0) == 2);
  struct pollfd answer = {.fd = pair[0], .events = POLLIN};
  CHECK(poll(&answer, 1, -1) == 1);  // else a busy machine could time out before the first part
  printf("part of all: %zd\n", recv(pair[0], data, 10, MSG_WAITALL));
  ssize_t put;
  before = now_ms();
  while ((put = send(pair[0], data, sizeof data, 0)) > 0) {
  }
  printf("send: %s\n", said(put));
  CHECK(now_ms() - before >= 19);
  shutdown(pair[0], SHUT_RDWR);
  return NULL;
}

static void answer_in_part(void) {
  char data[2];
  CHECK(recv(pair[1], data, 2, MSG_WAITALL) == 2);
  CHECK(send(pair[1], "abc", 3, 0) == 3);
}

static void time_outs(void) { over_both(wait_with_limit, answer_in_part); }

static void* read_until_shut(void* argument) {
  (void)argument;
  char byte;
  printf("woken: %zd\n", read(pair[0], &byte, 1));
  printf("send: %s\n", said(send(pair[0], "x", 1, MSG_NOSIGNAL)));
  return NULL;
}

static void shut_own_end(void) {
  nap(5);
  CHECK(shutdown(pair[0], SHUT_RDWR) == 0);
}

static void shutdown_wakes_reader(void) { over_both(read_until_shut, shut_own_end); }

static void* read_until_reset(void* argument) {
  (void)argument;
  char byte;
  printf("recv: %s\n", said(recv(pair[0], &byte, 1, 0)));
  printf("then: %zd\n", recv(pair[0], &byte, 1, 0));
  signal(SIGPIPE, SIG_IGN);
  printf("write: %s\n", said(write(pair[0], "x", 1)));
  return NULL;
}

static void connection_reset(void) {
  tcp_pair(pair);
  pthread_t reader = start(read_until_reset, NULL);
  const struct linger at_once = {1, 0};
  CHECK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  nap(5);
  close(pair[1]);
  finish(reader);
  close(pair[0]);
}

// The receiver has taken the first byte when the descriptor is closed under it: the call in
// progress keeps the socket, and ends as if nothing had happened.
static void* receive_two(void* argument) {
  (void)argument;
  char bytes[2];
  return as_pointer(recv(pair[0], bytes, 2, MSG_WAITALL));
}

static void closed_under_receiver(void) {
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pthread_t receiver = start(receive_two, NULL);
  int waiting = 1;
  CHECK(send(pair[1], "a", 1, 0) == 1);
  while (ioctl(pair[0], FIONREAD, &waiting) == 0 && waiting > 0) nap(1);
  CHECK(close(pair[0]) == 0);
  char byte;
  printf("next call: %s\n", said(recv(pair[0], &byte, 1, 0)));
  printf("peer sends: %s\n", said(send(pair[1], "b", 1, MSG_NOSIGNAL)));
  printf("received %ld\n", as_number(finish(receiver)));
  printf("peer then: %s\n", said(send(pair[1], "c", 1, MSG_NOSIGNAL)));
  close(pair[1]);
}

static const struct twin_case cases[] = {
    {"short_reads_and_flags", THREADS, short_reads_and_flags},
    {"one_big_send", THREADS, one_big_send},
    {"non_blocking_of_program", THREADS, non_blocking_of_program},
    {"time_outs", THREADS, time_outs},
    {"shutdown_wakes_reader", THREADS, shutdown_wakes_reader},
    {"connection_reset", THREADS, connection_reset},
    {"closed_under_receiver", THREADS, closed_under_receiver},
};

TWIN_MAIN(cases)
