// Waiting for other processes, or by their means: semaphores, message queues, locks in shared
// memory. A thread that waits there must not hold up the others.
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "twin.h"

enum { kMessages = 64, kMessageSize = 1024 };

static void* nap_a_little(void* argument) {
  nap(10);
  return argument;
}

static int change(int set, int by) {
  struct sembuf change = {0, (short)by, 0};
  return semop(set, &change, 1);
}

static void* take_one(void* argument) {
  printf("semop: %s\n", said(change((int)as_number(argument), -1)));
  return NULL;
}

// Both ways out of a wait: another thread gives, and the set goes away.
static void sysv_semaphore(void) {
  const int set = semget(IPC_PRIVATE, 1, 0600);
  MUST(set >= 0 && semctl(set, 0, SETVAL, 0) == 0);
  pthread_t taker = start(take_one, as_pointer(set));
  finish(start(nap_a_little, NULL));
  printf("main goes on\n");
  CHECK(change(set, 1) == 0);
  finish(taker);
  struct sembuf one_less = {0, -1, 0};
  const struct timespec limit = {0, 10000000};
  printf("semtimedop: %s\n", said(semtimedop(set, &one_less, 1, &limit)));
  taker = start(take_one, as_pointer(set));
  while (semctl(set, 0, GETNCNT) != 1) nap(1);
  CHECK(semctl(set, 0, IPC_RMID) == 0);
  finish(taker);
}

struct message {
  long type;
  char body[kMessageSize];
};

static void* send_messages(void* argument) {
  static struct message message;
  for (int i = 0; i < kMessages; ++i) {
    message.type = 1;
    message.body[0] = (char)i;
    CHECK(msgsnd((int)as_number(argument), &message, kMessageSize, 0) == 0);
  }
  return argument;
}

static void* receive_messages(void* argument) {
  static struct message message;
  long sum = 0;
  for (int i = 0; i < kMessages; ++i) {
    CHECK(msgrcv((int)as_number(argument), &message, kMessageSize, 1, 0) == kMessageSize);
    CHECK(message.body[0] == i);
    sum += message.body[0];
  }
  return as_pointer(sum);
}

// More than the queue holds, so that either side waits.
static void sysv_messages(void) {
  const int queue = msgget(IPC_PRIVATE, 0600);
  MUST(queue >= 0);
  pthread_t receiver = start(receive_messages, as_pointer(queue));
  finish(start(nap_a_little, NULL));
  pthread_t sender = start(send_messages, as_pointer(queue));
  printf("sum %ld\n", as_number(finish(receiver)));
  finish(sender);
  static struct message message;
  printf("then: %s\n", said(msgrcv(queue, &message, kMessageSize, 0, IPC_NOWAIT)));
  sender = start(send_messages, as_pointer(queue));
  finish(start(nap_a_little, NULL));
  printf("sum %ld\n", as_number(receive_messages(as_pointer(queue))));
  finish(sender);
  CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
}

// No other run of this program uses the name at the same time.
static const char* own_name(const char* subject) {
  static char name[64];
  snprintf(name, sizeof name, "/twin_%s_%d", subject, (int)getpid());
  return name;
}

static void* send_to_queue(void* argument) {
  for (int i = 0; i < 20; ++i) {
    const char body = (char)i;
    CHECK(mq_send(*(mqd_t*)argument, &body, 1, 3) == 0);
  }
  return argument;
}

static void* receive_from_queue(void* argument) {
  char body[16];
  unsigned priority = 0;
  long sum = 0;
  for (int i = 0; i < 20; ++i) {
    CHECK(mq_receive(*(mqd_t*)argument, body, sizeof body, &priority) == 1);
    CHECK(body[0] == i && priority == 3);
    sum += body[0];
  }
  return as_pointer(sum);
}

