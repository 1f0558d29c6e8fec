// Which of 64 blocks of 17 kB are mappings of their own after mallopt(M_MMAP_THRESHOLD): with one
// thread, but for those for which the heap has room already; once there is another; once that asks
// as well; and of 200 kB where it asks for mappings from 256 kB on.
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { kBlocks = 64, kBlock = 17 * 1024 };

static void count_mappings(size_t size) {
  void* blocks[kBlocks];
  size_t before = mallinfo2().hblks;
  for (int i = 0; i < kBlocks; ++i) blocks[i] = malloc(size);
  const size_t mapped = mallinfo2().hblks - before;
  printf("%s ", mapped == 0 ? "none" : mapped > kBlocks / 2 ? "most" : "some");
  for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
}

static void* use_blocks(void* unused) {
  count_mappings(kBlock);
  printf("(%d) ", mallopt(M_MMAP_THRESHOLD, 4096));
  count_mappings(kBlock);
  printf("(%d) ", mallopt(M_MMAP_THRESHOLD, 256 * 1024));
  count_mappings(200 * 1024);
  return unused;
}

int main(void) {
  pthread_t thread;
  printf("(%d) ", mallopt(M_MMAP_THRESHOLD, 4096));
  count_mappings(kBlock);
  pthread_create(&thread, NULL, use_blocks, NULL);
  pthread_join(thread, NULL);
  return 0;
}
