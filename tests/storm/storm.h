// A storm: many plain threads that do everything at random, with checks that hold on any Linux. It
// knows nothing of Ramie; under `ramie run` it looks for lost wake-ups, mixed-up threads and leaks.
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace storm {

// Ends the program with the place and the worker, so that a failure in the middle is not lost.
[[noreturn]] void fail(const char* file, int line, const char* what);

#define STORM_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::storm::fail(__FILE__, __LINE__, #condition))

// splitmix64: https://prng.di.unimi.it/splitmix64.c gives the constants.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // From 0 to limit - 1.
  int below(int limit) { return static_cast<int>(next() % static_cast<uint64_t>(limit)); }

 private:
  uint64_t state_;
};

struct Worker;

// What five workers and their five echoers share.
struct Cell {
  pthread_mutex_t mutex;
  pthread_cond_t token_is_free;
  int tokens;
  pthread_rwlock_t rwlock;
  std::array<uint64_t, 8> copies;  // all equal while nobody holds the rwlock for writing
  sem_t permits;
  std::atomic<int> permits_taken;
  std::atomic<char*> parcel;  // a block of memory that whoever finds it frees
  FILE* log;
  std::vector<Worker*> workers;
};

struct Worker {
  explicit Worker(uint64_t seed) : random(seed) {}

  int number = 0;
  Cell* cell = nullptr;
  Random random;
  pthread_t thread{};
  pthread_t echoer{};
  int socket = -1;       // the worker's end
  int echo_socket = -1;  // the echoer's
  long lines_logged = 0;
  std::array<char*, 16> blocks{};
  // What the monitor shows when nothing moves any more.
  std::atomic<long> operations{0};
  std::atomic<const char*> operation{"begin"};
};

using Operation = void (*)(Worker&);

struct Choice {
  const char* name;
  int weight;
  Operation run;
};

// Everything that a worker may do, with how often.
const std::vector<Choice>& choices();

// In descriptors.cc.
void* run_echoer(void* worker);
void echo(Worker& worker);
void pass_by_pipe(Worker& worker);
void wait_in_vain(Worker& worker);
void close_under_poll(Worker& worker);
void select_ready(Worker& worker);

// In locks.cc.
void hold_token(Worker& worker);
void read_or_write_copies(Worker& worker);
void take_permit(Worker& worker);
void time_out_on_locks(Worker& worker);
void team(Worker& worker);

// In lives.cc.
void cancel_a_thread(Worker& worker);
void fork_a_child(Worker& worker);
void spawn_a_program(Worker& worker);
void run_threads(Worker& worker);

// In state.cc: what must stay a thread's own.
void install_handlers();
long handled_signals();
void send_signals(Worker& worker);
void wait_for_signal(Worker& worker);
void allocate(Worker& worker);
void free_blocks(Worker& worker);
void throw_and_catch(Worker& worker);
void log_line(Worker& worker);
void keep_errno(Worker& worker);

// Sleeps in spite of signals.
void nap(long microseconds);

// A thread with a small stack; and its end.
pthread_t start(void* (*body)(void*), void* argument);
void* join(pthread_t thread);

}  // namespace storm
