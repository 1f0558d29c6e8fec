// What calls cost that need not wait, made by a thread that is not the first: natively, under the
// preload (where it is a fiber), and under the preload before there is any thread.
//
//   calls thread N | calls alone N   N calls of each kind
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "figures.h"

static long count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int file, receiver, sender;

static void call_getppid(void) { (void)getppid(); }

static void lock_and_unlock(void) {
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
}

static void read_file(void) {
  char bytes[64];
  if (pread(file, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) fail("pread", "too short");
}

static void write_socket(void) {
  static const char kByte = 'x';
  if (write(sender, &kByte, 1) != 1) fail("write", "not written");
}

static void read_socket(void) {
  char byte;
  if (read(receiver, &byte, 1) != 1) fail("read", "nothing there");
}

static void measure(const char* name, void (*call)(void), long times) {
  for (long i = 0; i < times / 20 + 1; ++i) call();
  const Moment begin = now();
  for (long i = 0; i < times; ++i) call();
  tell(name, begin, times);
}

// Some bytes are written, then read one by one, so that each read finds one. Only reads are timed.
static void measure_ready_reads(void) {
  enum { kBatch = 100 };
  double wall = 0, cpu = 0;
  for (long done = 0; done < count; done += kBatch) {
    for (int i = 0; i < kBatch; ++i) write_socket();
    const Moment begin = now();
    for (int i = 0; i < kBatch; ++i) read_socket();
    const Moment end = now();
    wall += end.wall - begin.wall;
    cpu += end.cpu - begin.cpu;
  }
  const long batches = (count + kBatch - 1) / kBatch;
  printf("read %.2f %.2f\n", wall / (double)(batches * kBatch), cpu / (double)(batches * kBatch));
}

static void* measure_all(void* argument) {
  measure("getppid", call_getppid, count);
  measure("mutex", lock_and_unlock, count * 20);
  measure_ready_reads();
  measure("file", read_file, count);
  return argument;
}

static void prepare(char** arguments) {
  count = count_of(arguments[0]);
  int pair[2];
  file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) fail("calls", "no descriptors");
  receiver = pair[0];
  sender = pair[1];
}

static void measure_on_thread(char** arguments) {
  prepare(arguments);
  pthread_t thread;
  must(pthread_create(&thread, NULL, measure_all, NULL), "pthread_create");
  must(pthread_join(thread, NULL), "pthread_join");
}

static void measure_alone(char** arguments) {
  prepare(arguments);
  (void)measure_all(NULL);
}

int main(int argc, char** argv) {
  static const Measurement kKnown[] = {{"thread", 1, measure_on_thread},
                                       {"alone", 1, measure_alone}};
  return run_measurement(argc, argv, kKnown, 2);
}
