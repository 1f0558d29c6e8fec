// Robust mutexes: the next owner learns that the last one died.
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

static pthread_mutex_t* make_robust(int shared, int protocol) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  CHECK(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
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
  pthread_mutex_t* mutexes[2] = {make_robust(0, PTHREAD_PRIO_NONE),
                                 make_robust(0, PTHREAD_PRIO_NONE)};
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
static void die_under_waiter(int protocol) {
  pthread_mutex_t* mutexes[2] = {make_robust(0, protocol), make_robust(0, protocol)};
  pthread_t owner = start(die_as_owner, mutexes);
  while (pthread_mutex_trylock(mutexes[1]) == 0) {
    pthread_mutex_unlock(mutexes[1]);
    nap(1);
  }
  pthread_t waiter = start(wait_for_dead, mutexes);
  finish(waiter);
  finish(owner);
}

static void owner_died_under_waiter(void) { die_under_waiter(PTHREAD_PRIO_NONE); }
static void inheriting_owner_died(void) { die_under_waiter(PTHREAD_PRIO_INHERIT); }

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

static void owner_process_died(void) {
  finish(start(die_in_child, make_robust(1, PTHREAD_PRIO_NONE)));
}

struct list {
  void* head;
  size_t length;
  pid_t owner;
  sem_t known, may_end;
};

static long ask_list(pid_t thread, struct list* list) {
  return syscall(SYS_get_robust_list, thread, &list->head, &list->length);
}

static void* show_list(void* argument) {
  struct list* const own = argument;
  own->owner = gettid();
  printf("own: %s\n", said(ask_list(0, own)));
  sem_post(&own->known);
  sem_wait(&own->may_end);
  return NULL;
}

static void lists(void) {
  struct list first = {0}, own = {0}, asked = {0};
  MUST(sem_init(&own.known, 0, 0) == 0 && sem_init(&own.may_end, 0, 0) == 0);
  pthread_t thread = start(show_list, &own);
  sem_wait(&own.known);
  printf("first's: %s", said(ask_list(0, &first)));
  printf(" %zu\n", first.length);
  printf("another's: %s", said(ask_list(own.owner, &asked)));
  printf(" %zu\n", asked.length);
  CHECK(asked.head == own.head && own.head != NULL && own.head != first.head);
  printf("nowhere: %s\n", said(syscall(SYS_get_robust_list, own.owner, NULL, &asked.length)));
  sem_post(&own.may_end);
  finish(thread);
}

static void* use_list(void* list) {
  printf("%s\n", said(syscall(SYS_set_robust_list, list, 3 * sizeof(void*))));
  return NULL;
}

// The kernel looks at them when the thread ends, and gives up where there is nothing.
static void lists_nowhere(void) {
  void* dangling[3] = {(void*)8, NULL, (void*)16};
  void* circular[3] = {circular, NULL, NULL};
  finish(start(use_list, NULL));
  finish(start(use_list, (void*)4096));
  finish(start(use_list, dangling));
  finish(start(use_list, circular));
}

static const struct twin_case cases[] = {
    {"owner_died", THREADS, owner_died},
    {"owner_died_under_waiter", THREADS, owner_died_under_waiter},
    {"inheriting_owner_died", THREADS, inheriting_owner_died},
    {"owner_process_died", THREADS, owner_process_died},
    {"lists", THREADS, lists},
    {"lists_nowhere", THREADS, lists_nowhere},
};

TWIN_MAIN(cases)
