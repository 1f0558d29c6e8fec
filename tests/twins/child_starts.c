// Children started from threads: fork, vfork, posix_spawn, system, popen, exec.
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "twin.h"

extern char** environ;

static int exit_code_of(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int tasks_of_process(void) {
  char line[128];
  int threads = -1;
  FILE* const file = fopen("/proc/self/status", "r");
  MUST(file);
  while (fgets(line, sizeof line, file)) sscanf(line, "Threads: %d", &threads);
  fclose(file);
  return threads;
}

static void* sleep_for_ever(void* argument) {
  for (;;) sleep(1000);
  return argument;
}

static void* add_one(void* argument) {
  nap(1);
  char* const memory = malloc(1000);
  free(memory);
  return as_pointer(as_number(argument) + 1);
}

static __thread int local = 5;

// The child holds this thread alone, and can do all that a process can.
static void* fork_and_go_on(void* argument) {
  local = 6;
  const pid_t child = fork();
  if (child == 0) {
    CHECK(local == 6);
    CHECK(tasks_of_process() == 1);
    CHECK(gettid() == getpid());
    for (int i = 0; i < 100; ++i) free(malloc((size_t)i * 100));
    long sum = 0;
    for (long i = 0; i < 5; ++i) sum += as_number(finish(start(add_one, as_pointer(i))));
    CHECK(sum == 15);
    nap(2);
    const pid_t grandchild = fork();
    if (grandchild == 0) _exit(8);
    CHECK(exit_code_of(grandchild) == 8);
    printf("child: sum %ld\n", sum);
    _exit(twin_failures ? 99 : 7);
  }
  nap(1);
  return as_pointer(exit_code_of(child) + as_number(argument));
}

static void fork_in_thread(void) {
  for (int i = 0; i < 3; ++i) pthread_detach(start(sleep_for_ever, NULL));
  for (long i = 0; i < 3; ++i) {
    printf("code %ld\n", as_number(finish(start(fork_and_go_on, as_pointer(i)))));
  }
}

static void fork_in_main(void) {
  pthread_detach(start(sleep_for_ever, NULL));
  const pid_t child = fork();
  if (child == 0) {
    CHECK(tasks_of_process() == 1);
    CHECK(as_number(finish(start(add_one, as_pointer(1)))) == 2);
    exit(twin_failures ? 99 : 12);
  }
  printf("code %d\n", exit_code_of(child));
}

static int prepared, parents, children;

static void before_fork(void) { ++prepared; }
static void in_parent(void) { ++parents; }
static void in_child(void) { ++children; }

static void* fork_once(void* argument) {
  const pid_t child = fork();
  if (child == 0) _exit(100 * parents + 10 * prepared + children);
  printf("child: %d\n", exit_code_of(child));
  return argument;
}

static void fork_handlers(void) {
  MUST(pthread_atfork(before_fork, in_parent, in_child) == 0);
  for (int i = 0; i < 2; ++i) finish(start(fork_once, NULL));
  printf("prepared %d, parents %d, children %d\n", prepared, parents, children);
}

static void* vfork_and_exec(void* argument) {
  volatile int shared = 1;
  const pid_t child = vfork();
  if (child == 0) {
    shared = 2;
    execl("/bin/sh", "sh", "-c", "echo from vfork; exit 5", (char*)NULL);
    _exit(127);
  }
  CHECK(shared == 2);
  printf("code %d\n", exit_code_of(child));
  const pid_t missing = vfork();
  if (missing == 0) {
    execl("/no/such/program", "none", (char*)NULL);
    _exit(errno == ENOENT ? 44 : 45);
  }
  printf("missing: %d\n", exit_code_of(missing));
  return argument;
}

static void vfork_in_thread(void) { finish(start(vfork_and_exec, NULL)); }

static void* spawn(void* argument) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  pid_t child = -1;
  int ends[2];
  char text[64] = "";
  MUST(pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawnattr_init(&attributes);
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char* const command[] = {(char*)"sh", (char*)"-c", (char*)"sleep 0.01; echo spawned; exit 3",
                           NULL};
  printf("spawn: %s\n",
         error_name(posix_spawnp(&child, "sh", &actions, &attributes, command, environ)));
  close(ends[1]);
  printf("read %zd ", read(ends[0], text, sizeof text));
  printf("%s", text);
  printf("end %zd\n", read(ends[0], text, sizeof text));
  printf("code %d\n", exit_code_of(child));
  printf("missing: %s\n",
         error_name(posix_spawn(&child, "/no/such/program", NULL, NULL, command, environ)));
  close(ends[0]);
  return argument;
}

static void spawn_in_thread(void) { finish(start(spawn, NULL)); }

static void* run_shell(void* argument) {
  const int status = system((const char*)argument);
  return as_pointer(WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status));
}

