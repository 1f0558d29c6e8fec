// The one client of all echo servers: an event loop that plays question and answer on many
// connections, and looks at each answer.
//
//   client PORT CONNECTIONS REQUESTS SERVER_PID
//
// Prints `echo`, and: us of the server's CPU time per request, requests per second, the median and
// the 99th percentile of the time from question to answer in us, and how many kernel threads the
// server has. Connecting, two first rounds of questions and hanging up are not in the figures.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "figures.h"
#include "listen.h"

enum { kSize = 64, kConnectingAtOnce = 200, kPatienceMs = 20000 };

typedef struct {
  int fd;
  uint32_t number, asked;  // which connection; how many questions
  int received;            // bytes of the answer
  double sent_at;
} Connection;

static int epoll;
static struct sockaddr_in server;
static Connection* connections;
static long answered, to_ask;
static float* times;  // us, of each answer that counts

// No two questions are alike.
static void compose(char* text, const Connection* of) {
  memset(text, (int)('a' + (of->number + of->asked) % 26), kSize);
  memcpy(text, &of->number, sizeof of->number);
  memcpy(text + sizeof of->number, &of->asked, sizeof of->asked);
}

static void ask(Connection* of) {
  char text[kSize];
  ++of->asked;
  of->received = 0;
  compose(text, of);
  of->sent_at = read_clock(CLOCK_MONOTONIC);
  if (send(of->fd, text, kSize, MSG_NOSIGNAL) != kSize) give_up("send");
  --to_ask;
}

static void receive(Connection* of) {
  char text[kSize], expected[kSize];
  const ssize_t got = recv(of->fd, text, (size_t)(kSize - of->received), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) fail("client", got == 0 ? "the server hung up" : strerror(errno));
  compose(expected, of);
  if (memcmp(text, expected + of->received, (size_t)got) != 0) fail("client", "a wrong answer");
  of->received += (int)got;
  if (of->received < kSize) return;
  if (times != NULL) {
    times[answered] = (float)((read_clock(CLOCK_MONOTONIC) - of->sent_at) / 1000);
  }
  ++answered;
  if (to_ask > 0) ask(of);
}

static void wait_for_events(uint32_t what, void (*handle)(Connection*)) {
  struct epoll_event events[256];
  const int ready = epoll_wait(epoll, events, 256, kPatienceMs);
  if (ready == 0) fail("client", "nothing comes from the server any more");
  for (int i = 0; i < ready; ++i) {
    if (events[i].events & what) handle(events[i].data.ptr);
  }
}

static long connected;

static void note_connected(Connection* of) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(of->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  must(error, "connect");
  struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = of}};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, of->fd, &event) != 0) give_up("epoll_ctl");
  ++connected;
}

static void connect_all(long count) {
  for (long opened = 0; connected < count;) {
    for (; opened < count && opened - connected < kConnectingAtOnce; ++opened) {
      Connection* const each = &connections[opened];
      each->number = (uint32_t)opened;
      each->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      if (each->fd < 0) give_up("socket");
      if (connect(each->fd, (struct sockaddr*)&server, sizeof server) != 0 &&
          errno != EINPROGRESS) {
        give_up("connect");
      }
      struct epoll_event event = {.events = EPOLLOUT, .data = {.ptr = each}};
      if (epoll_ctl(epoll, EPOLL_CTL_ADD, each->fd, &event) != 0) give_up("epoll_ctl");
    }
    wait_for_events(EPOLLOUT, note_connected);
  }
}

// Each connection asks, and asks again when it got its answer, until `requests` are answered.
static void converse(long count, long requests) {
  answered = 0;
  to_ask = requests;
  for (long i = 0; i < count && to_ask > 0; ++i) ask(&connections[i]);
  while (answered < requests) wait_for_events(EPOLLIN | EPOLLHUP, receive);
}

// User and system time of a process, all its threads, in us.
static double cpu_of(const char* pid) {
  char path[64], line[1024];
  snprintf(path, sizeof path, "/proc/%s/stat", pid);
  FILE* const stat = fopen(path, "r");
  if (stat == NULL || fgets(line, sizeof line, stat) == NULL) give_up(path);
  fclose(stat);
  unsigned long user = 0, kernel = 0;
  // Behind the name, which may hold anything, the state, ten numbers, and then the two times.
  const char* const rest = strrchr(line, ')');
  if (rest == NULL ||
      sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2) {
    fail(path, "not understood");
  }
  return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static int tasks_of(const char* pid) {
  char path[64];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  DIR* const tasks = opendir(path);
  if (tasks == NULL) give_up(path);
  for (const struct dirent* each; (each = readdir(tasks)) != NULL;) {
    if (each->d_name[0] != '.') ++count;
  }
  closedir(tasks);
  return count;
}

static int compare(const void* one, const void* other) {
  const float a = *(const float*)one, b = *(const float*)other;
  return (a > b) - (a < b);
}

// A reset instead of a farewell: the port is free at once.
static void hang_up(long count) {
  const struct linger reset = {1, 0};
  for (long i = 0; i < count; ++i) {
    setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(connections[i].fd);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: client PORT CONNECTIONS REQUESTS SERVER_PID\n");
    return 2;
  }
  const long count = count_of(argv[2]), requests = count_of(argv[3]);
  server.sin_family = AF_INET;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.sin_port = htons((uint16_t)count_of(argv[1]));
  allow_many_descriptors();
  connections = calloc((size_t)count, sizeof *connections);
  float* const all_times = calloc((size_t)requests, sizeof *all_times);
  epoll = epoll_create1(0);
  if (connections == NULL || all_times == NULL || epoll < 0) give_up("client");
  connect_all(count);
  converse(count, 2 * count);
  times = all_times;
  const double cpu = cpu_of(argv[4]), begin = read_clock(CLOCK_MONOTONIC);
  converse(count, requests);
  const double end = read_clock(CLOCK_MONOTONIC), cpu_end = cpu_of(argv[4]);
  qsort(times, (size_t)requests, sizeof *times, compare);
  printf("echo %.3f %.0f %.1f %.1f %d\n", (cpu_end - cpu) / (double)requests,
         (double)requests * 1e9 / (end - begin), (double)times[requests / 2],
         (double)times[requests * 99 / 100], tasks_of(argv[4]));
  hang_up(count);
  return 0;
}
