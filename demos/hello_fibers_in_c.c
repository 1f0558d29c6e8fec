/* The hellos once more, by ramie.h: fibers for C.
 *
 *   hello_fibers_in_c [N]     1000 unless told
 */
#include <ramie.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t kSecond = 1000 * 1000 * 1000;

static void greet(void* argument) {
  int number = *(int*)argument;
  printf("%d: hello\n", number);
  ramie_sleep(3 * kSecond);
  printf("%d: goodbye\n", number);
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1000;
  int* numbers = calloc(count, sizeof *numbers);
  ramie_fiber** fibers = calloc(count, sizeof *fibers);
  if (numbers == NULL || fibers == NULL) {
    perror("hello_fibers_in_c");
    return 1;
  }
  printf("sleep() goes to %s\n", ramie_is_patched("sleep") ? "the shim" : "libc");
  for (int i = 0; i < count; ++i) {
    numbers[i] = i;
    fibers[i] = ramie_spawn(greet, &numbers[i]);
    if (fibers[i] == NULL) {
      perror("ramie_spawn");
      return 1;
    }
  }
  for (int i = 0; i < count; ++i) {
    ramie_join(fibers[i]);
  }
  free(fibers);
  free(numbers);
  return 0;
}
