// Says hello, sleeps for three seconds, says goodbye; N times, one after the other.
//
//   hello [N] [SECONDS]
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void greet(int number, unsigned seconds) {
  printf("%d: hello\n", number);
  fflush(stdout);
  sleep(seconds);
  printf("%d: goodbye\n", number);
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 3;
  const unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
  for (int i = 0; i < count; ++i) greet(i, seconds);
  return 0;
}
