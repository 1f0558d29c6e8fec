// Child processes, many at once: fed and read through pipes, watched line by line, and killed when
// they take too long.
//
//   processes [COUNT]        100 unless told
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/process.h>
#include <ramie/timeout.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Lets a child, which takes 0.2 s, sort three numbers.
std::string sort_slowly(int number) {
  const std::string n = std::to_string(number);
  ramie::process::output sorted =
      ramie::run({"sh", "-c", "sleep 0.2; exec sort -n"}, n + "2\n" + n + "0\n" + n + "1\n");
  if (!sorted.status.success() || sorted.out != n + "0\n" + n + "1\n" + n + "2\n") {
    throw std::runtime_error("sort said: " + sorted.out + sorted.err);
  }
  return sorted.out.substr(0, sorted.out.find('\n'));
}

void many_at_once(int count) {
  const Clock::time_point begin = Clock::now();
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  ramie::pool at_once(100);
  const std::vector<std::string> least = ramie::map(at_once, sort_slowly, numbers);
  for (int i = 0; i < count; ++i) {
    if (least[static_cast<std::size_t>(i)] != std::to_string(i) + "0") {
      throw std::runtime_error("an answer went to the wrong fiber");
    }
  }
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%d children of 0.2 s each sorted in %.2f s\n", count, took.count());
}

void line_by_line() {
  ramie::process child({"sh", "-c", "for i in one two three; do echo $i; sleep 0.1; done"},
                       {.out = ramie::process_io::pipe});
  std::string data;
  for (; std::size_t size = child.out().read_until(data, "\n"); data.erase(0, size)) {
    std::printf("the child says %.*s", static_cast<int>(size), data.data());
  }
  std::printf("and leaves with status %d\n", child.wait().code);
}

void with_a_limit() {
  try {
    ramie::timeout limit(200ms);
    (void)ramie::run({"sleep", "3600"});
  } catch (const ramie::timeout_error&) {
    std::printf("one that took too long was killed\n");
  }
}

}  // namespace

int main(int argc, char** argv) try {
  many_at_once(demo::number(argc, argv, 1, 100));
  line_by_line();
  with_a_limit();
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
