// Pipes: end of file, large and small writes, broken pipes, vectors, stdio.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "twin.h"

static int ends[2];

static void* write_slowly(void* argument) {
  for (const char* text = argument; *text; ++text) {
    nap(2);
    CHECK(write(ends[1], text, 1) == 1);
  }
  close(ends[1]);
  return NULL;
}

static void end_of_file(void) {
  MUST(pipe(ends) == 0);
  pthread_t writer = start(write_slowly, "piecemeal");
  char text[32] = "";
  size_t length = 0;
  ssize_t got;
  while ((got = read(ends[0], text + length, sizeof text - length)) > 0) length += (size_t)got;
  printf("%s, then %zd\n", text, got);
  printf("again %zd\n", read(ends[0], text, 1));
  finish(writer);
  close(ends[0]);
}

enum { kBig = 1 << 20 };

static void* write_big(void* argument) {
  (void)argument;
  unsigned char* const data = malloc(kBig);
  for (int i = 0; i < kBig; ++i) data[i] = (unsigned char)(i * 7 + (i >> 8));
  // A blocking write to a pipe returns when all of it is written.
  printf("written %zd\n", write(ends[1], data, kBig));
  free(data);
  close(ends[1]);
  return NULL;
}

static void one_big_write(void) {
  MUST(pipe(ends) == 0);
  pthread_t writer = start(write_big, NULL);
  unsigned char piece[10007];
  int total = 0, wrong = 0, reads = 0;
  ssize_t got;
  while ((got = read(ends[0], piece, sizeof piece)) > 0) {
    for (ssize_t i = 0; i < got; ++i, ++total)
      wrong += piece[i] != (unsigned char)(total * 7 + (total >> 8));
    if (++reads % 40 == 0) nap(1);
  }
  finish(writer);
  printf("read %d, wrong %d\n", total, wrong);
  close(ends[0]);
}

static void* write_records(void* argument) {
  char record[512];
  memset(record, (int)as_number(argument), sizeof record);
  for (int i = 0; i < 100; ++i) CHECK(write(ends[1], record, sizeof record) == sizeof record);
  return NULL;
}

// Up to PIPE_BUF bytes go in one piece, however many writers wait for room.
static void small_writes_are_whole(void) {
  enum { kWriters = 6 };
  MUST(pipe(ends) == 0);
  fcntl(ends[1], F_SETPIPE_SZ, 4096);
  pthread_t writers[kWriters];
  for (long i = 0; i < kWriters; ++i) writers[i] = start(write_records, as_pointer('a' + i));
  int count[kWriters] = {0}, mixed = 0;
  for (int i = 0; i < kWriters * 100; ++i) {
    char record[512];
    for (size_t filled = 0; filled < sizeof record;) {
      const ssize_t got = read(ends[0], record + filled, sizeof record - filled);
      MUST(got > 0);
      filled += (size_t)got;
    }
    for (size_t j = 1; j < sizeof record; ++j) mixed += record[j] != record[0];
    ++count[record[0] - 'a'];
  }
  for (int i = 0; i < kWriters; ++i) finish(writers[i]);
  printf("mixed %d, counts", mixed);
  for (int i = 0; i < kWriters; ++i) printf(" %d", count[i]);
  printf("\n");
  close(ends[0]);
  close(ends[1]);
}

static void* write_until_broken(void* argument) {
  (void)argument;
  char data[4096] = {0};
  const int size = fcntl(ends[1], F_GETPIPE_SZ);
  for (int i = 0; i < size / 4096; ++i) CHECK(write(ends[1], data, sizeof data) == sizeof data);
  printf("full, then: %s\n", said(write(ends[1], "x", 1)));
  printf("again: %s\n", said(write(ends[1], "x", 1)));
  return NULL;
}

static void broken_pipe(void) {
  signal(SIGPIPE, SIG_IGN);
  MUST(pipe(ends) == 0);
  pthread_t writer = start(write_until_broken, NULL);
  int buffered = 0;
  while (ioctl(ends[0], FIONREAD, &buffered) == 0 && buffered < fcntl(ends[0], F_GETPIPE_SZ))
    nap(1);
  nap(5);
  close(ends[0]);
  finish(writer);
  close(ends[1]);
}

