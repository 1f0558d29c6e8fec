// Threads and processes that begin and end: cancelled, forked, spawned, joined.
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "storm.h"

extern char** environ;

namespace storm {
namespace {

// A child process costs much where a thousand threads have touched their stacks.
class FewChildren {
 public:
  FewChildren() : has_place_(++count_ <= 2) {}
  ~FewChildren() { --count_; }
  FewChildren(const FewChildren&) = delete;
  FewChildren& operator=(const FewChildren&) = delete;
  bool has_place() const { return has_place_; }

 private:
  static std::atomic<int> count_;
  bool has_place_;
};

std::atomic<int> FewChildren::count_{0};

struct Victim {
  int kind = 0;
  int event = -1;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  sem_t no_permit{};
  std::atomic<int> cleaned{0};
};

void clean_up(void* argument) {
  auto* victim = static_cast<Victim*>(argument);
  if (victim->kind == 2) pthread_mutex_unlock(&victim->mutex);
  ++victim->cleaned;
}

void* wait_for_ever(void* argument) {
  auto* victim = static_cast<Victim*>(argument);
  if (victim->kind == 2) pthread_mutex_lock(&victim->mutex);
  pthread_cleanup_push(clean_up, victim);
  while (true) {
    uint64_t value;
    switch (victim->kind) {
      case 0:
        static_cast<void>(!read(victim->event, &value, sizeof(value)));
        break;
      case 1:
        sem_wait(&victim->no_permit);
        break;
      case 2:
        pthread_cond_wait(&victim->never, &victim->mutex);
        break;
      case 3:
        sleep(1000);
        break;
      default:
        pthread_testcancel();
        sched_yield();
    }
  }
  pthread_cleanup_pop(1);
  return nullptr;
}

void* count_bytes(void* argument) {
  return reinterpret_cast<void*>(std::strlen(static_cast<char*>(argument)));
}

[[noreturn]] void live_as_child() {
  alarm(100);  // A child that hangs must not hang the parent's waitpid.
  char* text = static_cast<char*>(std::malloc(100));
  std::strcpy(text, "a child");
  const auto length = reinterpret_cast<intptr_t>(join(start(count_bytes, text)));
  std::free(text);
  nap(1000);
  _exit(length == 7 ? 7 : 1);
}

void* double_it(void* argument) {
  nap(200);
  return reinterpret_cast<void*>(2 * reinterpret_cast<intptr_t>(argument));
}

int status_of(pid_t child) {
  int status = -1;
  pid_t found;
  do {
    found = waitpid(child, &status, 0);
  } while (found < 0 && errno == EINTR);
  STORM_CHECK(found == child);
  return status;
}

}  // namespace

void cancel_a_thread(Worker& worker) {
  Victim victim;
  victim.kind = worker.random.below(5);
  victim.event = eventfd(0, EFD_CLOEXEC);
  STORM_CHECK(victim.event >= 0 && sem_init(&victim.no_permit, 0, 0) == 0);
  const pthread_t thread = start(wait_for_ever, &victim);
  // Not yet begun, on its way, or waiting.
  nap(worker.random.below(3) * 500);
  STORM_CHECK(pthread_cancel(thread) == 0);
  STORM_CHECK(join(thread) == PTHREAD_CANCELED);
  STORM_CHECK(victim.cleaned <= 1);
  STORM_CHECK(close(victim.event) == 0);
}

void fork_a_child(Worker&) {
  const FewChildren here;
  if (!here.has_place()) return;
  const pid_t child = fork();
  if (child == 0) live_as_child();
  STORM_CHECK(child > 0);
  const int status = status_of(child);
  STORM_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

void spawn_a_program(Worker&) {
  const FewChildren here;
  if (!here.has_place()) return;
  char name[] = "sh";
  char option[] = "-c";
  char script[] = "exit 9";
  char* arguments[] = {name, option, script, nullptr};
  pid_t child = -1;
  STORM_CHECK(posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments, environ) == 0);
  const int status = status_of(child);
  STORM_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

void run_threads(Worker& worker) {
  std::array<pthread_t, 3> threads;
  const intptr_t first = worker.random.below(1000);
  for (size_t i = 0; i < threads.size(); ++i) {
    threads[i] = start(double_it, reinterpret_cast<void*>(first + static_cast<intptr_t>(i)));
  }
  for (size_t i = 0; i < threads.size(); ++i) {
    const auto doubled = reinterpret_cast<intptr_t>(join(threads[i]));
    STORM_CHECK(doubled == 2 * (first + static_cast<intptr_t>(i)));
  }
}

}  // namespace storm