static void shell_commands(void) {
  printf("%ld\n", as_number(finish(start(run_shell, "exit 9"))));
  printf("%ld\n", as_number(finish(start(run_shell, "kill -TERM $$"))));
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start(run_shell, "sleep 0.02; exit 4");
  for (int i = 0; i < 4; ++i) printf("%ld ", as_number(finish(threads[i])));
  printf("shell %d\n", system(NULL) != 0);
}

static void* read_command(void* argument) {
  char line[64] = "";
  FILE* const pipe = popen((const char*)argument, "r");
  MUST(pipe);
  while (fgets(line, sizeof line, pipe)) printf("line: %s", line);
  const int status = pclose(pipe);
  return as_pointer(WEXITSTATUS(status));
}

static void* write_command(void* argument) {
  FILE* const pipe = popen("read a; read b; echo $b $a", "w");
  MUST(pipe);
  fprintf(pipe, "first\n");
  fflush(pipe);
  nap(3);
  fprintf(pipe, "%s\n", (const char*)argument);
  return as_pointer(WEXITSTATUS(pclose(pipe)));
}

static void pipes_to_commands(void) {
  printf("%ld\n", as_number(finish(start(read_command, "echo one; sleep 0.01; echo two; exit 6"))));
  printf("%ld\n", as_number(finish(start(write_command, "second"))));
}

static void* replace_process(void* argument) {
  (void)argument;
  nap(2);
  execl("/bin/sh", "sh", "-c", "echo replaced; ls /proc/$$/task | wc -l; exit 17", (char*)NULL);
  return NULL;
}

static void* exec_in_child(void* argument) {
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 3; ++i) pthread_detach(start(sleep_for_ever, NULL));
    finish(start(replace_process, NULL));
    _exit(1);
  }
  printf("code %d\n", exit_code_of(child));
  return argument;
}

// exec from a thread ends all the others. In a child, so that this process can say how it went.
static void exec_in_thread(void) { finish(start(exec_in_child, NULL)); }

enum { kNobody = 65534 };

static void* watch_user(void* argument) {
  for (int i = 0; i < 2000; ++i) {
    if (syscall(SYS_geteuid) != kNobody) return as_pointer(1);
    sched_yield();
  }
  return argument;
}

// What the parent has been, the child's threads are not.
static void dropped_credentials(void) {
  finish(start(add_one, as_pointer(0)));
  if (geteuid() == 0) {
    CHECK(seteuid(kNobody) == 0 && seteuid(0) == 0);
    const pid_t child = fork();
    if (child == 0) {
      MUST(seteuid(kNobody) == 0);
      pthread_t threads[4];
      long wrong = 0;
      for (int i = 0; i < 4; ++i) threads[i] = start(watch_user, NULL);
      for (int i = 0; i < 4; ++i) wrong += as_number(finish(threads[i]));
      _exit(wrong == 0 && geteuid() == kNobody ? 7 : 8);
    }
    CHECK(exit_code_of(child) == 7);
  }
  printf("done\n");
}

static int handler_starts;
static sem_t handlers_turn;
static pthread_t of_handler;

static void* wait_for_turn(void* argument) {
  sem_wait(&handlers_turn);
  nap(1);
  return argument;
}

static void start_in_child(void) {
  if (!handler_starts) return;
  of_handler = start(wait_for_turn, as_pointer(11));
  nap(2);
}

// Before there is any thread, so before whatever a library registers then.
static void threads_of_fork_handlers(void) {
  MUST(pthread_atfork(NULL, NULL, start_in_child) == 0);
  MUST(sem_init(&handlers_turn, 0, 0) == 0);
  pthread_detach(start(sleep_for_ever, NULL));
  handler_starts = 1;
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // only where it would never end
    const pthread_t another = start(add_one, as_pointer(1));
    sem_post(&handlers_turn);
    const long sum = as_number(finish(another)) + as_number(finish(of_handler));
    // The same again, one further.
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      sem_post(&handlers_turn);
      _exit((int)as_number(finish(of_handler)));
    }
    _exit((int)sum + exit_code_of(grandchild));
  }
  handler_starts = 0;
  printf("code %d\n", exit_code_of(child));
}

static const struct twin_case cases[] = {
    {"fork_in_thread", THREADS, fork_in_thread},
    {"fork_in_main", THREADS, fork_in_main},
    {"fork_handlers", THREADS, fork_handlers},
    {"threads_of_fork_handlers", THREADS, threads_of_fork_handlers},
    {"vfork_in_thread", THREADS, vfork_in_thread},
    {"spawn_in_thread", THREADS, spawn_in_thread},
    {"shell_commands", THREADS, shell_commands},
    {"pipes_to_commands", THREADS, pipes_to_commands},
    {"exec_in_thread", THREADS, exec_in_thread},
    {"dropped_credentials", THREADS, dropped_credentials},
};

TWIN_MAIN(cases)
