// usage: storm [SECONDS [SEED [THREADS]]]
//
// Rounds of storm with new threads each; between them everything must be as it was. Exits with 0
// and a line of figures, or ends itself with a message: a check that failed, a worker that is
// stuck, or descriptors, kernel threads or memory that were not given back.
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "storm.h"

namespace storm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWorkersOfCell = 5;
constexpr auto kStuck = std::chrono::seconds(120);

std::atomic<bool> is_over{false};
// Held until all workers are there: they send each other signals from their first moment.
pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
thread_local Worker* this_worker;
thread_local int this_number = -1;

void* work(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  this_worker = &worker;
  this_number = worker.number;
  int all = 0;
  for (const Choice& choice : choices()) all += choice.weight;
  while (!is_over) {
    int left = worker.random.below(all);
    auto choice = choices().begin();
    for (; left >= choice->weight; ++choice) left -= choice->weight;
    worker.operation = choice->name;
    choice->run(worker);
    STORM_CHECK(this_worker == &worker && this_number == worker.number);
    ++worker.operations;
  }
  worker.operation = "end";
  free_blocks(worker);
  STORM_CHECK(shutdown(worker.socket, SHUT_WR) == 0);
  join(worker.echoer);
  return nullptr;
}

struct Round {
  std::vector<std::unique_ptr<Cell>> cells;
  std::vector<std::unique_ptr<Worker>> workers;
};

void begin(Round& round, Random& random, int threads) {
  const int cells = std::max(1, threads / (2 * kWorkersOfCell));
  for (int i = 0; i < cells; ++i) {
    auto cell = std::make_unique<Cell>();
    pthread_mutex_init(&cell->mutex, nullptr);
    pthread_cond_init(&cell->token_is_free, nullptr);
    pthread_rwlock_init(&cell->rwlock, nullptr);
    sem_init(&cell->permits, 0, 2);
    cell->tokens = 2;
    cell->log = tmpfile();
    STORM_CHECK(cell->log);
    for (int k = 0; k < kWorkersOfCell; ++k) {
      auto worker = std::make_unique<Worker>(random.next());
      worker->number = i * kWorkersOfCell + k;
      worker->cell = cell.get();
      int ends[2];
      STORM_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      worker->socket = ends[0];
      worker->echo_socket = ends[1];
      cell->workers.push_back(worker.get());
      round.workers.push_back(std::move(worker));
    }
    round.cells.push_back(std::move(cell));
  }
  for (auto& worker : round.workers) worker->echoer = start(run_echoer, worker.get());
  pthread_mutex_lock(&gate);
  for (auto& worker : round.workers) worker->thread = start(work, worker.get());
  pthread_mutex_unlock(&gate);
}

// Each worker's lines must be there, whole and in order.
void check_log(const Cell& cell) {
  std::vector<long> lines(cell.workers.size());
  const int first = cell.workers[0]->number;
  int number;
  long line;
  rewind(cell.log);
  while (fscanf(cell.log, "%d %ld\n", &number, &line) == 2) {
    const auto index = static_cast<size_t>(number - first);
    STORM_CHECK(index < lines.size() && lines[index] == line);
    ++lines[index];
  }
  STORM_CHECK(feof(cell.log));
  for (size_t i = 0; i < lines.size(); ++i) STORM_CHECK(lines[i] == cell.workers[i]->lines_logged);
}

long end(Round& round) {
  is_over = true;
  long operations = 0;
  for (auto& worker : round.workers) {
    join(worker->thread);
    STORM_CHECK(close(worker->socket) == 0 && close(worker->echo_socket) == 0);
    operations += worker->operations;
  }
  for (auto& cell : round.cells) {
    STORM_CHECK(cell->tokens == 2);
    free(cell->parcel.exchange(nullptr));
    check_log(*cell);
    STORM_CHECK(fclose(cell->log) == 0);
    STORM_CHECK(pthread_mutex_destroy(&cell->mutex) == 0);
    STORM_CHECK(pthread_cond_destroy(&cell->token_is_free) == 0);
    STORM_CHECK(pthread_rwlock_destroy(&cell->rwlock) == 0);
    STORM_CHECK(sem_destroy(&cell->permits) == 0);
  }
  is_over = false;
  return operations;
}

long operations_of(const Round& round) {
  long sum = 0;
  for (const auto& worker : round.workers) sum += worker->operations;
  return sum;
}

// A thread that looks on: it ends the program when one worker stands still, and says where all are.
class Monitor {
 public:
  explicit Monitor(const Round& round) : round_(round), thread_(start(run, this)) {}
  ~Monitor() {
    is_done_ = true;
    join(thread_);
  }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  static void* run(void* argument) {
    static_cast<Monitor*>(argument)->look_on();
    return nullptr;
  }

