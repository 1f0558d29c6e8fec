// Producers and consumers with a queue between them that holds few: who is ahead waits for the
// others.  A consumer that fails puts the job back, so that every job is done exactly once.
//
//   producer_consumer [JOBS [PRODUCERS [CONSUMERS]]]        60, 3 and 5 unless told
#include <ramie/group.h>
#include <ramie/queue.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <vector>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;

struct Job {
  int number;
  bool is_second_attempt = false;
};

}  // namespace

int main(int argc, char** argv) try {
  const int jobs = demo::number(argc, argv, 1, 60);
  const int producers = std::max(demo::number(argc, argv, 2, 3), 1);
  const int consumers = std::max(demo::number(argc, argv, 3, 5), 1);

  ramie::queue<Job> queue(4);
  ramie::queue<Job> again;  // without a limit: who consumes must not wait for room
  std::vector<int> done(static_cast<std::size_t>(jobs));
  std::size_t most = 0;

  ramie::group making;
  for (int producer = 0; producer < producers; ++producer) {
    making.spawn([&, producer] {
      for (int number = producer; number < jobs; number += producers) {
        queue.put(Job{number});  // waits while four are inside
        most = std::max(most, queue.size());
      }
    });
  }

  ramie::group taking;
  for (int consumer = 1; consumer <= consumers; ++consumer) {
    taking.spawn([&, consumer] {
      for (const Job& job : queue) {  // until it is closed and empty
        ramie::sleep_for(5ms);        // the work
        if (job.number % 10 == 7 && !job.is_second_attempt) {
          std::printf("consumer %d: job %d failed\n", consumer, job.number);
          again.put(Job{job.number, true});
        } else {
          std::printf("consumer %d: job %d\n", consumer, job.number);
          ++done[static_cast<std::size_t>(job.number)];
        }
        queue.task_done();
      }
    });
  }

  making.join();
  queue.join();  // every job has been tried
  again.close();
  for (const Job& job : again) {
    queue.put(job);
  }
  queue.close();
  taking.join();

  if (std::any_of(done.begin(), done.end(), [](int times) { return times != 1; })) {
    throw std::runtime_error("a job was lost, or done twice");
  }
  std::printf("%d jobs done, at most %zu waiting\n", jobs, most);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
