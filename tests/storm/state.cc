// What belongs to one thread, or to one block of memory, and must not be mixed up: errno, signals'
// masks, exceptions in flight, heap blocks, lines of a shared stream.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "storm.h"

namespace storm {
namespace {

std::atomic<long> handled{0};

void count_signal(int) {
  const int before = errno;
  ++handled;
  errno = ERANGE;
  sched_yield();
  errno = before;
}

// The size is in the first bytes, every other one is filled with its low byte.
char* make_block(Random& random) {
  const auto size = sizeof(size_t) + static_cast<size_t>(random.below(2000));
  char* block = static_cast<char*>(std::malloc(size));
  STORM_CHECK(block);
  std::memset(block, static_cast<int>(size & 0x7f), size);
  std::memcpy(block, &size, sizeof(size));
  return block;
}

void free_block(char* block) {
  if (!block) return;
  size_t size;
  std::memcpy(&size, block, sizeof(size));
  for (size_t i = sizeof(size); i < size; ++i) {
    STORM_CHECK(block[i] == static_cast<char>(size & 0x7f));
  }
  std::free(block);
}

void throw_deeply(int depth, const std::string& text) {
  const std::string local = text + std::to_string(depth);
  if (depth == 0) throw std::runtime_error(local);
  try {
    throw_deeply(depth - 1, local);
  } catch (const std::logic_error&) {
    STORM_CHECK(false);
  }
}

}  // namespace

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = count_signal;
  action.sa_flags = SA_RESTART;
  STORM_CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
  action.sa_flags = 0;
  STORM_CHECK(sigaction(SIGUSR2, &action, nullptr) == 0);
}

long handled_signals() { return handled; }

void send_signals(Worker& worker) {
  const int number = worker.random.below(2) == 0 ? SIGUSR1 : SIGUSR2;
  if (worker.random.below(8) == 0) {
    STORM_CHECK(kill(getpid(), number) == 0);
    return;
  }
  auto& mates = worker.cell->workers;
  const Worker& mate =
      *mates[static_cast<size_t>(worker.random.below(static_cast<int>(mates.size())))];
  const int result = pthread_kill(worker.random.below(2) == 0 ? mate.thread : mate.echoer, number);
  STORM_CHECK(result == 0 || result == ESRCH);  // the mate may have ended
}

void wait_for_signal(Worker& worker) {
  const int number = SIGRTMIN + 3;
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, number);
  STORM_CHECK(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
  const bool is_sent = worker.random.below(2) == 0;
  if (is_sent) STORM_CHECK(pthread_kill(pthread_self(), number) == 0);
  const timespec limit{is_sent ? 60 : 0, 1'000'000};
  siginfo_t info{};
  int got;
  do {
    got = sigtimedwait(&set, &info, &limit);
  } while (got < 0 && errno == EINTR);
  if (is_sent) {
    STORM_CHECK(got == number && info.si_signo == number);
  } else {
    STORM_CHECK(got < 0 && errno == EAGAIN);
  }
  STORM_CHECK(pthread_sigmask(SIG_SETMASK, &before, &set) == 0);
  STORM_CHECK(sigismember(&set, number) == 1);
}

// Some blocks are freed by other threads.
void allocate(Worker& worker) {
  for (int i = 0; i < 10; ++i) {
    char*& block = worker.blocks[static_cast<size_t>(worker.random.below(worker.blocks.size()))];
    free_block(block);
    block = make_block(worker.random);
    if (worker.random.below(3) == 0) block = worker.cell->parcel.exchange(block);
    if (worker.random.below(5) == 0) sched_yield();
  }
}

void free_blocks(Worker& worker) {
  for (char*& block : worker.blocks) {
    free_block(block);
    block = nullptr;
  }
}

void throw_and_catch(Worker& worker) {
  const std::string text = "thrown by " + std::to_string(worker.number) + " ";
  try {
    throw_deeply(5, text);
    STORM_CHECK(false);
  } catch (const std::runtime_error& outer) {
    nap(worker.random.below(300));
    try {
      throw std::out_of_range(text);
    } catch (const std::out_of_range& inner) {
      sched_yield();
      STORM_CHECK(text == inner.what());
    }
    STORM_CHECK(text + "543210" == outer.what());
    STORM_CHECK(std::uncaught_exceptions() == 0);
  }
}

void log_line(Worker& worker) {
  STORM_CHECK(fprintf(worker.cell->log, "%d %ld\n", worker.number, worker.lines_logged) > 0);
  ++worker.lines_logged;
}

void keep_errno(Worker& worker) {
  for (int i = 0; i < 5; ++i) {
    const int mine = 1 + worker.random.below(100);
    errno = mine;
    if (i % 2 == 0) {
      sched_yield();
    } else {
      usleep(50);  // succeeds or is interrupted
      if (errno == EINTR) continue;
    }
    STORM_CHECK(errno == mine);
  }
}

}  // namespace storm
