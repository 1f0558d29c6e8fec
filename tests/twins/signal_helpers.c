// Signals and cancellation for a thread that waits for what no descriptor tells about: locks of
// files, System V and POSIX queues, semaphores between processes, the other end of a FIFO.
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>

#include "handlers.h"

static char scratch[32], path[64];
static int held, wanted, sysv_queue, sysv_set;
static mqd_t posix_queue;
static sem_t semaphore;
static _Atomic int waiting, answered;

static long wait_for_flock(void) { return flock(wanted, LOCK_EX); }

static long wait_for_record(void) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  return fcntl(wanted, F_OFD_SETLKW, &lock);
}

static long wait_for_semop(void) {
  struct sembuf take = {0, -1, 0};
  return semop(sysv_set, &take, 1);
}

static long wait_for_message(void) {
  struct {
    long type;
    char body[8];
  } message;
  return msgrcv(sysv_queue, &message, sizeof message.body, 0, 0);
}

static long wait_for_posix_message(void) {
  char body[16];
  return mq_receive(posix_queue, body, sizeof body, NULL);
}

static long wait_for_semaphore(void) { return sem_wait(&semaphore); }

static long wait_for_writer(void) { return open(path, O_RDONLY | O_CLOEXEC); }

static const struct wait {
  const char* name;
  long (*call)(void);
} waits[] = {
    {"flock", wait_for_flock},        {"fcntl", wait_for_record},
    {"semop", wait_for_semop},        {"msgrcv", wait_for_message},
    {"sem_wait", wait_for_semaphore}, {"mq_receive", wait_for_posix_message},
    {"open a FIFO", wait_for_writer},
};

enum { kWaits = sizeof waits / sizeof waits[0] };

static void set_up(void) {
  strcpy(scratch, "/tmp/twin_XXXXXX");
  MUST(mkdtemp(scratch));
  snprintf(path, sizeof path, "%s/fifo", scratch);
  MUST(mkfifo(path, 0600) == 0);
  held = memfd_create("lock", MFD_CLOEXEC);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", held);
  wanted = open(again, O_RDWR | O_CLOEXEC);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  MUST(wanted >= 0 && flock(held, LOCK_EX) == 0 && fcntl(held, F_OFD_SETLK, &lock) == 0);
  sysv_queue = msgget(IPC_PRIVATE, 0600);
  sysv_set = semget(IPC_PRIVATE, 1, 0600);
  MUST(sysv_queue >= 0 && sysv_set >= 0 && semctl(sysv_set, 0, SETVAL, 0) == 0);
  MUST(sem_init(&semaphore, 1, 0) == 0);
  char name[32];
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
  snprintf(name, sizeof name, "/twin_helpers_%d", (int)getpid());
  posix_queue = mq_open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600, &attributes);
  MUST(posix_queue != (mqd_t)-1);
  mq_unlink(name);
}

static void tear_down(void) {
  msgctl(sysv_queue, IPC_RMID, NULL);
  semctl(sysv_set, 0, IPC_RMID);
  mq_close(posix_queue);
  close(held);
  close(wanted);
  unlink(path);
  rmdir(scratch);
}

static void* wait_in(void* argument) {
  const struct wait* const wait = argument;
  unblock(SIGUSR1);
  waiting = 1;
  const char* const result = said(wait->call());
  answered = 1;
  block(SIGUSR1);
  printf("%s: %s, handled here %d\n", wait->name, result, hit_here());
  return NULL;
}

static pthread_t start_wait(const struct wait* wait) {
  hits = waiting = answered = 0;
  pthread_t thread = start(wait_in, (void*)wait);
  while (!waiting) nap(1);
  nap(5);
  return thread;
}

// Again and again, for one that comes before the call interrupts nothing.
static void interrupt_each(int from, int to) {
  for (int i = from; i < to; ++i) {
    pthread_t thread = start_wait(&waits[i]);
    while (!answered) {
      CHECK(pthread_kill(thread, SIGUSR1) == 0);
      nap(5);
    }
    finish(thread);
  }
}

static void interrupted(void) {
  set_up();
  block(SIGUSR1);
  install(SIGUSR1, note_hit, 0);
  interrupt_each(0, kWaits);
  tear_down();
}

// Some calls are restarted after a handler with SA_RESTART, others never.
static void restarted(void) {
  set_up();
  block(SIGUSR1);
  install(SIGUSR1, note_hit, SA_RESTART);
  interrupt_each(2, 4);
  pthread_t thread = start_wait(&waits[0]);
  for (int i = 1; i <= 5; ++i) {
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    while (hits < i) nap(1);
  }
  CHECK(!answered && flock(held, LOCK_UN) == 0);
  finish(thread);
  thread = start_wait(&waits[4]);
  for (int i = 1; i <= 5; ++i) {
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    while (hits < i) nap(1);
  }
  CHECK(!answered && sem_post(&semaphore) == 0);
  finish(thread);
  tear_down();
}

static void* wait_uncancelled(void* argument) {
  ((const struct wait*)argument)->call();
  printf("returned\n");
  return NULL;
}

// flock and semop are no cancellation points.
static void cancelled(void) {
  set_up();
  for (int i = 1; i < kWaits; ++i) {
    if (waits[i].call == wait_for_semop) continue;
    pthread_t thread = start(wait_uncancelled, (void*)&waits[i]);
    nap(5);
    CHECK(pthread_cancel(thread) == 0);
    printf("%s: cancelled %d\n", waits[i].name, finish(thread) == PTHREAD_CANCELED);
  }
  tear_down();
}

static void* wait_for_lock(void* argument) {
  flock(wanted, LOCK_EX);
  return argument;
}

static void give_lock_back(int number) {
  (void)number;
  ++hits;
  flock(held, LOCK_UN);
}

// A signal for the process finds the first thread, wherever that waits.
static void first_thread_wakes(void) {
  set_up();
  install(SIGALRM, give_lock_back, SA_RESTART);
  had_a_thread();
  alarm(1);
  wait_for_lock(NULL);
  printf("handled %d\n", hits);
  tear_down();
}

static const struct twin_case cases[] = {
    {"interrupted", THREADS, interrupted},
    {"restarted", THREADS, restarted},
    {"cancelled", THREADS, cancelled},
    {"first_thread_wakes", THREADS, first_thread_wakes},
};

TWIN_MAIN(cases)
