// How many pages of small anonymous mappings a thread has before it uses them.
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

enum { kMappings = 64, kPages = 5, kPage = 4096 };

static void* map(void* unused) {
  int there = 0;
  for (int i = 0; i < kMappings; ++i) {
    unsigned char flags[kPages] = {0};
    void* memory =
        mmap(NULL, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mincore(memory, kPages * kPage, flags);
    for (int page = 0; page < kPages; ++page) there += flags[page] & 1;
    munmap(memory, kPages * kPage);
  }
  printf("%d\n", there);
  return unused;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, map, NULL);
  pthread_join(thread, NULL);
  return 0;
}
