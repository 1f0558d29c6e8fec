// Descriptors that are closed while another thread is in a call on them: the call keeps the file
// until it has ended, and with it everything that depends on the file's life.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "twin.h"

static int close_range_from(int first, int last) {
  return close_range((unsigned)first, (unsigned)last, 0);
}

static int ends[2];
static _Atomic int is_in_call;

// The call of the other thread has most likely begun.
static void await_call(void) {
  while (!is_in_call) nap(1);
  nap(10);
  is_in_call = 0;
}

// Numbers of this process that stand for the file.
static int count_numbers(const struct stat* file) {
  int count = 0;
  for (int fd = 0; fd < 20000; ++fd) {
    struct stat other;
    count += fstat(fd, &other) == 0 && other.st_ino == file->st_ino && other.st_dev == file->st_dev;
  }
  return count;
}

static void* take(void* argument) {
  char text[16] = "";
  is_in_call = 1;
  const ssize_t got = as_number(argument) != 0 ? recv(ends[0], text, sizeof text, 0)
                                               : read(ends[0], text, sizeof text);
  return strdup(got >= 0 ? text : said(got));
}

static void finish_reader(pthread_t reader) {
  char* const got = finish(reader);
  printf("got %s\n", got);
  free(got);
}

static void by_close(void) { CHECK(close(ends[0]) == 0); }
static void by_range(void) { CHECK(close_range_from(ends[0], ends[0]) == 0); }
static void by_dup2(void) {
  const int other = open("/dev/null", O_RDONLY);
  CHECK(dup2(other, ends[0]) == ends[0] && close(other) == 0);
}

