// Robust mutexes: the next owner learns that the last one died.
#include <sys/mman.h>
#include <sys/wait.h>

#include "twin.h"

static pthread_mutex_t* make_robust(int shared) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  if (shared) CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  void* const place = mmap(NULL, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(place != MAP_FAILED);
  CHECK(pthread_mutex_init(place, &attributes) == 0);
  pthread_mutexattr_destroy(&attributes);
  return place;
}

static void* die_as_owner(void* argument) {
  pthread_mutex_t* const* const mutexes = argument;
  CHECK(pthread_mutex_lock(mutexes[0]) == 0);
  CHECK(pthread_mutex_lock(mutexes[1]) == 0);
  nap(10);
  return NULL;
}

static void* wait_for_dead(void* argument) {
  pthread_mutex_t* const* const mutexes = argument;
  const int seen = pthread_mutex_lock(mutexes[0]);
  printf("waiter: %s\n", error_name(seen));
  printf("consistent: %s\n", error_name(pthread_mutex_consistent(mutexes[0])));
  pthread_mutex_unlock(mutexes[0]);
  return NULL;
}

static void owner_died(void) {
  pthread_mutex_t* mutexes[2] = {make_robust(0), make_robust(0)};
  pthread_t owner = start(die_as_owner, mutexes);
  nap(2);
  finish(owner);
  finish(start(wait_for_dead, mutexes));
  printf("after repair: %s\n", error_name(pthread_mutex_lock(mutexes[0])));
  pthread_mutex_unlock(mutexes[0]);
  printf("second: %s\n", error_name(pthread_mutex_lock(mutexes[1])));
  pthread_mutex_unlock(mutexes[1]);  // Not made consistent: it is lost for ever.
  printf("lost: %s\n", error_name(pthread_mutex_lock(mutexes[1])));
}

// The waiter is asleep on the mutex while its owner ends.
static void owner_died_under_waiter(void) {
  pthread_mutex_t* mutexes[2] = {make_robust(0), make_robust(0)};
  pthread_t owner = start(die_as_owner, mutexes);
  while (pthread_mutex_trylock(mutexes[1]) == 0) {
    pthread_mutex_unlock(mutexes[1]);
    nap(1);
  }
  pthread_t waiter = start(wait_for_dead, mutexes);
  finish(waiter);
  finish(owner);
}

// Between processes, from a thread: the kernel does this for the thread of the child.
static void* die_in_child(void* argument) {
  pthread_mutex_t* const mutex = argument;
  const pid_t child = fork();
  if (child == 0) {
    pthread_mutex_lock(mutex);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  printf("shared: %s\n", error_name(pthread_mutex_lock(mutex)));
  pthread_mutex_consistent(mutex);
  pthread_mutex_unlock(mutex);
  return NULL;
}

static void owner_process_died(void) { finish(start(die_in_child, make_robust(1))); }

static const struct twin_case cases[] = {
    {"owner_died", THREADS, owner_died},
    {"owner_died_under_waiter", THREADS, owner_died_under_waiter},
    {"owner_process_died", THREADS, owner_process_died},
};

TWIN_MAIN(cases)
