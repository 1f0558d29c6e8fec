// poll, ppoll, select, pselect: mixtures of descriptors, odd arguments, time-outs.
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "twin.h"

static int ends[2], pair[2];

static void open_all(void) {
  MUST(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}

static void close_all(void) {
  for (int i = 0; i < 2; ++i) {
    close(ends[i]);
    close(pair[i]);
  }
}

static void* write_later(void* argument) {
  nap(5);
  CHECK(write((int)as_number(argument), "x", 1) == 1);
  return NULL;
}

static void say_events(const struct pollfd* watched, int count, int ready) {
  printf("ready %d:", ready);
  for (int i = 0; i < count; ++i) printf(" %#x", (unsigned)watched[i].revents);
  printf("\n");
}

static void* poll_mixtures(void* argument) {
  (void)argument;
  char byte;
  struct pollfd watched[] = {
      {.fd = ends[0], .events = POLLIN},
      {.fd = -1, .events = POLLIN, .revents = 77},
      {.fd = pair[0], .events = POLLIN},
      {.fd = ends[0], .events = POLLIN},  // The same one again.
  };
  pthread_t writer = start(write_later, as_pointer(ends[1]));
  say_events(watched, 4, poll(watched, 4, -1));
  finish(writer);
  CHECK(read(ends[0], &byte, 1) == 1);
  writer = start(write_later, as_pointer(pair[1]));
  const struct timespec limit = {20, 0};
  say_events(watched, 4, ppoll(watched, 4, &limit, NULL));
  finish(writer);
  CHECK(read(pair[0], &byte, 1) == 1);
  watched[1].fd = 987654;
  say_events(watched, 4, poll(watched, 4, -1));
  watched[1] = (struct pollfd){.fd = pair[0], .events = POLLOUT | POLLIN};
  say_events(watched, 4, poll(watched, 4, -1));
  shutdown(pair[1], SHUT_WR);
  watched[2].events = POLLIN | POLLRDHUP;
  say_events(watched, 4, poll(watched, 4, -1));
  return NULL;
}

static void poll_of_many(void) {
  open_all();
  finish(start(poll_mixtures, NULL));
  close_all();
}

static void* poll_limits(void* argument) {
  (void)argument;
  struct pollfd watched = {.fd = ends[0], .events = POLLIN};
  const struct timespec span = {0, 15000000}, none = {0, 0}, bad = {0, -1};
  long long before = now_ms();
  printf("none ready: %d\n", poll(&watched, 1, 0));
  printf("in time: %d\n", poll(&watched, 1, 15));
  CHECK(now_ms() - before >= 15);
  before = now_ms();
  printf("nothing watched: %d\n", poll(NULL, 0, 15));
  CHECK(now_ms() - before >= 15);
  before = now_ms();
  printf("ppoll: %d\n", ppoll(&watched, 1, &span, NULL));
  CHECK(now_ms() - before >= 14);
  printf("ppoll at once: %d\n", ppoll(&watched, 1, &none, NULL));
  printf("bad time: %s\n", said(ppoll(&watched, 1, &bad, NULL)));
  struct pollfd* volatile const nowhere = (struct pollfd*)8;
  printf("bad pointer: %s\n", said(poll(nowhere, 1, 10)));
  return NULL;
}

static void poll_time_outs(void) {
  open_all();
  finish(start(poll_limits, NULL));
  close_all();
}

static void* poll_hang_up(void* argument) {
  (void)argument;
  struct pollfd watched[] = {{.fd = ends[0], .events = 0}, {.fd = pair[0], .events = 0}};
  say_events(watched, 2, poll(watched, 2, 20000));
  return NULL;
}

// POLLHUP comes unasked.
static void hang_up(void) {
  open_all();
  pthread_t waiter = start(poll_hang_up, NULL);
  nap(5);
  close(ends[1]);
  finish(waiter);
  ends[1] = -1;
  close_all();
}

static int highest(void) {
  int most = ends[0] > pair[0] ? ends[0] : pair[0];
  return (pair[1] > most ? pair[1] : most) + 1;
}

static void* select_mixtures(void* argument) {
  (void)argument;
  fd_set readable, writable;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  FD_SET(ends[0], &readable);
  FD_SET(pair[0], &readable);
  pthread_t writer = start(write_later, as_pointer(ends[1]));
  struct timeval limit = {20, 0};
  int ready = select(highest(), &readable, &writable, NULL, &limit);
  printf("ready %d: %d %d\n", ready, !!FD_ISSET(ends[0], &readable),
         !!FD_ISSET(pair[0], &readable));
  CHECK(limit.tv_sec < 20);  // Linux tells how much time is left.
  finish(writer);
  FD_SET(pair[0], &readable);
  FD_SET(pair[1], &writable);
  const struct timespec long_limit = {20, 0};
  ready = pselect(highest(), &readable, &writable, NULL, &long_limit, NULL);
  printf("ready %d: %d %d %d\n", ready, !!FD_ISSET(ends[0], &readable),
         !!FD_ISSET(pair[0], &readable), !!FD_ISSET(pair[1], &writable));
  FD_ZERO(&readable);
  FD_SET(pair[0], &readable);
  limit = (struct timeval){0, 15000};
  long long before = now_ms();
  ready = select(highest(), &readable, NULL, NULL, &limit);
  printf("time-out %d: %d\n", ready, !!FD_ISSET(pair[0], &readable));
  CHECK(now_ms() - before >= 14);
  CHECK(limit.tv_sec == 0 && limit.tv_usec == 0);
  before = now_ms();
  limit = (struct timeval){0, 15000};
  printf("nothing watched: %d\n", select(0, NULL, NULL, NULL, &limit));
  CHECK(now_ms() - before >= 14);
  limit = (struct timeval){0, 0};
  FD_SET(pair[0], &readable);
  printf("at once: %d\n", select(highest(), &readable, NULL, NULL, &limit));
  FD_ZERO(&readable);
  const int closed = dup(ends[0]);
  close(closed);
  FD_SET(closed, &readable);
  printf("closed: %s\n", said(select(closed + 1, &readable, NULL, NULL, NULL)));
  limit.tv_sec = -1;
  printf("bad time: %s\n", said(select(0, NULL, NULL, NULL, &limit)));
  return NULL;
}

static void select_of_many(void) {
  open_all();
  finish(start(select_mixtures, NULL));
  close_all();
}

static void* wait_for_token(void* argument) {
  struct pollfd watched = {.fd = ends[0], .events = POLLIN};
  char byte;
  // They are all woken by each token, and one of them gets it.
  for (;;) {
    CHECK(poll(&watched, 1, -1) == 1);
    pthread_mutex_lock((pthread_mutex_t*)argument);
    const int ready = poll(&watched, 1, 0);
    if (ready == 1) CHECK(read(ends[0], &byte, 1) == 1);
    pthread_mutex_unlock((pthread_mutex_t*)argument);
    if (ready == 1) return NULL;
  }
}

static void many_pollers(void) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_t threads[6];
  open_all();
  for (int i = 0; i < 6; ++i) threads[i] = start(wait_for_token, &mutex);
  for (int i = 0; i < 6; ++i) {
    nap(2);
    CHECK(write(ends[1], "x", 1) == 1);
  }
  for (int i = 0; i < 6; ++i) finish(threads[i]);
  printf("all woken\n");
  close_all();
}

static const struct twin_case cases[] = {
    {"poll_of_many", THREADS, poll_of_many}, {"poll_time_outs", THREADS, poll_time_outs},
    {"hang_up", THREADS, hang_up},           {"select_of_many", THREADS, select_of_many},
    {"many_pollers", THREADS, many_pollers},
};

TWIN_MAIN(cases)
