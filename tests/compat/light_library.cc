// The library's larger parts in one program: the same with and without the preload, where its
// kernel threads are fibers too.
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/offload.h>
#include <ramie/process.h>
#include <ramie/server.h>
#include <ramie/signal.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string ask(const ramie::endpoint& where, const std::string& text) {
  ramie::stream peer = ramie::stream::connect(where);
  peer.write_all(text);
  peer.shutdown_write();
  std::string answer(text.size() + 1, '\0');
  answer.resize(peer.read_full(answer));
  return answer;
}

}  // namespace

int main() {
  ramie::signal_waiter stop({SIGTERM});
  ramie::stream_server echo(ramie::endpoint("127.0.0.1:0"), [](ramie::stream peer) {
    char buffer[4096];
    while (std::size_t size = peer.read_some(buffer)) {
      peer.write_all({buffer, size});
    }
  });
  echo.start();

  std::vector<int> numbers(100);
  for (int i = 0; i < 100; ++i) {
    numbers[static_cast<std::size_t>(i)] = i;
  }
  ramie::pool ten(10);
  auto answers = ramie::map(
      ten, [&](int i) { return ask(echo.local(), std::to_string(i)); }, numbers);
  std::printf("%zu answers, the last is %s\n", answers.size(), answers.back().c_str());

  int ticks = 0;
  auto ticker = ramie::spawn([&] {
    for (;;) {
      ramie::sleep_for(1ms);
      ++ticks;
    }
  });
  int seven = ramie::offload([] {
    usleep(100'000);
    return 7;
  });
  std::printf("offload %d, others %s\n", seven, ticks > 0 ? "ran" : "stood still");

  std::printf("sort: %s", ramie::run({"sort", "-r"}, "a\nb\n").out.c_str());

  std::thread killer([] { kill(getpid(), SIGTERM); });
  std::printf("signal %s\n", stop.wait() == SIGTERM ? "SIGTERM" : "?");
  killer.join();

  auto late = [] {
    ramie::sleep_for(1h);
    return 1;
  };
  std::printf("limit %d\n", ramie::with_timeout(5ms, late, 2));

  ramie::event event;
  std::thread setter([&] { event.set(); });
  std::printf("first %zu\n", ramie::wait_any(ticker, event));
  setter.join();
  ticker.cancel();
  ticker.join();
  std::printf("stop %s\n", echo.stop(10s) ? "in time" : "late");
}