static void* write_vectors(void* argument) {
  (void)argument;
  struct iovec parts[] = {{"one ", 4}, {"two ", 4}, {"", 0}, {"three", 5}};
  nap(3);
  printf("writev %zd\n", writev(ends[1], parts, 4));
  close(ends[1]);
  return NULL;
}

static void vectors(void) {
  MUST(pipe(ends) == 0);
  pthread_t writer = start(write_vectors, NULL);
  char a[6] = "", b[20] = "";
  struct iovec parts[] = {{a, 5}, {b, 19}};
  const ssize_t got = readv(ends[0], parts, 2);
  finish(writer);
  printf("readv %zd: [%s] [%s]\n", got, a, b);
  printf("end: %zd\n", readv(ends[0], parts, 2));
  close(ends[0]);
}

static void* try_without_blocking(void* argument) {
  (void)argument;
  char byte;
  printf("empty: %s\n", said(read(ends[0], &byte, 1)));
  char data[4096] = {0};
  ssize_t put, total = 0;
  while ((put = write(ends[1], data, sizeof data)) > 0) total += put;
  printf("full: %s after %d\n", said(put), total == fcntl(ends[1], F_GETPIPE_SZ));
  return NULL;
}

static void non_blocking(void) {
  MUST(pipe2(ends, O_NONBLOCK) == 0);
  finish(start(try_without_blocking, NULL));
  close(ends[0]);
  close(ends[1]);
}

static void* write_lines(void* argument) {
  FILE* const out = argument;
  for (int i = 0; i < 5; ++i) {
    nap(2);
    fprintf(out, "line %d has ", i);
    fflush(out);
    fprintf(out, "two parts\n");
    fflush(out);
  }
  fclose(out);
  return NULL;
}

static void lines_by_stdio(void) {
  MUST(pipe(ends) == 0);
  FILE* const in = fdopen(ends[0], "r");
  pthread_t writer = start(write_lines, fdopen(ends[1], "w"));
  char line[80];
  while (fgets(line, sizeof line, in)) printf("%s", line);
  printf("end %d error %d\n", feof(in) != 0, ferror(in) != 0);
  finish(writer);
  fclose(in);
}

// Many threads print through one FILE: each call holds its lock, even while it blocks.
static void* print_numbers(void* argument) {
  for (int i = 0; i < 200; ++i) {
    fprintf((FILE*)argument, "%s-%d\n", "0123456789012345678901234567890123456789", i);
  }
  return NULL;
}

static void* close_later(void* argument) {
  pthread_t printers[5];
  for (int i = 0; i < 5; ++i) printers[i] = start(print_numbers, argument);
  for (int i = 0; i < 5; ++i) finish(printers[i]);
  fclose((FILE*)argument);
  return NULL;
}

static void stream_locks(void) {
  MUST(pipe(ends) == 0);
  fcntl(ends[1], F_SETPIPE_SZ, 4096);
  FILE* const in = fdopen(ends[0], "r");
  FILE* const out = fdopen(ends[1], "w");
  setvbuf(out, NULL, _IONBF, 0);
  pthread_t all = start(close_later, out);
  int seen[200] = {0}, lines = 0;
  char text[64];
  while (fgets(text, sizeof text, in)) {
    int number = -1;
    CHECK(sscanf(text, "0123456789012345678901234567890123456789-%d", &number) == 1);
    if (number >= 0 && number < 200) ++seen[number];
    ++lines;
  }
  finish(all);
  for (int i = 0; i < 200; ++i) CHECK(seen[i] == 5);
  printf("lines %d\n", lines);
  fclose(in);
}

static const struct twin_case cases[] = {
    {"end_of_file", THREADS, end_of_file},
    {"one_big_write", THREADS, one_big_write},
    {"small_writes_are_whole", THREADS, small_writes_are_whole},
    {"broken_pipe", THREADS, broken_pipe},
    {"vectors", THREADS, vectors},
    {"non_blocking", THREADS, non_blocking},
    {"lines_by_stdio", THREADS, lines_by_stdio},
    {"stream_locks", THREADS, stream_locks},
};

TWIN_MAIN(cases)
