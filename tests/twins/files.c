// Reads of a file whose data has to come from a disk, by several threads at a time.
#include <fcntl.h>
#include <sys/uio.h>

#include "twin.h"

enum { kRecord = 1000, kRecords = 4000, kThreads = 8 };

static int file;
static int seen[kRecords];

// What is at `index`, in each of its places.
static void fill(int* record, int index) {
  for (size_t i = 0; i < kRecord / sizeof index; ++i) record[i] = index;
}

static int is_whole(const int* record) {
  for (size_t i = 1; i < kRecord / sizeof *record; ++i)
    if (record[i] != record[0]) return 0;
  return 1;
}

// Where there is a disk: /tmp may be memory.  The kernel forgets what it can.
static void make_file(void) {
  char path[] = "twin_filesXXXXXX";
  int record[kRecord / sizeof(int)];
  file = mkstemp(path);
  MUST(file >= 0 && unlink(path) == 0);
  for (int i = 0; i < kRecords; ++i) {
    fill(record, i);
    MUST(write(file, record, kRecord) == kRecord);
  }
  MUST(fsync(file) == 0 && lseek(file, 0, SEEK_SET) == 0);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}

static void on_threads(void* (*body)(void*)) {
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) threads[i] = start(body, as_pointer(i));
  for (int i = 0; i < kThreads; ++i) finish(threads[i]);
}

static void say_what_was_seen(void) {
  int count = 0;
  for (int i = 0; i < kRecords; ++i) count += seen[i] == 1;
  printf("seen once: %d\n", count);
  close(file);
}

static void* read_records(void* argument) {
  int record[kRecord / sizeof(int)];
  ssize_t size;
  while ((size = read(file, record, kRecord)) == kRecord) {
    CHECK(is_whole(record) && record[0] >= 0 && record[0] < kRecords);
    __atomic_add_fetch(&seen[record[0]], 1, __ATOMIC_SEQ_CST);
  }
  CHECK(size == 0);
  return argument;
}

// Each record goes to one thread, and in one piece.
static void one_position(void) {
  make_file();
  on_threads(read_records);
  say_what_was_seen();
}

static void* read_every_eighth(void* argument) {
  int record[kRecord / sizeof(int)];
  const int first = (int)as_number(argument);
  for (int i = kRecords - kThreads + first; i >= 0; i -= kThreads) {
    struct iovec half[2] = {{record, kRecord / 2},
                            {record + kRecord / 2 / sizeof(int), kRecord / 2}};
    const off_t at = (off_t)i * kRecord;
    const ssize_t size = i % 3 ? pread(file, record, kRecord, at) : preadv(file, half, 2, at);
    CHECK(size == kRecord && is_whole(record) && record[0] == i);
    __atomic_add_fetch(&seen[i], 1, __ATOMIC_SEQ_CST);
  }
  return argument;
}

static void at_offsets(void) {
  make_file();
  on_threads(read_every_eighth);
  say_what_was_seen();
}

static void* read_all_at_once(void* argument) {
  const size_t size = (size_t)kRecord * kRecords;
  char* const all = malloc(size + 10);
  MUST(all);
  CHECK(pread(file, all, size + 10, 0) == (ssize_t)size);
  for (int i = 0; i < kRecords; ++i) CHECK(is_whole((int*)(all + (size_t)i * kRecord)));
  CHECK(pread(file, all, 10, (off_t)size) == 0);
  CHECK(pread(file, all, 10, (off_t)size - 4) == 4);
  free(all);
  return argument;
}

static void in_one_piece(void) {
  make_file();
  on_threads(read_all_at_once);
  close(file);
  printf("whole\n");
}

static void* say_errors(void* argument) {
  char byte;
  void* volatile nowhere = NULL;
  int ends[2];
  MUST(pipe(ends) == 0);
  printf("pipe: %s, ", said(pread(ends[0], &byte, 1, 0)));
  printf("before the beginning: %s, ", said(pread(file, &byte, 1, -1)));
  printf("nowhere: %s, ", said(pread(file, nowhere, 1, 0)));
  printf("nothing: %s, ", said(pread(file, nowhere, 0, 0)));
  printf("closed: %s, ", said(pread(-1, &byte, 1, 0)));
  const int folder = open("/", O_RDONLY | O_DIRECTORY);
  printf("folder: %s\n", said(pread(folder, &byte, 1, 0)));
  close(folder);
  close(ends[0]);
  close(ends[1]);
  return argument;
}

static void errors(void) {
  make_file();
  finish(start(say_errors, NULL));
  close(file);
}

static const struct twin_case cases[] = {
    {"one_position", THREADS, one_position},
    {"at_offsets", THREADS, at_offsets},
    {"in_one_piece", THREADS, in_one_piece},
    {"errors", THREADS, errors},
};

TWIN_MAIN(cases)
