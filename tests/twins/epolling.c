// The program's own epoll: level, edge, one-shot, nested, waited for in each form.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "twin.h"

static int ends[2];

static void watch(int epoll, int fd, unsigned events, unsigned mark) {
  struct epoll_event event = {.events = events, .data.u32 = mark};
  MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void wait_and_say(int epoll, int limit) {
  struct epoll_event events[4];
  const int ready = epoll_wait(epoll, events, 4, limit);
  printf("ready %d:", ready);
  for (int i = 0; i < ready; ++i) printf(" %u=%#x", events[i].data.u32, events[i].events);
  printf("\n");
}

static void* write_later(void* argument) {
  nap(5);
  CHECK(write((int)as_number(argument), "xyz", 3) == 3);
  return NULL;
}

static void wait_for_writer(int epoll) {
  pthread_t writer = start(write_later, as_pointer(ends[1]));
  wait_and_say(epoll, -1);
  finish(writer);
}

static void* triggers(void* argument) {
  (void)argument;
  char byte;
  const unsigned kModes[] = {EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT};
  for (unsigned i = 0; i < 3; ++i) {
    MUST(pipe(ends) == 0);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, ends[0], kModes[i], i);
    wait_for_writer(epoll);
    CHECK(read(ends[0], &byte, 1) == 1);
    wait_and_say(epoll, 3);  // Level: still ready. Edge and one-shot: no more.
    struct epoll_event again = {.events = kModes[i], .data.u32 = 10 + i};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &again) == 0);
    wait_and_say(epoll, 3);
    if (i == 1) wait_for_writer(epoll);
    close(epoll);
    close(ends[0]);
    close(ends[1]);
  }
  return NULL;
}

static void level_edge_one_shot(void) { finish(start(triggers, NULL)); }

static void* nested_waits(void* argument) {
  (void)argument;
  MUST(pipe(ends) == 0);
  const int inner = epoll_create1(0), outer = epoll_create1(0);
  watch(inner, ends[0], EPOLLIN, 1);
  watch(outer, inner, EPOLLIN, 2);
  wait_for_writer(outer);
  wait_and_say(inner, -1);
  struct pollfd watched = {.fd = outer, .events = POLLIN};
  printf("by poll: %d\n", poll(&watched, 1, -1));
  close(outer);
  close(inner);
  close(ends[0]);
  close(ends[1]);
  return NULL;
}

static void nested(void) { finish(start(nested_waits, NULL)); }

static void* limits(void* argument) {
  (void)argument;
  struct epoll_event events[2];
  const int epoll = epoll_create1(0);
  long long before = now_ms();
  printf("at once %d\n", epoll_wait(epoll, events, 2, 0));
  printf("in time %d\n", epoll_wait(epoll, events, 2, 15));
  CHECK(now_ms() - before >= 15);
  sigset_t mask;
  sigemptyset(&mask);
  before = now_ms();
  printf("with mask %d\n", epoll_pwait(epoll, events, 2, 15, &mask));
  CHECK(now_ms() - before >= 15);
  const struct timespec span = {0, 15000000};
  before = now_ms();
  printf("fine time %d\n", epoll_pwait2(epoll, events, 2, &span, NULL));
  CHECK(now_ms() - before >= 14);
  printf("no room: %s\n", said(epoll_wait(epoll, events, 0, 0)));
  printf("not epoll: %s\n", said(epoll_wait(1, events, 2, 0)));
  printf("closed: %s\n", said(epoll_wait(-1, events, 2, 0)));
  close(epoll);
  return NULL;
}

static void time_outs_and_errors(void) { finish(start(limits, NULL)); }

// A server loop in one thread; others add descriptors to it and write to them while it waits.
enum { kClients = 10, kMessages = 20 };
static int loop;

static void* talk(void* argument) {
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  watch(loop, pair[1], EPOLLIN | EPOLLRDHUP, (unsigned)pair[1]);
  for (int i = 0; i < kMessages; ++i) {
    char answer = 0;
    const char question = (char)('a' + (as_number(argument) + i) % 26);
    if (i % 7 == 0) nap(1);
    CHECK(send(pair[0], &question, 1, 0) == 1);
    CHECK(recv(pair[0], &answer, 1, 0) == 1 && answer == question - 32);
  }
  close(pair[0]);
  return NULL;
}

static void* serve(void* argument) {
  (void)argument;
  long served = 0;
  for (int closed = 0; closed < kClients;) {
    struct epoll_event events[3];
    const int ready = epoll_wait(loop, events, 3, -1);
    CHECK(ready > 0);
    for (int i = 0; i < ready; ++i) {
      const int fd = (int)events[i].data.u32;
      char byte;
      if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1) {
        byte = (char)(byte - 32);
        CHECK(send(fd, &byte, 1, 0) == 1);
        ++served;
      } else {
        close(fd);
        ++closed;
      }
    }
  }
  return as_pointer(served);
}

static void server_loop(void) {
  pthread_t clients[kClients];
  loop = epoll_create1(0);
  pthread_t server = start(serve, NULL);
  for (long i = 0; i < kClients; ++i) clients[i] = start(talk, as_pointer(i));
  for (int i = 0; i < kClients; ++i) finish(clients[i]);
  printf("served %ld\n", as_number(finish(server)));
  close(loop);
}

static void* wait_for_one(void* argument) {
  struct epoll_event event;
  uint64_t value;
  const int epoll = (int)as_number(argument);
  CHECK(epoll_wait(epoll, &event, 1, -1) == 1);
  CHECK(read((int)event.data.u32, &value, sizeof value) == sizeof value);
  return NULL;
}

// Several threads wait on one epoll; edge-triggered, each event goes to one of them.
static void many_waiters(void) {
  pthread_t threads[5];
  int events[5];
  const int epoll = epoll_create1(0);
  for (int i = 0; i < 5; ++i) {
    events[i] = eventfd(0, 0);
    watch(epoll, events[i], EPOLLIN | EPOLLET, (unsigned)events[i]);
    threads[i] = start(wait_for_one, as_pointer(epoll));
  }
  nap(5);
  for (int i = 0; i < 5; ++i) {
    const uint64_t one = 1;
    CHECK(write(events[i], &one, sizeof one) == sizeof one);
  }
  for (int i = 0; i < 5; ++i) finish(threads[i]);
  for (int i = 0; i < 5; ++i) close(events[i]);
  printf("each woke one\n");
  close(epoll);
}

static const struct twin_case cases[] = {
    {"level_edge_one_shot", THREADS, level_edge_one_shot},
    {"nested", THREADS, nested},
    {"time_outs_and_errors", THREADS, time_outs_and_errors},
    {"server_loop", THREADS, server_loop},
    {"many_waiters", THREADS, many_waiters},
};

TWIN_MAIN(cases)
