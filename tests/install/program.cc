// A program outside of the tree, against what is installed.
#include <ramie.h>
#include <ramie/channel.h>
#include <ramie/fiber.h>

#include <cstdio>

int main() {
  ramie::channel<int> numbers;
  ramie::fiber<void> sender = ramie::spawn([&] {
    for (int i = 1; i <= 3; ++i) {
      numbers.send(i);
    }
    numbers.close();
  });
  int sum = 0;
  for (int number : numbers) {
    sum += number;
  }
  sender.get();
  std::printf("sum %d, usleep patched: %d\n", sum, ramie_is_patched("usleep"));
}
