// While one thread sits in a call that blocks, another one ticks on.
//
// Nothing here is a matter of time: each blocked call can end only after the other thread has
// ticked so and so often, since the last tick lets it go. If the call stopped all threads, the
// program would never end.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "twin.h"

enum { kTicks = 20 };

static int ends[2];
static int ticks;

static void tick(void) {
  for (int i = 0; i < kTicks; ++i) {
    usleep(1000);
    __atomic_add_fetch(&ticks, 1, __ATOMIC_SEQ_CST);
  }
}

static void* tick_then_write(void* argument) {
  const char* const text = argument;
  tick();
  CHECK(write(ends[1], text, strlen(text)) == (ssize_t)strlen(text));
  return NULL;
}

static int ticks_so_far(void) { return __atomic_load_n(&ticks, __ATOMIC_SEQ_CST); }

// Not inherited by accident: the commands below get the reading end by its number only.
static pthread_t start_ticking(const char* text) {
  MUST(pipe(ends) == 0);
  MUST(fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0);
  ticks = 0;
  return start(tick_then_write, (void*)text);
}

static void stop_ticking(pthread_t ticker) {
  finish(ticker);
  close(ends[0]);
  close(ends[1]);
}

static void in_fgets(void) {
  char line[32] = "";
  pthread_t ticker = start_ticking("a line\n");
  FILE* const in = fdopen(ends[0], "r");
  CHECK(fgets(line, sizeof line, in) == line);
  printf("%d ticks, %s", ticks_so_far(), line);
  finish(ticker);
  fclose(in);
  close(ends[1]);
}

static void in_getchar(void) {
  pthread_t ticker = start_ticking("x");
  MUST(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
  const int got = getchar();
  printf("%d ticks, %c\n", ticks_so_far(), got);
  stop_ticking(ticker);
}

static void in_system(void) {
  char command[64];
  pthread_t ticker = start_ticking("line\n");
  snprintf(command, sizeof command, "read text <&%d; exit 7", ends[0]);
  const int status = system(command);
  printf("%d ticks, code %d\n", ticks_so_far(), WEXITSTATUS(status));
  stop_ticking(ticker);
}

static void in_popen(void) {
  char command[64], line[64] = "";
  pthread_t ticker = start_ticking("line\n");
  snprintf(command, sizeof command, "read text <&%d; echo got $text", ends[0]);
  FILE* const in = popen(command, "r");
  MUST(in);
  CHECK(fgets(line, sizeof line, in) == line);
  printf("%d ticks, %s", ticks_so_far(), line);
  printf("code %d\n", WEXITSTATUS(pclose(in)));
  stop_ticking(ticker);
}

// pclose waits for the child, which ends when it has read the line.
static void in_pclose(void) {
  char command[64];
  pthread_t ticker = start_ticking("line\n");
  snprintf(command, sizeof command, "read text <&%d; exit 8", ends[0]);
  FILE* const in = popen(command, "r");
  const int status = pclose(in);
  printf("%d ticks, code %d\n", ticks_so_far(), WEXITSTATUS(status));
  stop_ticking(ticker);
}

static void* wait_for_child(void* argument) {
  int status = -1;
  CHECK(waitpid((pid_t)as_number(argument), &status, 0) == (pid_t)as_number(argument));
  return as_pointer(ticks_so_far());
}

// main ticks, and the thread waits.
static void in_thread(void) {
  MUST(pipe(ends) == 0);
  ticks = 0;
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    _exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
  }
  pthread_t waiter = start(wait_for_child, as_pointer(child));
  tick_then_write((void*)"x");
  printf("%ld ticks\n", as_number(finish(waiter)));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

enum { kTurns = 120 };

static void compute_for_some_milliseconds(void) {
  for (const long long end = now_ms() + 4; now_ms() < end;) {
  }
}

static void take_turns(int mine) {
  pthread_mutex_lock(&mutex);
  while (turn < kTurns) {
    if (turn % 2 == mine) {
      compute_for_some_milliseconds();
      ++turn;
      pthread_cond_signal(&turned);
    } else {
      pthread_cond_wait(&turned, &mutex);
    }
  }
  pthread_mutex_unlock(&mutex);
}

static void* take_odd_turns(void* argument) {
  (void)argument;
  take_turns(1);
  return NULL;
}

// Of two threads that wake each other one can always run, and yet a third one ticks.
static void beside_two_in_turn(void) {
  pthread_t ticker = start_ticking("x");
  pthread_t odd = start(take_odd_turns, NULL);
  take_turns(0);
  printf("ticked meanwhile: %s\n", ticks_so_far() > 0 ? "yes" : "no");
  finish(odd);
  stop_ticking(ticker);
}

static void lookup_of_localhost(void) {
  struct addrinfo hints, *found = NULL;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  pthread_t ticker = start_ticking("x");
  const int answer = getaddrinfo("localhost", "80", &hints, &found);
  printf("answer %d\n", answer);
  if (answer == 0) {
    const struct sockaddr_in* const address = (const struct sockaddr_in*)(void*)found->ai_addr;
    printf("%s %d\n", inet_ntoa(address->sin_addr), ntohs(address->sin_port));
    freeaddrinfo(found);
  }
  stop_ticking(ticker);
  printf("%d ticks\n", ticks_so_far());
}

// A name server of our own on loopback, which answers its first question after the ticks.
static void* serve_name(void* argument) {
  const int server = (int)as_number(argument);
  unsigned char packet[512];
  struct sockaddr_in from;
  socklen_t length = sizeof from;
  const ssize_t got = recvfrom(server, packet, 256, 0, (struct sockaddr*)&from, &length);
  MUST(got > 12);
  tick();
  static const unsigned char kAnswer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 33};
  size_t question = 12;
  while (packet[question] != 0) question += packet[question] + 1u;
  question += 5;
  packet[2] = 0x81;  // A response, with recursion available, no error, one answer.
  packet[3] = 0x80;
  memset(packet + 6, 0, 6);
  packet[7] = 1;
  memcpy(packet + question, kAnswer, sizeof kAnswer);
  const size_t size = question + sizeof kAnswer;
  CHECK(sendto(server, packet, size, 0, (struct sockaddr*)&from, length) == (ssize_t)size);
  return NULL;
}

static void in_resolver(void) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int server = socket(AF_INET, SOCK_DGRAM, 0);
  MUST(bind(server, (struct sockaddr*)&address, sizeof address) == 0);
  MUST(getsockname(server, (struct sockaddr*)&address, &length) == 0);
  MUST(res_init() == 0);
  _res.nsaddr_list[0] = address;
  _res.nscount = 1;
  _res.retrans = 20;
  ticks = 0;
  pthread_t thread = start(serve_name, as_pointer(server));
  unsigned char answer[512];
  const int size = res_query("tick.test", 1, 1, answer, sizeof answer);
  CHECK(size > 16);
  printf("%d ticks, ", ticks_so_far());
  for (int i = 4; i > 0; --i) printf("%d%s", answer[size - i], i > 1 ? "." : "\n");
  finish(thread);
  close(server);
}

static const struct twin_case cases[] = {
    {"in_fgets", THREADS, in_fgets},
    {"in_getchar", THREADS, in_getchar},
    {"in_system", THREADS, in_system},
    {"in_popen", THREADS, in_popen},
    {"in_pclose", THREADS, in_pclose},
    {"in_thread", THREADS, in_thread},
    {"beside_two_in_turn", THREADS, beside_two_in_turn},
    {"lookup_of_localhost", THREADS, lookup_of_localhost},
    {"in_resolver", THREADS, in_resolver},
};

TWIN_MAIN(cases)
