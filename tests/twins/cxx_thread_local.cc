// C++ thread_local objects: constructed at first use in each thread, destroyed in reverse order.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "twin.h"

namespace {

std::atomic<int> alive{0};

class Tracked {
 public:
  explicit Tracked(const char* name) : name_(name) { ++alive; }
  ~Tracked() {
    nap(1);  // A destructor may block, and must still see its own thread.
    if (log_) log_->append(name_).append(" ");
    --alive;
  }
  void log_to(std::string* log) { log_ = log; }

 private:
  const char* name_;
  std::string* log_ = nullptr;
};

thread_local Tracked first("first");
thread_local Tracked second("second");
thread_local std::vector<int> numbers{1, 2, 3};

void use_all(std::string* log, int id) {
  // The two are constructed together, in the order in which this file declares them.
  second.log_to(log);
  first.log_to(log);
  thread_local Tracked inner("inner");
  inner.log_to(log);
  for (int i = 0; i < 3; ++i) {
    numbers.push_back(id);
    nap(1);
  }
}

void destructor_order() {
  std::vector<std::string> logs(6);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back(use_all, &logs[i], i);
  for (auto& thread : threads) thread.join();
  for (const auto& log : logs) printf("%s\n", log.c_str());
  printf("alive %d\n", alive.load());
  printf("main has %zu numbers\n", numbers.size());
}

struct Nested {
  ~Nested();
  std::string* log = nullptr;
};
thread_local Nested outer_object;
thread_local Nested late_object;

Nested::~Nested() {
  if (!log) return;
  std::string* const target = log;
  target->append(this == &outer_object ? "outer " : "late ");
  // A thread_local that is first used in a destructor is destroyed as well.
  if (this == &outer_object) late_object.log = target;
}

void destructors_after_keys() {
  std::string log;
  static std::string* key_log = &log;
  key_log = &log;
  pthread_key_t key;
  pthread_key_create(&key, [](void*) { key_log->append("key "); });
  std::thread([&] {
    pthread_setspecific(key, &log);
    outer_object.log = &log;
    nap(2);
  }).join();
  pthread_key_delete(key);
  printf("%s\n", log.c_str());
}

// pthread_exit unwinds: locals first, then the thread-locals.
void destructors_at_pthread_exit() {
  std::string log;
  struct Local {
    std::string* log;
    ~Local() { log->append("local "); }
  };
  std::thread([&log] {
    thread_local Tracked mine("thread-local");
    mine.log_to(&log);
    Local local{&log};
    nap(2);
    pthread_exit(nullptr);
  }).join();
  printf("%s\n", log.c_str());
}

// main's thread-locals go when main returns, though threads have come and gone.
thread_local struct AtEnd {
  bool used = false;
  ~AtEnd() {
    if (used) printf("main's own is destroyed\n");
  }
} at_end;

void destructor_of_main() {
  at_end.used = true;
  std::thread([] { CHECK(!at_end.used); }).join();
  CHECK(at_end.used);
}

const twin_case cases[] = {
    {"destructor_order", THREADS, destructor_order},
    {"destructors_after_keys", THREADS, destructors_after_keys},
    {"destructors_at_pthread_exit", THREADS, destructors_at_pthread_exit},
    {"destructor_of_main", THREADS, destructor_of_main},
};

}  // namespace

TWIN_MAIN(cases)
