// Datagrams and messages: UDP, Unix datagrams, many at once, and descriptors sent along.
#include <fcntl.h>
#include <sys/time.h>
#include <sys/un.h>

#include "tcp.h"

static int server;

static void* answer_datagrams(void* argument) {
  for (long i = 0; i < as_number(argument); ++i) {
    char text[64];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(server, text, sizeof text, 0, (struct sockaddr*)&from, &length);
    CHECK(got > 0 && length == sizeof from);
    for (ssize_t j = 0; j < got; ++j) text[j] = (char)(text[j] - 32);
    CHECK(sendto(server, text, (size_t)got, 0, (struct sockaddr*)&from, length) == got);
  }
  return NULL;
}

static void udp(void) {
  server = bound_socket(SOCK_DGRAM);
  pthread_t thread = start(answer_datagrams, as_pointer(3));
  const int client = socket(AF_INET, SOCK_DGRAM, 0);
  MUST(connect_to(client, port_of(server)) == 0);
  static const char* const kTexts[] = {"first", "second", "third"};
  for (int i = 0; i < 3; ++i) {
    char text[64] = "";
    nap(2);
    CHECK(send(client, kTexts[i], strlen(kTexts[i]), 0) == (ssize_t)strlen(kTexts[i]));
    const ssize_t got = recv(client, text, i == 2 ? 3 : sizeof text, i == 2 ? MSG_TRUNC : 0);
    printf("%zd %.*s\n", got, i == 2 ? 3 : 64, text);
  }
  finish(thread);
  const struct timeval limit = {0, 10000};
  char byte;
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  printf("time-out: %s\n", said(recv(client, &byte, 1, 0)));
  close(server);
  CHECK(send(client, "x", 1, 0) == 1);
  printf("nobody: %s\n", said(recv(client, &byte, 1, 0)));
  close(client);
}

static int pair[2];

static void* send_datagrams(void* argument) {
  char data[1000];
  for (long i = 0; i < as_number(argument); ++i) {
    memset(data, (int)i, sizeof data);
    CHECK(send(pair[0], data, (size_t)(i % 1000), 0) == i % 1000);
  }
  shutdown(pair[0], SHUT_WR);
  return NULL;
}

// The sender fills the queue and waits; sizes keep their borders, and none is lost.
static void unix_datagrams(void) {
  MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  pthread_t sender = start(send_datagrams, as_pointer(500));
  int wrong = 0;
  nap(3);
  for (int i = 0; i < 500; ++i) {
    char data[2000];
    const ssize_t got = recv(pair[1], data, sizeof data, 0);
    wrong += got != i % 1000 || (got > 0 && data[got - 1] != (char)i);
  }
  finish(sender);
  printf("wrong %d\n", wrong);
  close(pair[0]);
  close(pair[1]);
}

static void* send_packets(void* argument) {
  (void)argument;
  nap(2);
  CHECK(send(pair[0], "packet", 6, 0) == 6);
  CHECK(send(pair[0], "next", 4, MSG_EOR) == 4);
  nap(2);
  close(pair[0]);
  return NULL;
}

static void sequenced_packets(void) {
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
  pthread_t sender = start(send_packets, NULL);
  char text[32];
  for (int i = 0; i < 3; ++i) {
    struct iovec part = {text, 4};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    const ssize_t got = recvmsg(pair[1], &message, 0);
    printf("%zd%s\n", got, message.msg_flags & MSG_TRUNC ? " truncated" : "");
  }
  finish(sender);
  close(pair[1]);
}

static void* send_many(void* argument) {
  (void)argument;
  struct mmsghdr messages[5];
  struct iovec parts[5];
  static char texts[5][8];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 5; ++i) {
    snprintf(texts[i], sizeof texts[i], "m%d", i);
    parts[i] = (struct iovec){texts[i], strlen(texts[i])};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  nap(3);
  CHECK(sendmmsg(pair[0], messages, 5, 0) == 5);
  for (int i = 0; i < 5; ++i) CHECK(messages[i].msg_len == 2);
  return NULL;
}

static void many_at_once(void) {
  MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  struct mmsghdr messages[5];
  struct iovec parts[5];
  char texts[5][8] = {{0}};
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < 5; ++i) {
    parts[i] = (struct iovec){texts[i], sizeof texts[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  pthread_t sender = start(send_many, NULL);
  // Without a time-out it waits for all five; MSG_WAITFORONE would take what is there.
  printf("received %d\n", recvmmsg(pair[1], messages, 5, 0, NULL));
  for (int i = 0; i < 5; ++i) printf("%u %s\n", messages[i].msg_len, texts[i]);
  finish(sender);
  struct timespec limit = {0, 10000000};
  printf("none: %s\n", said(recvmmsg(pair[1], messages, 5, MSG_DONTWAIT, &limit)));
  close(pair[0]);
  close(pair[1]);
}

union control {
  char bytes[CMSG_SPACE(2 * sizeof(int))];
  struct cmsghdr align;
};

static void* send_descriptors(void* argument) {
  int* const files = argument;
  union control control;
  char byte = 'd';
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  memset(&control, 0, sizeof control);
  struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  memcpy(CMSG_DATA(header), files, 2 * sizeof(int));
  nap(3);
  CHECK(sendmsg(pair[0], &message, 0) == 1);
  close(files[0]);
  close(files[1]);
  return NULL;
}

static void* write_late(void* argument) {
  nap(3);
  CHECK(write((int)as_number(argument), "through", 7) == 7);
  return NULL;
}

static void descriptors_sent(void) {
  int files[2], received[2] = {-1, -1};
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(files) == 0);
  pthread_t sender = start(send_descriptors, files);
  union control control;
  char byte = 0, text[16] = "";
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  printf("received %zd\n", recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC));
  const struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
  MUST(header && header->cmsg_type == SCM_RIGHTS);
  memcpy(received, CMSG_DATA(header), sizeof received);
  finish(sender);
  CHECK(fcntl(received[0], F_GETFD) & FD_CLOEXEC);
  CHECK((fcntl(received[0], F_GETFL) & O_NONBLOCK) == 0);
  pthread_t writer = start(write_late, as_pointer(received[1]));
  printf("pipe %zd %s\n", read(received[0], text, sizeof text), text);
  finish(writer);
  for (int i = 0; i < 2; ++i) {
    close(received[i]);
    close(pair[i]);
  }
}

static const struct twin_case cases[] = {
    {"udp", THREADS, udp},
    {"unix_datagrams", THREADS, unix_datagrams},
    {"sequenced_packets", THREADS, sequenced_packets},
    {"many_at_once", THREADS, many_at_once},
    {"descriptors_sent", THREADS, descriptors_sent},
};

TWIN_MAIN(cases)