static void posix_messages(void) {
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
  const char* const name = own_name("queue");
  mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &attributes);
  MUST(queue != (mqd_t)-1);
  mq_unlink(name);
  pthread_t receiver = start(receive_from_queue, &queue);
  finish(start(nap_a_little, NULL));
  pthread_t sender = start(send_to_queue, &queue);
  printf("sum %ld\n", as_number(finish(receiver)));
  finish(sender);
  char body[16];
  const struct timespec limit = after_ms(CLOCK_REALTIME, 10);
  printf("then: %s\n", said(mq_timedreceive(queue, body, sizeof body, NULL, &limit)));
  sender = start(send_to_queue, &queue);
  finish(start(nap_a_little, NULL));
  printf("sum %ld\n", as_number(receive_from_queue(&queue)));
  finish(sender);
  CHECK(mq_close(queue) == 0);
}

static char scratch[32];

static const char* in_scratch(const char* name) {
  static char path[64];
  strcpy(scratch, "/tmp/twin_XXXXXX");
  MUST(mkdtemp(scratch));
  snprintf(path, sizeof path, "%s/%s", scratch, name);
  return path;
}

static void* write_and_sync(void* argument) {
  const int fd = *(int*)argument;
  for (int i = 0; i < 5; ++i) {
    CHECK(pwrite(fd, "text", 4, i * 4096) == 4);
    CHECK(fsync(fd) == 0);
    CHECK(fdatasync(fd) == 0);
    CHECK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0);
  }
  return NULL;
}

static void synced_files(void) {
  int ends[2];
  const char* const path = in_scratch("file");
  int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  MUST(fd >= 0 && pipe(ends) == 0);
  pthread_t one = start(write_and_sync, &fd);
  write_and_sync(&fd);
  finish(one);
  printf("pipe: %s, ", said(fsync(ends[0])));
  printf("nothing: %s\n", said(fdatasync(-1)));
  close(fd);
  unlink(path);
  rmdir(scratch);
}

static pthread_mutex_t inheriting;
static long guarded;

static void* count_up(void* argument) {
  for (int i = 0; i < 100; ++i) {
    pthread_mutex_lock(&inheriting);
    const long before = guarded;
    if (i % 10 == 0) nap(1);
    guarded = before + 1;
    pthread_mutex_unlock(&inheriting);
  }
  return argument;
}

static void* try_and_wait(void* argument) {
  const struct timespec limit = after_ms(CLOCK_REALTIME, 10);
  printf("trylock: %s, ", error_name(pthread_mutex_trylock(&inheriting)));
  printf("timedlock: %s, ", error_name(pthread_mutex_timedlock(&inheriting, &limit)));
  return argument;
}

static void* lock_and_unlock(void* argument) {
  printf("lock: %s, ", error_name(pthread_mutex_lock(&inheriting)));
  printf("unlock: %s\n", error_name(pthread_mutex_unlock(&inheriting)));
  return argument;
}

