#include "cli/self_test.h"

#include <dlfcn.h>
#include <locale.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace ramie::cli {
namespace {

constexpr int kThreads = 64;
constexpr int kRounds = 5;
constexpr std::ptrdiff_t kMaxKernelThreads = 8;

std::mutex guard;  // of what follows
std::string first_problem;
std::set<pthread_t> selves;
std::set<pid_t> ids;

std::atomic<int> inside = 0;
std::atomic<int> most_inside = 0;
std::atomic<int> destroyed = 0;

void expect(bool holds, const char* what) {
  if (!holds) {
    std::lock_guard lock(guard);
    if (first_problem.empty()) {
      first_problem = what;
    }
  }
}

struct Witness {
  ~Witness() { ++destroyed; }
  int owner = 0;
};
thread_local Witness witness;

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

// An exception stays the one that this thread is handling, however many others throw meanwhile.
void check_exception(int id) {
  try {
    throw id;
  } catch (...) {
    nap();
    try {
      throw;
    } catch (int caught) {
      expect(caught == id, "a thread has rethrown another's exception");
    }
  }
}

void check_round(int id, locale_t own_locale, pthread_t self) {
  auto* block = static_cast<unsigned char*>(malloc(1000));
  memset(block, id, 1000);
  errno = 1000 + id;
  nap();
  expect(errno == 1000 + id, "errno has changed across a sleep");
  expect(witness.owner == id, "a thread_local has changed across a sleep");
  expect(pthread_self() == self, "pthread_self has changed across a sleep");
  expect(uselocale(nullptr) == own_locale, "the locale has changed across a sleep");
  bool intact = true;
  for (int i = 0; i < 1000; ++i) {
    intact = intact && block[i] == id;
  }
  expect(intact, "malloc has given one block to two threads");
  free(block);
  check_exception(id);
}

void one_thread(int id) {
  int now = ++inside;
  for (int most = most_inside; most < now && !most_inside.compare_exchange_weak(most, now);) {
  }
  witness.owner = id;
  pthread_t self = pthread_self();
  {
    std::lock_guard lock(guard);
    selves.insert(self);
    ids.insert(gettid());
  }
  locale_t own_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  locale_t before = uselocale(own_locale);
  for (int round = 0; round < kRounds; ++round) {
    check_round(id, own_locale, self);
  }
  uselocale(before);
  freelocale(own_locale);
  --inside;
}

std::ptrdiff_t kernel_threads() {
  std::error_code ignored;
  return std::distance(std::filesystem::directory_iterator("/proc/self/task", ignored), {});
}

}  // namespace

int self_test() {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int id = 1; id <= kThreads; ++id) {
    threads.emplace_back(one_thread, id);
  }
  std::ptrdiff_t carried_by = kernel_threads();
  for (std::thread& thread : threads) {
    thread.join();
  }
  expect(selves.size() == kThreads, "two threads alive at once had the same pthread_self");
  expect(ids.size() == kThreads, "two threads alive at once had the same gettid");
  expect(most_inside > 1, "the threads ran one after the other");
  expect(destroyed == kThreads, "a thread_local's destructor has not run");

  char figures[4096] = "";
  using Report = int (*)(char*, size_t);
  if (auto report = reinterpret_cast<Report>(dlsym(RTLD_DEFAULT, "ramie_report"))) {
    report(figures, sizeof figures);
  } else {
    expect(false, "the preload has not been loaded");
  }
  bool hosting = strstr(figures, "hosting on\n") != nullptr;
  expect(!hosting || carried_by <= kMaxKernelThreads, "the threads have become kernel threads");

  std::string finding = first_problem;
  if (finding.empty()) {
    finding = std::to_string(kThreads) + " threads on " + std::to_string(carried_by) +
              (carried_by == 1 ? " kernel thread" : " kernel threads");
  }
  printf("%s%sself_test %s\n", figures, strlen(figures) > 0 && !strchr(figures, '\n') ? "\n" : "",
         finding.c_str());
  return first_problem.empty() ? 0 : 1;
}

}  // namespace ramie::cli
