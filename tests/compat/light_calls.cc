// Light fibers in a program that the preload serves: the blocking calls which they make by name,
// and the main flow's, switch; so do threads that the program makes besides.
#include <poll.h>
#include <ramie/fiber.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>

namespace {

int ends[2];

void write_later(char what) {
  usleep(100'000);
  (void)!write(ends[1], &what, 1);
}

char read_one() {
  char what = '-';
  return read(ends[0], &what, 1) == 1 ? what : '?';
}

int set;
int event;

int change_semaphore(short by) {
  sembuf change{0, by, 0};
  return semop(set, &change, 1);
}

// What a helper thread waits for.
void give_later() {
  usleep(100'000);
  change_semaphore(1);
  usleep(100'000);
  eventfd_write(event, 1);
}

char take_both() {
  eventfd_t value = 0;
  return change_semaphore(-1) == 0 && eventfd_read(event, &value) == 0 ? 'd' : '?';
}

}  // namespace

int main() {
  socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  long ticks = 0;
  std::atomic<bool> stop = false;
  auto ticker = ramie::spawn([&] {
    for (; !stop; ++ticks) {
      errno = EDOM;
      usleep(1'000);
    }
    return errno;
  });
  auto said = [&](const char* who, char what) {
    std::printf("%s got %c while others %s\n", who, what, ticks > 10 ? "ran" : "stood still");
    ticks = 0;
  };

  auto first = ramie::spawn(write_later, 'a');
  said("main", read_one());

  auto second = ramie::spawn(write_later, 'b');
  auto reader = ramie::spawn(read_one);
  char what = reader.get();
  said("a fiber", what);

  std::thread thread(write_later, 'c');
  pollfd watched{ends[0], POLLIN, 0};
  (void)poll(&watched, 1, -1);
  said("main, from a thread,", read_one());
  thread.join();

  set = semget(IPC_PRIVATE, 1, 0600);
  event = eventfd(0, 0);
  auto giver = ramie::spawn(give_later);
  auto taker = ramie::spawn(take_both);
  what = taker.get();
  said("a semaphore's waiter", what);
  semctl(set, 0, IPC_RMID);

  stop = true;
  std::printf("errno %s\n", ticker.get() == EDOM ? "stayed" : "was lost");
}
