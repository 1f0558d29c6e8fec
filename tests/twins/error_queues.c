// Messages in a socket's error queue, of which poll says POLLERR until somebody takes them: no
// blocking read or write cares for them.
#include <poll.h>

#include "tcp.h"

enum { kBig = 4 << 20, kPart = 1 << 16 };

static int pair[2];
static char* data;

static void wait_for_error(int fd) {
  struct pollfd watched = {.fd = fd};
  MUST(poll(&watched, 1, 10000) == 1 && watched.revents == POLLERR);
}

static int messages_of(int fd) {
  int count = 0;
  char control[512];
  for (;;) {
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(fd, &message, MSG_ERRQUEUE) < 0) break;
    ++count;
  }
  CHECK(errno == EAGAIN);
  return count;
}

// pair[0] gets one end, whose queue holds that a send without a copy has completed.
static void tcp_pair_with_message(void) {
  const int on = 1;
  char byte;
  tcp_pair(pair);
  MUST(setsockopt(pair[0], SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0);
  MUST(send(pair[0], "x", 1, MSG_ZEROCOPY) == 1);
  MUST(read(pair[1], &byte, 1) == 1);
  wait_for_error(pair[0]);
}

static void* drain_slowly(void* argument) {
  static char piece[kPart];
  long total = 0;
  ssize_t got;
  nap(20);
  while ((got = read(pair[1], piece, sizeof piece)) > 0) {
    if (total / (kBig / 8) != (total + got) / (kBig / 8)) nap(5);
    total += got;
  }
  printf("drained %ld\n", total);
  return argument;
}

static void* send_all(void* argument) {
  const struct iovec halves[2] = {{data, kBig / 2}, {data + kBig / 2, kBig / 2}};
  const long long before = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
  printf("send %zd\n", send(pair[0], data, kBig, 0));
  printf("write %zd\n", write(pair[0], data, kBig));
  const struct msghdr message = {.msg_iov = (struct iovec*)halves, .msg_iovlen = 2};
  printf("sendmsg %zd\n", sendmsg(pair[0], &message, 0));
  CHECK(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - before < 1000);
  shutdown(pair[0], SHUT_WR);
  return argument;
}

static void sends_beside_messages(void) {
  data = calloc(1, kBig);
  tcp_pair_with_message();
  pthread_t drain = start(drain_slowly, NULL);
  finish(start(send_all, NULL));
  finish(drain);
  CHECK(messages_of(pair[0]) == 1);
  close(pair[0]);
  close(pair[1]);
  free(data);
}

// Their completions come while the sends wait.
static void* send_without_copies(void* argument) {
  enum { kSends = 4, kSize = 1 << 20 };
  for (int i = 0; i < kSends; ++i)
    printf("sent %zd\n", send(pair[0], data + i * kSize, kSize, MSG_ZEROCOPY));
  shutdown(pair[0], SHUT_WR);
  return argument;
}

static void sends_without_copies(void) {
  data = calloc(1, kBig);
  tcp_pair_with_message();
  pthread_t drain = start(drain_slowly, NULL);
  finish(start(send_without_copies, NULL));
  finish(drain);
  CHECK(messages_of(pair[0]) >= 1);
  close(pair[0]);
  close(pair[1]);
  free(data);
}

static void* receive_pieces(void* argument) {
  char text[16] = "";
  printf("peek all %zd\n", recv(pair[0], text, 8, MSG_PEEK | MSG_WAITALL));
  printf("all %zd %.8s\n", recv(pair[0], text, 8, MSG_WAITALL), text);
  printf("read %zd\n", read(pair[0], text, sizeof text));
  return argument;
}

static void receives_beside_messages(void) {
  tcp_pair_with_message();
  pthread_t receiver = start(receive_pieces, NULL);
  for (int i = 0; i < 9; ++i) {
    nap(i < 8 ? 5 : 30);
    CHECK(send(pair[1], &"01234567x"[i], 1, 0) == 1);
  }
  finish(receiver);
  close(pair[0]);
  close(pair[1]);
}

static void* receive_byte(void* argument) {
  char byte;
  CHECK(recv((int)as_number(argument), &byte, 1, 0) == 1);
  return argument;
}

static void* read_byte(void* argument) {
  char byte;
  CHECK(read((int)as_number(argument), &byte, 1) == 1);
  return argument;
}

// The first readers have gone when the ones come that wait long: it is known then that several use
// it.
static void share(int fd, int sender) {
  enum { kReaders = 4 };
  pthread_t readers[kReaders];
  for (int i = 0; i < kReaders; ++i) {
    readers[i] = start(i % 2 == 0 ? receive_byte : read_byte, as_pointer(fd));
    nap(5);
  }
  for (int i = 0; i < 2; ++i) CHECK(send(sender, "xy", 1, 0) == 1);
  nap(20);
  const long long before = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
  nap(300);
  CHECK(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - before < 100);  // nobody spins
  for (int i = 2; i < kReaders; ++i) {
    nap(5);
    CHECK(send(sender, "xy", 1, 0) == 1);
  }
  for (int i = 0; i < kReaders; ++i) finish(readers[i]);
}

static void several_readers(void) {
  tcp_pair_with_message();
  share(pair[0], pair[1]);
  CHECK(messages_of(pair[0]) == 1);
  close(pair[0]);
  close(pair[1]);
  printf("tcp\n");

  const int on = 1;
  const int fd = bound_socket(SOCK_DGRAM);
  const int port = port_of(fd);
  MUST(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0);
  const int gone = bound_socket(SOCK_DGRAM);
  const struct sockaddr_in nobody = loopback(port_of(gone));
  close(gone);
  MUST(sendto(fd, "x", 1, 0, (const struct sockaddr*)&nobody, sizeof nobody) == 1);
  wait_for_error(fd);
  char byte;
  printf("told once: %s\n", said(recv(fd, &byte, 1, 0)));
  const int sender = socket(AF_INET, SOCK_DGRAM, 0);
  MUST(connect_to(sender, port) == 0);
  share(fd, sender);
  CHECK(messages_of(fd) == 1);
  close(sender);
  close(fd);
  printf("udp\n");
}

// An error that is one: it is the next call's to report.
static void* send_into_reset(void* argument) {
  const ssize_t sent = send(pair[0], data, kBig, MSG_NOSIGNAL);
  CHECK(sent > 0 && sent < kBig);
  printf("then: %s\n", said(send(pair[0], "x", 1, MSG_NOSIGNAL)));
  return argument;
}

static void* receive_into_reset(void* argument) {
  char text[8];
  printf("part %zd\n", recv(pair[0], text, sizeof text, MSG_WAITALL));
  printf("then: %s\n", said(recv(pair[0], text, 1, 0)));
  printf("at last: %s\n", said(recv(pair[0], text, 1, 0)));
  return argument;
}

static void reset_connection(void) {
  const struct linger at_once = {1, 0};
  nap(50);
  setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(pair[1]);
}

static void resets(void) {
  data = calloc(1, kBig);
  for (int i = 0; i < 2; ++i) {
    if (i == 0) {
      tcp_pair(pair);
    } else {
      tcp_pair_with_message();
    }
    pthread_t thread = start(send_into_reset, NULL);
    reset_connection();
    finish(thread);
    close(pair[0]);
    tcp_pair(pair);
    MUST(send(pair[1], "abc", 3, 0) == 3);
    thread = start(receive_into_reset, NULL);
    reset_connection();
    finish(thread);
    close(pair[0]);
  }
  free(data);
}

static const struct twin_case cases[] = {
    {"sends_beside_messages", THREADS, sends_beside_messages},
    {"sends_without_copies", THREADS, sends_without_copies},
    {"receives_beside_messages", THREADS, receives_beside_messages},
    {"several_readers", THREADS, several_readers},
    {"resets", THREADS, resets},
};

TWIN_MAIN(cases)
