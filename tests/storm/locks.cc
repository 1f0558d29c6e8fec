// Locks: they exclude, their waiters are woken, and their time-outs come.
#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "storm.h"

namespace storm {
namespace {

timespec from_now(clockid_t clock, long microseconds) {
  timespec at{};
  clock_gettime(clock, &at);
  at.tv_nsec += microseconds * 1000;
  at.tv_sec += at.tv_nsec / 1'000'000'000;
  at.tv_nsec %= 1'000'000'000;
  return at;
}

enum { kMembers = 4 };

struct Team {
  pthread_barrier_t barrier;
  pthread_once_t once = PTHREAD_ONCE_INIT;
  std::atomic<int> last_ones{0};
  std::atomic<int> sum{0};
};

thread_local int times_begun;
std::atomic<long> teams_begun{0};

void begin_once() {
  nap(100);
  ++times_begun;
  ++teams_begun;
}

void* be_a_member(void* argument) {
  auto* team = static_cast<Team*>(argument);
  STORM_CHECK(times_begun == 0);
  for (int round = 0; round < 3; ++round) {
    team->sum += round;
    const int result = pthread_barrier_wait(&team->barrier);
    STORM_CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    if (result != 0) ++team->last_ones;
    pthread_barrier_wait(&team->barrier);
    STORM_CHECK(team->sum == kMembers * (round * (round + 1) / 2));
    pthread_barrier_wait(&team->barrier);
  }
  pthread_once(&team->once, begin_once);
  return reinterpret_cast<void*>(static_cast<intptr_t>(times_begun));
}

}  // namespace

void hold_token(Worker& worker) {
  Cell& cell = *worker.cell;
  pthread_mutex_lock(&cell.mutex);
  while (cell.tokens == 0) pthread_cond_wait(&cell.token_is_free, &cell.mutex);
  STORM_CHECK(--cell.tokens >= 0);
  pthread_mutex_unlock(&cell.mutex);
  if (worker.random.below(2) == 0) nap(worker.random.below(2000));
  pthread_mutex_lock(&cell.mutex);
  ++cell.tokens;
  if (worker.random.below(2) == 0) {
    pthread_cond_signal(&cell.token_is_free);
    pthread_mutex_unlock(&cell.mutex);
  } else {
    pthread_mutex_unlock(&cell.mutex);
    pthread_cond_broadcast(&cell.token_is_free);
  }
}

void read_or_write_copies(Worker& worker) {
  Cell& cell = *worker.cell;
  if (worker.random.below(4) == 0) {
    STORM_CHECK(pthread_rwlock_wrlock(&cell.rwlock) == 0);
    const uint64_t value = worker.random.next();
    for (uint64_t& copy : cell.copies) {
      copy = value;
      if (worker.random.below(8) == 0) sched_yield();
    }
  } else {
    STORM_CHECK(pthread_rwlock_rdlock(&cell.rwlock) == 0);
    for (const uint64_t& copy : cell.copies) {
      STORM_CHECK(copy == cell.copies[0]);
      if (worker.random.below(8) == 0) sched_yield();
    }
  }
  STORM_CHECK(pthread_rwlock_unlock(&cell.rwlock) == 0);
}

void take_permit(Worker& worker) {
  Cell& cell = *worker.cell;
  while (sem_wait(&cell.permits) != 0) STORM_CHECK(errno == EINTR);
  STORM_CHECK(++cell.permits_taken <= 2);
  if (worker.random.below(2) == 0) nap(worker.random.below(1000));
  --cell.permits_taken;
  STORM_CHECK(sem_post(&cell.permits) == 0);
}

// Nobody signals or posts these.
void time_out_on_locks(Worker& worker) {
  const long wait = worker.random.below(3000);
  switch (worker.random.below(3)) {
    case 0: {
      pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
      pthread_cond_t never = PTHREAD_COND_INITIALIZER;
      const timespec until = from_now(CLOCK_REALTIME, wait);
      pthread_mutex_lock(&mutex);
      int result = 0;
      while (result == 0) result = pthread_cond_timedwait(&never, &mutex, &until);
      STORM_CHECK(result == ETIMEDOUT);
      STORM_CHECK(pthread_mutex_unlock(&mutex) == 0);
      STORM_CHECK(pthread_cond_destroy(&never) == 0);
      break;
    }
    case 1: {
      sem_t never;
      sem_init(&never, 0, 0);
      const timespec until = from_now(CLOCK_MONOTONIC, wait);
      while (sem_clockwait(&never, CLOCK_MONOTONIC, &until) != 0 && errno != ETIMEDOUT) {
        STORM_CHECK(errno == EINTR);
      }
      break;
    }
    default: {
      const timespec until = from_now(CLOCK_REALTIME, wait);
      const int result = pthread_mutex_timedlock(&worker.cell->mutex, &until);
      if (result == 0) pthread_mutex_unlock(&worker.cell->mutex);
      STORM_CHECK(result == 0 || result == ETIMEDOUT);
    }
  }
}

// A barrier, a once, and a thread_local that begins anew in each thread.
void team(Worker&) {
  Team team;
  STORM_CHECK(pthread_barrier_init(&team.barrier, nullptr, kMembers) == 0);
  std::array<pthread_t, kMembers> members;
  for (pthread_t& member : members) member = start(be_a_member, &team);
  intptr_t begun = 0;
  for (const pthread_t member : members) begun += reinterpret_cast<intptr_t>(join(member));
  STORM_CHECK(begun == 1);
  STORM_CHECK(team.last_ones == 3);
  STORM_CHECK(pthread_barrier_destroy(&team.barrier) == 0);
}

}  // namespace storm
