// Opening a FIFO waits for its other end (man 7 fifo). A thread that waits there must not hold up
// the others.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "twin.h"

static char scratch[32];

static const char* in_scratch(const char* name) {
  static char path[64];
  strcpy(scratch, "/tmp/twin_XXXXXX");
  MUST(mkdtemp(scratch));
  snprintf(path, sizeof path, "%s/%s", scratch, name);
  return path;
}

static void* nap_a_little(void* argument) {
  nap(10);
  return argument;
}

static void* read_fifo(void* path) {
  char text[8] = "";
  const int fd = open(path, O_RDONLY);
  CHECK(fd >= 0);
  printf("read %zd", read(fd, text, sizeof text - 1));
  printf(" %s, then %zd\n", text, read(fd, text, sizeof text));
  close(fd);
  return NULL;
}

static void* write_fifo(void* path) {
  const int fd = open(path, O_WRONLY);
  CHECK(fd >= 0);
  CHECK(write(fd, "hey", 3) == 3);
  nap(5);
  close(fd);
  return NULL;
}

// To open either end means to wait for the other one.
static void fifo(void) {
  char* const path = (char*)in_scratch("fifo");
  MUST(mkfifo(path, 0600) == 0);
  for (int reader_first = 0; reader_first < 2; ++reader_first) {
    pthread_t one = start(reader_first ? read_fifo : write_fifo, path);
    finish(start(nap_a_little, NULL));
    pthread_t other = start(reader_first ? write_fifo : read_fifo, path);
    finish(one);
    finish(other);
  }
  printf("no reader: %s\n", said(open(path, O_WRONLY | O_NONBLOCK)));
  unlink(path);
  rmdir(scratch);
}

static int open_by_creat(const char* path) { return creat(path, 0600); }

static int open_by_openat2(const char* path) {
  const struct open_how how = {.flags = O_WRONLY | O_CLOEXEC};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int (*fifo_opener)(const char* path);

static void* write_fifo_by_opener(void* path) {
  const int fd = fifo_opener(path);
  CHECK(fd >= 0 && write(fd, "hey", 3) == 3);
  close(fd);
  return NULL;
}

// The less usual ways to open one wait as well.
static void fifo_openers(void) {
  char* const path = (char*)in_scratch("fifo");
  MUST(mkfifo(path, 0600) == 0);
  int (*const openers[])(const char*) = {open_by_creat, open_by_openat2};
  for (int i = 0; i < 2; ++i) {
    fifo_opener = openers[i];
    pthread_t writer = start(write_fifo_by_opener, path);
    finish(start(nap_a_little, NULL));
    read_fifo(path);
    finish(writer);
  }
  const struct open_how wrong = {.flags = O_WRONLY, .resolve = ~0ULL};
  printf("openat2: %s, ", said(syscall(SYS_openat2, AT_FDCWD, path, &wrong, sizeof wrong)));
  printf("%s\n", said(syscall(SYS_openat2, AT_FDCWD, path, &wrong, 1)));
  unlink(path);
  rmdir(scratch);
}

static const struct twin_case cases[] = {
    {"both_ends", THREADS, fifo},
    {"openers", THREADS, fifo_openers},
};

TWIN_MAIN(cases)