static void priority_inheritance(void) {
  pthread_t threads[8];
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  MUST(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
  MUST(pthread_mutex_init(&inheriting, &attributes) == 0);
  guarded = 0;
  for (int i = 0; i < 8; ++i) threads[i] = start(count_up, NULL);
  for (int i = 0; i < 8; ++i) finish(threads[i]);
  printf("counted %ld\n", guarded);
  pthread_mutex_lock(&inheriting);
  printf("again: %s\n", error_name(pthread_mutex_lock(&inheriting)));
  finish(start(try_and_wait, NULL));
  pthread_t waiter = start(lock_and_unlock, NULL);
  finish(start(nap_a_little, NULL));
  pthread_mutex_unlock(&inheriting);
  finish(waiter);
  printf("destroy: %s\n", error_name(pthread_mutex_destroy(&inheriting)));
}

// In memory that parent and child share.
struct shared {
  pthread_mutex_t mutex;
  pthread_cond_t turned;
  int turn;
  _Atomic long ticks;
  _Atomic int stopped;
};

static struct shared* shared;
static pthread_t ticker;

static void* tick(void* argument) {
  while (!shared->stopped) {
    nap(1);
    ++shared->ticks;
  }
  return argument;
}

static void start_ticking(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(shared != MAP_FAILED);
  ticker = start(tick, NULL);
}

static void stop_ticking(void) {
  shared->stopped = 1;
  finish(ticker);
  munmap(shared, sizeof *shared);
}

// The child gives what its parent waits for only when a thread beside the waiting one has run.
static void await_ticks(void) {
  const long until = shared->ticks + 3;
  while (shared->ticks < until) nap(1);
}

static void say_end_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  printf("child: %s %d\n", WIFEXITED(status) ? "code" : "status",
         WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

static void named_semaphore(void) {
  const char* const name = own_name("semaphore");
  sem_t* const semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  MUST(semaphore != SEM_FAILED);
  start_ticking();
  const pid_t child = fork();
  if (child == 0) {
    sem_t* const same = sem_open(name, 0);
    for (int i = 0; same != SEM_FAILED && i < 3; ++i) {
      await_ticks();
      CHECK(sem_post(same) == 0);
    }
    _exit(same == SEM_FAILED ? 1 : twin_failures);
  }
  for (int i = 0; i < 3; ++i) printf("wait: %s\n", said(sem_wait(semaphore)));
  say_end_of(child);
  sem_unlink(name);
  const struct timespec limit = after_ms(CLOCK_REALTIME, 10);
  printf("timedwait: %s, ", said(sem_timedwait(semaphore, &limit)));
  printf("trywait: %s\n", said(sem_trywait(semaphore)));
  CHECK(sem_close(semaphore) == 0);
  stop_ticking();
}

// Waits until it is the turn of `who`, and passes it on, a few times over.
static void take_turns(int who) {
  for (int i = 0; i < 4; ++i) {
    pthread_mutex_lock(&shared->mutex);
    while (shared->turn % 2 != who) pthread_cond_wait(&shared->turned, &shared->mutex);
    if (who == 1) await_ticks();
    ++shared->turn;
    pthread_cond_signal(&shared->turned);
    pthread_mutex_unlock(&shared->mutex);
  }
}

static void shared_memory(void) {
  pthread_mutexattr_t for_mutex;
  pthread_condattr_t for_condition;
  pthread_mutexattr_init(&for_mutex);
  pthread_condattr_init(&for_condition);
  start_ticking();
  MUST(pthread_mutexattr_setpshared(&for_mutex, PTHREAD_PROCESS_SHARED) == 0);
  MUST(pthread_condattr_setpshared(&for_condition, PTHREAD_PROCESS_SHARED) == 0);
  MUST(pthread_mutex_init(&shared->mutex, &for_mutex) == 0);
  MUST(pthread_cond_init(&shared->turned, &for_condition) == 0);
  const pid_t child = fork();
  if (child == 0) {
    take_turns(1);
    _exit(twin_failures);
  }
  take_turns(0);
  say_end_of(child);
  printf("turns %d\n", shared->turn);
  stop_ticking();
}

enum { kMany = 1000 };

static void* wait_for_own(void* argument) {
  sem_t* const own = argument;
  CHECK(sem_wait(own) == 0);
  return argument;
}

// As many threads wait at a time, and the one that came last is the first to go on.
static void many_wait(void) {
  const size_t size = kMany * sizeof(sem_t);
  sem_t* const all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_t threads[kMany];
  pthread_attr_t attributes;
  MUST(all != MAP_FAILED && pthread_attr_init(&attributes) == 0);
  MUST(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
  for (int i = 0; i < kMany; ++i) {
    MUST(sem_init(&all[i], 1, 0) == 0);
    MUST(pthread_create(&threads[i], &attributes, wait_for_own, &all[i]) == 0);
  }
  nap(20);
  for (int i = kMany - 1; i >= 0; --i) {
    CHECK(sem_post(&all[i]) == 0);
    finish(threads[i]);
  }
  printf("all have waited\n");
  munmap(all, size);
}

static const struct twin_case cases[] = {
    {"sysv_semaphore", THREADS, sysv_semaphore},
    {"sysv_messages", THREADS, sysv_messages},
    {"posix_messages", THREADS, posix_messages},
    {"synced_files", THREADS, synced_files},
    {"priority_inheritance", THREADS, priority_inheritance},
    {"named_semaphore", THREADS, named_semaphore},
    {"shared_memory", THREADS, shared_memory},
    {"many_wait", THREADS, many_wait},
};

TWIN_MAIN(cases)
