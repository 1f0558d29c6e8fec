// Says hello, sleeps for three seconds, says goodbye; in N fibers at once, on one kernel thread.
//
//   hello_fibers [N] [SECONDS]
#include <ramie/fiber.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

namespace {

void greet(int number, std::chrono::seconds pause) {
  std::printf("%d: hello\n", number);
  ramie::sleep_for(pause);
  std::printf("%d: goodbye\n", number);
}

}  // namespace

int main(int argc, char** argv) try {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  const std::chrono::seconds pause(argc > 2 ? std::atoi(argv[2]) : 3);
  std::vector<ramie::fiber<void>> fibers;
  for (int i = 0; i < count; ++i) fibers.push_back(ramie::spawn(greet, i, pause));
  for (auto& fiber : fibers) fiber.join();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "hello_fibers: %s\n", error.what());
  return 1;
}
