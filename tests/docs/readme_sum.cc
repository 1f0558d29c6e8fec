#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstdio>
#include <vector>

int main() {
  using namespace std::chrono_literals;
  ramie::counting_semaphore<> seats(100);
  std::vector<ramie::fiber<int>> fibers;
  for (int i = 0; i < 1000; ++i) {
    fibers.push_back(ramie::spawn([&seats, i] {
      seats.acquire();  // at most 100 of them sleep at the same time
      ramie::sleep_for(100ms);
      seats.release();
      return i;
    }));
  }
  long sum = 0;
  for (auto& fiber : fibers) {
    sum += fiber.get();
  }
  std::printf("%ld\n", sum);  // 499500, after a second
}
