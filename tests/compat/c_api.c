/* The core from C: prints what happens, in an order that only switches can make. */
#include <errno.h>
#include <poll.h>
#include <ramie.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];

static void say(void* text) {
  printf("%s\n", (const char*)text);
  ramie_yield();
  printf("%s again\n", (const char*)text);
}

static void wait_for_byte(void* unused) {
  (void)unused;
  int happened = ramie_wait_fd(ends[0], RAMIE_READABLE, -1);
  printf("readable: %d\n", happened == RAMIE_READABLE);
}

static void join_itself(void* handle) {
  printf("deadlock: %d\n", ramie_join(*(ramie_fiber**)handle) == EDEADLK);
}

int main(void) {
  ramie_fiber* one = ramie_spawn(say, "one");
  ramie_fiber* two = ramie_spawn_named("second", 1 << 18, say, "two");
  printf("spawned, ids differ: %d, self %d\n", ramie_id(one) != ramie_id(two), (int)ramie_self());
  printf("joined: %d %d\n", ramie_join(one), ramie_join(two));

  if (pipe(ends) != 0) {
    return 1;
  }
  ramie_fiber* waiting = ramie_spawn(wait_for_byte, NULL);
  printf("in time: %d\n", ramie_join_for(waiting, 1000000) == 0);
  printf("at the limit: %d\n", ramie_wait_fd(ends[0], RAMIE_READABLE, 1000000));
  if (write(ends[1], "x", 1) != 1) {
    return 1;
  }
  ramie_join(waiting);
  printf("not open: %d\n", ramie_wait_fd(-1, RAMIE_READABLE, 0) == -1 && errno == EBADF);
  ramie_notify_close(ends[0]);
  close(ends[0]);

  ramie_fiber* self = NULL;
  self = ramie_spawn(join_itself, &self);
  ramie_sleep(1000000);
  ramie_join(self);
  ramie_detach(ramie_spawn(say, "detached"));
  ramie_yield();
  ramie_yield();

  ramie_function original = ramie_original("usleep");
  printf("usleep is patched: %d, its original is %s\n", ramie_is_patched("usleep"),
         original == NULL                      ? "missing"
         : original == (ramie_function)&usleep ? "what is called"
                                               : "another");
  printf("strlen is patched: %d, no such name: %d %d\n", ramie_is_patched("strlen"),
         ramie_is_patched("no_such_name"), ramie_original("no_such_name") == NULL);
  printf("version %d\n", strcmp(ramie_version(), "0") > 0);
  return 0;
}
