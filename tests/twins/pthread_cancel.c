// Cancellation of threads that are blocked: glibc's own, with its clean-up handlers.
//
// A thread that waits for ever can only be joined if the cancellation has reached it.
#include <poll.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "twin.h"

static int ready;
static int pipe_ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t no_post;

static void announce(void) { __atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST); }

static void say_cleaned(void* text) { printf("cleaned up: %s\n", (const char*)text); }

static void* block_in_sleep(void* argument) {
  pthread_cleanup_push(say_cleaned, argument);
  announce();
  for (;;) sleep(1000);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* block_in_read(void* argument) {
  char byte;
  pthread_cleanup_push(say_cleaned, argument);
  pthread_cleanup_push(say_cleaned, "inner");
  announce();
  CHECK(read(pipe_ends[0], &byte, 1) == 1);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* block_in_recv(void* argument) {
  char byte;
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pthread_cleanup_push(say_cleaned, argument);
  announce();
  CHECK(recv(pair[0], &byte, 1, 0) == 1);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* block_in_poll(void* argument) {
  struct pollfd watched = {.fd = pipe_ends[0], .events = POLLIN};
  pthread_cleanup_push(say_cleaned, argument);
  announce();
  CHECK(poll(&watched, 1, -1) == 1);
  pthread_cleanup_pop(0);
  return NULL;
}

static void unlock_and_say(void* text) {
  CHECK(pthread_mutex_trylock(&mutex) == EBUSY);  // The wait has taken it again.
  pthread_mutex_unlock(&mutex);
  say_cleaned(text);
}

static void* block_in_condition(void* argument) {
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(unlock_and_say, argument);
  announce();
  for (;;) pthread_cond_wait(&never, &mutex);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* block_in_semaphore(void* argument) {
  pthread_cleanup_push(say_cleaned, argument);
  announce();
  sem_wait(&no_post);
  pthread_cleanup_pop(0);
  return NULL;
}

static void* block_in_join(void* argument) {
  pthread_t* const other = argument;
  pthread_cleanup_push(say_cleaned, "join");
  announce();
  pthread_join(*other, NULL);
  pthread_cleanup_pop(0);
  return NULL;
}

static int cancel_sent;

static void cancel_blocked(void* (*body)(void*), void* argument) {
  ready = 0;
  __atomic_store_n(&cancel_sent, 0, __ATOMIC_SEQ_CST);
  pthread_t thread = start(body, argument);
  while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) nap(1);
  nap(5);
  CHECK(pthread_cancel(thread) == 0);
  __atomic_store_n(&cancel_sent, 1, __ATOMIC_SEQ_CST);
  printf("result: %s\n", finish(thread) == PTHREAD_CANCELED ? "cancelled" : "returned");
}

static void in_sleep(void) { cancel_blocked(block_in_sleep, "sleep"); }

static void in_io(void) {
  MUST(pipe(pipe_ends) == 0);
  cancel_blocked(block_in_read, "read");
  cancel_blocked(block_in_recv, "recv");
  cancel_blocked(block_in_poll, "poll");
  CHECK(write(pipe_ends[1], "x", 1) == 1);
  char byte = 0;
  CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x');
}

static void in_condition(void) {
  cancel_blocked(block_in_condition, "condition");
  printf("mutex: %s\n", error_name(pthread_mutex_trylock(&mutex)));
  pthread_mutex_unlock(&mutex);
}

static void in_semaphore(void) {
  sem_init(&no_post, 0, 0);
  cancel_blocked(block_in_semaphore, "semaphore");
}

// The thread that was waited for can still be joined.
static void in_join(void) {
  sem_init(&no_post, 0, 0);
  pthread_t other = start(block_in_semaphore, "never cancelled");
  cancel_blocked(block_in_join, &other);
  sem_post(&no_post);
  printf("other: %s\n", finish(other) == NULL ? "returned" : "cancelled");
}

static void* disable_for_a_while(void* argument) {
  int before = -1;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  printf("state before: %d\n", before == PTHREAD_CANCEL_ENABLE);
  announce();
  while (!__atomic_load_n(&cancel_sent, __ATOMIC_SEQ_CST)) nap(1);
  pthread_testcancel();
  printf("not yet\n");
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  pthread_cleanup_push(say_cleaned, argument);
  pthread_testcancel();
  printf("never said\n");
  pthread_cleanup_pop(0);
  return NULL;
}

static void while_disabled(void) { cancel_blocked(disable_for_a_while, "after enabling"); }

static void* end_at_once(void* argument) {
  announce();
  return argument;
}

static void at_the_end(void) {
  ready = 0;
  pthread_t thread = start(end_at_once, as_pointer(5));
  while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) nap(1);
  nap(5);
  CHECK(pthread_cancel(thread) == 0);  // Too late, and no error.
  printf("result: %ld\n", as_number(finish(thread)));
}

static void* cancel_itself(void* argument) {
  pthread_cleanup_push(say_cleaned, argument);
  pthread_cancel(pthread_self());
  nap(1);
  printf("never said\n");
  pthread_cleanup_pop(0);
  return NULL;
}

static void of_itself(void) {
  printf("result: %d\n", finish(start(cancel_itself, "itself")) == PTHREAD_CANCELED);
}

static const struct twin_case cases[] = {
    {"in_sleep", THREADS, in_sleep},         {"in_io", THREADS, in_io},
    {"in_condition", THREADS, in_condition}, {"in_semaphore", THREADS, in_semaphore},
    {"in_join", THREADS, in_join},           {"while_disabled", THREADS, while_disabled},
    {"at_the_end", THREADS, at_the_end},     {"of_itself", THREADS, of_itself},
};

TWIN_MAIN(cases)