// Takes the number away, makes another file of that number, and gives the reader what it wants.
static void close_under(long is_socket, void (*let_go)(void)) {
  MUST((is_socket != 0 ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
  struct stat file;
  MUST(fstat(ends[0], &file) == 0);
  const pthread_t reader = start(take, as_pointer(is_socket));
  await_call();
  let_go();
  if (let_go == by_dup2) {
    char byte;
    printf("the number: %ld\n", (long)read(ends[0], &byte, 1));
    close(ends[0]);
  }
  const int next = eventfd(0, 0);
  printf("same number: %d\n", next == ends[0]);
  nap(5);
  printf("peer writes: %s\n", said(write(ends[1], "kept", 4)));
  finish_reader(reader);
  printf("left: %d\n", count_numbers(&file) - (is_socket != 0 ? 0 : 1));
  printf("peer then: %s\n", said(write(ends[1], "more", 4)));
  close(ends[1]);
  close(next);
}

static void readers(void) {
  signal(SIGPIPE, SIG_IGN);
  close_under(0, by_close);
  close_under(1, by_close);
  close_under(0, by_dup2);
  close_under(1, by_range);
}

// Of several, each goes on, and the last one gives the file up.  Two messages stay two, also where
// no reader runs in between.
static void several(void) {
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  struct stat file;
  MUST(fstat(ends[0], &file) == 0);
  pthread_t readers_of_one[3];
  for (int i = 0; i < 3; ++i) {
    readers_of_one[i] = start(take, as_pointer(1));
    await_call();
  }
  CHECK(close(ends[0]) == 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(send(ends[1], "one", 3, 0) == 3);
    nap(5);
  }
  for (int i = 0; i < 3; ++i) finish_reader(readers_of_one[i]);
  printf("left: %d\n", count_numbers(&file));
  close(ends[1]);
}

// Data and the close come together: the data is the reader's.
static void data_before_close(void) {
  for (int i = 0; i < 20; ++i) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const pthread_t reader = start(take, as_pointer(1));
    await_call();
    CHECK(send(ends[1], "late", 4, 0) == 4);
    CHECK(close(ends[0]) == 0);
    finish_reader(reader);
    close(ends[1]);
  }
}

static void* put_much(void* argument) {
  (void)argument;
  static char much[1 << 20];
  is_in_call = 1;
  return as_pointer((long)write(ends[1], much, sizeof much));
}

// The reader sees all of it, and then the end.
static void writer(void) {
  MUST(pipe(ends) == 0);
  const pthread_t thread = start(put_much, NULL);
  await_call();
  CHECK(close(ends[1]) == 0);
  static char text[1 << 16];
  long sum = 0;
  for (long got; (got = read(ends[0], text, sizeof text)) > 0;) sum += got;
  printf("wrote %ld, read %ld\n", as_number(finish(thread)), sum);
  close(ends[0]);
}

static void* accept_one(void* argument) {
  is_in_call = 1;
  const int connection = accept((int)as_number(argument), NULL, NULL);
  close(connection);
  return as_pointer(connection >= 0);
}

// The listener is gone a little later than its last connection is accepted, at most.
static const char* connect_until_refused(const struct sockaddr_in* address) {
  int result = 0;
  for (const long long end = now_ms() + 5000; result == 0 && now_ms() < end;) {
    nap(5);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    result = connect(client, (const struct sockaddr*)address, sizeof *address);
    const int error = errno;
    close(client);
    errno = error;
  }
  return said(result);
}

static void acceptor(void) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  MUST(bind(listener, (struct sockaddr*)&address, size) == 0 && listen(listener, 4) == 0);
  MUST(getsockname(listener, (struct sockaddr*)&address, &size) == 0);
  const pthread_t thread = start(accept_one, as_pointer(listener));
  await_call();
  CHECK(close(listener) == 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  printf("connect: %s\n", said(connect(client, (struct sockaddr*)&address, size)));
  printf("accepted: %ld\n", as_number(finish(thread)));
  printf("connect then: %s\n", connect_until_refused(&address));
  close(client);
}

static void* wait_on_epoll(void* argument) {
  struct epoll_event event;
  is_in_call = 1;
  printf("epoll: %d\n", epoll_wait((int)as_number(argument), &event, 1, -1));
  return NULL;
}

static void epolls(void) {
  MUST(pipe(ends) == 0);
  const int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  MUST(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
  const pthread_t thread = start(wait_on_epoll, as_pointer(set));
  await_call();
  CHECK(close(set) == 0);
  CHECK(write(ends[1], "x", 1) == 1);
  finish(thread);
  for (int i = 0; i < 2; ++i) close(ends[i]);
}

static void note(int number) { (void)number; }

// The call begins anew by the number, or ends.
static void interrupted(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  for (int i = 0; i < 2; ++i) {
    action.sa_flags = i == 0 ? 0 : SA_RESTART;
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct stat file;
    MUST(fstat(ends[0], &file) == 0);
    const pthread_t reader = start(take, as_pointer(1));
    await_call();
    CHECK(close(ends[0]) == 0);
    nap(5);
    CHECK(pthread_kill(reader, SIGUSR1) == 0);
    finish_reader(reader);
    printf("left: %d\n", count_numbers(&file));
    close(ends[1]);
  }
}

static void end_nothing(int number) { (void)number; }

// What ends the call and the close come at once: the call has to end.
static void* be_ended(void* argument) {
  char byte;
  is_in_call = 1;
  const long got = as_number(argument) != 0 ? recv(ends[0], &byte, 1, 0) : read(ends[0], &byte, 1);
  return strdup(said(got));
}

static void ended_and_closed(int by_cancel) {
  struct sigaction action = {.sa_handler = end_nothing};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  for (long i = 0; i < 10; ++i) {
    MUST((i % 2 != 0 ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
    pthread_t reader = start(be_ended, (void*)(i % 2));
    await_call();
    CHECK((by_cancel ? pthread_cancel(reader) : pthread_kill(reader, SIGUSR1)) == 0);
    CHECK(close(ends[0]) == 0);
    void* got = NULL;
    CHECK(pthread_join(reader, &got) == 0);
    printf("%s\n", got == PTHREAD_CANCELED ? "cancelled" : (char*)got);
    if (got != PTHREAD_CANCELED) free(got);
    CHECK(close(ends[1]) == 0);
  }
}

static void signalled_and_closed(void) { ended_and_closed(0); }
static void cancelled_and_closed(void) { ended_and_closed(1); }

static int moved_to[2];

static void* move_on(void* argument) {
  is_in_call = 1;
  printf("moved: %s\n", said(splice(ends[0], NULL, moved_to[1], NULL, 16, 0)));
  return argument;
}

// What is moved is the old file's, though the number stands for one that has data, too.
static void splicer(void) {
  int next[2];
  char text[16] = "";
  MUST(pipe(ends) == 0 && pipe(moved_to) == 0);
  pthread_t mover = start(move_on, NULL);
  await_call();
  CHECK(close(ends[0]) == 0);
  MUST(pipe(next) == 0 && next[0] == ends[0]);
  CHECK(write(next[1], "other", 5) == 5);
  CHECK(write(ends[1], "mine", 4) == 4);
  finish(mover);
  CHECK(fcntl(moved_to[0], F_SETFL, O_NONBLOCK) == 0);
  CHECK(read(moved_to[0], text, sizeof text) == 4);
  printf("%s\n", text);
  CHECK(close(ends[1]) == 0 && close(next[0]) == 0 && close(next[1]) == 0);
  CHECK(close(moved_to[0]) == 0 && close(moved_to[1]) == 0);
}

static const struct twin_case cases[] = {
    {"readers", THREADS, readers},
    {"several", THREADS, several},
    {"data_before_close", THREADS, data_before_close},
    {"writer", THREADS, writer},
    {"acceptor", THREADS, acceptor},
    {"epolls", THREADS, epolls},
    {"interrupted", THREADS, interrupted},
    {"signalled_and_closed", THREADS, signalled_and_closed},
    {"cancelled_and_closed", THREADS, cancelled_and_closed},
    {"splicer", THREADS, splicer},
};

TWIN_MAIN(cases)