  void look_on() {
    std::vector<long> seen(round_.workers.size(), -1);
    std::vector<Clock::time_point> moved(round_.workers.size(), Clock::now());
    while (!is_done_) {
      nap(100'000);
      for (size_t i = 0; i < seen.size(); ++i) {
        const Worker& worker = *round_.workers[i];
        const bool has_ended = worker.operation.load()[0] == 'e' && is_over;
        if (const long now = worker.operations; now != seen[i]) {
          seen[i] = now;
          moved[i] = Clock::now();
        } else if (!has_ended && Clock::now() - moved[i] > kStuck) {
          report();
        }
      }
    }
  }

  [[noreturn]] void report() const {
    for (const auto& worker : round_.workers) {
      fprintf(stderr, "worker %d: %ld operations, now %s\n", worker->number,
              worker->operations.load(), worker->operation.load());
    }
    fprintf(stderr, "storm: a worker is stuck (pid %d)\n", getpid());
    abort();
  }

  const Round& round_;
  std::atomic<bool> is_done_{false};
  pthread_t thread_;
};

int entries_of(const char* folder) {
  DIR* directory = opendir(folder);
  STORM_CHECK(directory);
  int count = 0;
  while (readdir(directory)) ++count;
  closedir(directory);
  return count;
}

long resident_kilobytes() {
  FILE* file = fopen("/proc/self/statm", "re");
  long all = 0;
  long resident = 0;
  STORM_CHECK(file && fscanf(file, "%ld %ld", &all, &resident) == 2);
  fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// Natively at once.  Kernel threads that others have needed may be kept for some seconds.
bool few_tasks_are_left() {
  const long few = sysconf(_SC_NPROCESSORS_ONLN) + 16;
  const auto until = Clock::now() + std::chrono::seconds(60);
  while (entries_of("/proc/self/task") > few) {
    if (Clock::now() > until) return false;
    nap(100'000);
  }
  return true;
}

struct Holdings {
  int descriptors = entries_of("/proc/self/fd");
  int tasks = entries_of("/proc/self/task");
  long kilobytes = resident_kilobytes();
};

int run(int seconds, uint64_t seed, int threads) {
  install_handlers();
  Random random(seed);
  const auto until = Clock::now() + std::chrono::seconds(seconds);
  const auto round_time = std::chrono::milliseconds(std::max(500, seconds * 1000 / 6));
  std::vector<Holdings> holdings;
  long operations = 0;
  do {
    Round round;
    begin(round, random, threads);
    {
      const Monitor monitor(round);
      const auto round_ends = Clock::now() + round_time;
      while (Clock::now() < round_ends) nap(50'000);
      STORM_CHECK(operations_of(round) > 0);
      operations += end(round);
    }
    holdings.emplace_back();
  } while (Clock::now() < until || holdings.size() < 3);

  const Holdings& first = holdings[0];
  const Holdings& last = holdings.back();
  fprintf(stderr,
          "seed %llu: %ld operations, %ld signals handled, %zu rounds; descriptors %d -> %d, tasks "
          "%d -> %d, resident kB %ld -> %ld\n",
          static_cast<unsigned long long>(seed), operations, handled_signals(), holdings.size(),
          first.descriptors, last.descriptors, first.tasks, last.tasks, first.kilobytes,
          last.kilobytes);
  // Caches and pools may still grow a little after the first round, what leaks grows with each.
  // Kernel threads that a busy machine has called for end later.
  STORM_CHECK(last.descriptors <= first.descriptors + 64);
  STORM_CHECK(last.kilobytes <= 2 * first.kilobytes + 32 * 1024);
  STORM_CHECK(few_tasks_are_left());
  return 0;
}

}  // namespace

void fail(const char* file, int line, const char* what) {
  const int error = errno;
  fprintf(stderr, "%s:%d: worker %d, pid %d: %s (errno %d)\n", file, line, this_number, getpid(),
          what, error);
  abort();
}

const std::vector<Choice>& choices() {
  static const std::vector<Choice> all = {
      {"echo", 100, echo},
      {"pass by pipe", 10, pass_by_pipe},
      {"wait in vain", 30, wait_in_vain},
      {"close under poll", 5, close_under_poll},
      {"select ready", 10, select_ready},
      {"hold token", 50, hold_token},
      {"read or write copies", 50, read_or_write_copies},
      {"take permit", 50, take_permit},
      {"time out on locks", 20, time_out_on_locks},
      {"team", 5, team},
      {"cancel a thread", 10, cancel_a_thread},
      {"fork a child", 2, fork_a_child},
      {"spawn a program", 1, spawn_a_program},
      {"run threads", 10, run_threads},
      {"send signals", 40, send_signals},
      {"wait for signal", 20, wait_for_signal},
      {"allocate", 40, allocate},
      {"throw and catch", 10, throw_and_catch},
      {"log line", 20, log_line},
      {"keep errno", 20, keep_errno},
  };
  return all;
}

void nap(long microseconds) {
  timespec left{microseconds / 1'000'000, microseconds % 1'000'000 * 1000};
  while (nanosleep(&left, &left) != 0) STORM_CHECK(errno == EINTR);
}

pthread_t start(void* (*body)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread;
  STORM_CHECK(pthread_create(&thread, &attributes, body, argument) == 0);
  pthread_attr_destroy(&attributes);
  return thread;
}

void* join(pthread_t thread) {
  void* result = nullptr;
  STORM_CHECK(pthread_join(thread, &result) == 0);
  return result;
}

}  // namespace storm

int main(int count, char** arguments) {
  const int seconds = count > 1 ? std::atoi(arguments[1]) : 60;
  const uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const int threads = count > 3 ? std::atoi(arguments[3]) : 1000;
  if (seconds <= 0 || threads <= 0) {
    fprintf(stderr, "usage: storm [SECONDS [SEED [THREADS]]]\n");
    return 2;
  }
  return storm::run(seconds, seed, threads);
}
