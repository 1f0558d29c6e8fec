// Threads that libc makes for itself before the program makes its first one: they go on, and work
// together with the program's.
#include <aio.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "twin.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int count;
static sem_t rung;

static void ring(union sigval value) {
  pthread_mutex_lock(&lock);
  count += value.sival_int;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  sem_post(&rung);
}

static timer_t timer_that_rings(int first_ms, int each_ms) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = ring};
  event.sigev_value.sival_int = 1;
  timer_t timer;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  struct itimerspec spec = {.it_value.tv_nsec = first_ms * 1000000L,
                            .it_interval.tv_nsec = each_ms * 1000000L};
  MUST(timer_settime(timer, 0, &spec, NULL) == 0);
  return timer;
}

static void* wait_for_count(void* wanted) {
  pthread_mutex_lock(&lock);
  while (count < as_number(wanted)) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void* wait_for_ring(void* argument) {
  CHECK(sem_wait(&rung) == 0);
  return argument;
}

// The helper waits in sigwaitinfo when the first thread is made, and rings later.
static void timer_before_threads(void) {
  MUST(sem_init(&rung, 0, 0) == 0);
  timer_t timer = timer_that_rings(50, 20);
  pthread_t waiters[] = {start(wait_for_count, as_pointer(3)), start(wait_for_ring, NULL),
                         start(wait_for_ring, NULL)};
  for (int i = 0; i < 3; ++i) finish(waiters[i]);
  CHECK(timer_delete(timer) == 0);
  printf("rung\n");
}

// It has rung before, and a second timer is set by a thread.
static void* set_a_timer(void* argument) {
  *(timer_t*)argument = timer_that_rings(10, 0);
  return NULL;
}

static void timers_before_and_after(void) {
  MUST(sem_init(&rung, 0, 0) == 0);
  timer_t before = timer_that_rings(5, 0), after;
  CHECK(sem_wait(&rung) == 0);
  nap(20);
  finish(start(set_a_timer, &after));
  finish(start(wait_for_count, as_pointer(2)));
  CHECK(timer_delete(before) == 0 && timer_delete(after) == 0);
  printf("count %d\n", count);
}

// Its thread waits for more to do.
static void aio_before_threads(void) {
  char path[] = "/tmp/libc_threadsXXXXXX", text[8] = "";
  const int fd = mkstemp(path);
  MUST(fd >= 0);
  struct aiocb wish = {.aio_fildes = fd, .aio_buf = "abc", .aio_nbytes = 3};
  const struct aiocb* wishes[] = {&wish};
  MUST(aio_write(&wish) == 0);
  CHECK(aio_suspend(wishes, 1, NULL) == 0 && aio_return(&wish) == 3);
  sem_init(&rung, 0, 1);
  finish(start(wait_for_ring, NULL));
  struct aiocb again = {.aio_fildes = fd, .aio_buf = text, .aio_nbytes = 3};
  wishes[0] = &again;
  MUST(aio_read(&again) == 0);
  CHECK(aio_suspend(wishes, 1, NULL) == 0);
  printf("read %zd %s\n", aio_return(&again), text);
  close(fd);
  unlink(path);
}

static void names_before_threads(void) {
  struct gaicb wish = {.ar_name = "127.0.0.1"};
  struct gaicb* wishes[] = {&wish};
  CHECK(getaddrinfo_a(GAI_WAIT, wishes, 1, NULL) == 0);
  freeaddrinfo(wish.ar_result);
  sem_init(&rung, 0, 1);
  finish(start(wait_for_ring, NULL));
  CHECK(getaddrinfo_a(GAI_WAIT, wishes, 1, NULL) == 0);
  printf("found %d\n", gai_error(&wish));
  freeaddrinfo(wish.ar_result);
}

// Credentials change on all threads of either kind.
static void* change_group(void* argument) {
  CHECK(setgid(getgid()) == 0);
  return argument;
}

static void credentials(void) {
  sem_init(&rung, 0, 0);
  timer_t timer = timer_that_rings(20, 5);
  finish(start(change_group, NULL));
  finish(start(wait_for_ring, NULL));
  CHECK(timer_delete(timer) == 0);
  printf("changed\n");
}

static _Atomic int child_code = -1;

// The child goes on alone, in the function of a timer, with threads of its own.
static void fork_and_wait(union sigval value) {
  (void)value;
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // only where it would never end
    sem_init(&rung, 0, 0);
    const pthread_t waiter = start(wait_for_ring, as_pointer(6));
    nap(1);
    CHECK(sem_post(&rung) == 0);
    _exit((int)as_number(finish(waiter)));
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  child_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  sem_post(&rung);
}

static void* return_at_once(void* argument) { return argument; }

static void forks(void) {
  MUST(sem_init(&rung, 0, 0) == 0);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = fork_and_wait};
  timer_t timer;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  const struct itimerspec soon = {.it_value.tv_nsec = 200000000};
  MUST(timer_settime(timer, 0, &soon, NULL) == 0);
  const pthread_t waiter = start(wait_for_ring, NULL);
  while (child_code < 0) finish(start(return_at_once, NULL));
  finish(waiter);
  CHECK(timer_delete(timer) == 0);
  printf("code %d\n", child_code);
}

static const struct twin_case cases[] = {
    {"timer_before_threads", THREADS, timer_before_threads},
    {"timers_before_and_after", THREADS, timers_before_and_after},
    {"aio_before_threads", THREADS, aio_before_threads},
    {"names_before_threads", THREADS, names_before_threads},
    {"credentials", THREADS, credentials},
    {"forks", THREADS, forks},
};

TWIN_MAIN(cases)
