// How many pages of small anonymous mappings a thread has before it uses them: of those that it
// keeps, and then of those that it maps and unmaps again and again.
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

enum { kMappings = 64, kPages = 5, kPage = 4096 };

static void* map(int* there) {
  unsigned char flags[kPages] = {0};
  void* memory =
      mmap(NULL, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mincore(memory, kPages * kPage, flags);
  for (int page = 0; page < kPages; ++page) *there += flags[page] & 1;
  return memory;
}

static void* map_often(void* unused) {
  void* kept[kMappings];
  int of_kept = 0;
  int of_others = 0;
  for (int i = 0; i < kMappings; ++i) kept[i] = map(&of_kept);
  for (int i = 0; i < kMappings; ++i) munmap(kept[i], kPages * kPage);
  for (int i = 0; i < kMappings; ++i) munmap(map(&of_others), kPages * kPage);
  printf("%d %d\n", of_kept, of_others);
  return unused;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, map_often, NULL);
  pthread_join(thread, NULL);
  return 0;
}
