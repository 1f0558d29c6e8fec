// Handlers of a program that the preload serves: they start light fibers and wait, while what they
// interrupt does the same.
#include <pthread.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <chrono>
#include <cstdio>

namespace {

using namespace std::chrono_literals;

constexpr int kRounds = 2'000;

std::atomic<int> handled = 0;
std::atomic<int> finished = 0;

void on_signal(int) {
  ++handled;
  ramie::spawn([] { ++finished; }).detach();
  ramie::sleep_for(1us);
}

}  // namespace

int main() {
  // The first thread: from here on the preload delivers the signals.
  pthread_t thread;
  pthread_create(
      &thread, nullptr, [](void* argument) { return argument; }, nullptr);
  pthread_join(thread, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  itimerval often{{0, 50}, {0, 50}};
  setitimer(ITIMER_REAL, &often, nullptr);
  ramie::counting_semaphore<> turn(0);
  int rounds = 0;
  while (handled < kRounds) {
    ramie::spawn([&] { turn.release(); }).detach();
    turn.acquire();
    ++rounds;
  }
  setitimer(ITIMER_REAL, nullptr, nullptr);
  while (finished < handled) {
    ramie::sleep_for(1ms);
  }
  std::printf("%s\n",
              rounds > 0 && finished == handled ? "all fibers have run" : "some are missing");
  return 0;
}
