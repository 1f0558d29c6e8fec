// Sockets and pipes: what is sent arrives, ends of file are seen, waits end in time.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "storm.h"

namespace storm {
namespace {

template <typename Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

void write_all(int fd, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t done = retry([&] { return write(fd, bytes, count); });
    STORM_CHECK(done > 0);
    bytes += done;
    count -= static_cast<size_t>(done);
  }
}

// False at the end of the file.
bool read_all(int fd, char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t done = retry([&] { return read(fd, bytes, count); });
    STORM_CHECK(done >= 0);
    if (done == 0) return false;
    bytes += done;
    count -= static_cast<size_t>(done);
  }
  return true;
}

struct Pipe {
  Pipe() { STORM_CHECK(pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    if (ends[0] >= 0) STORM_CHECK(close(ends[0]) == 0);
    if (ends[1] >= 0) STORM_CHECK(close(ends[1]) == 0);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int ends[2]{-1, -1};
};

struct Transfer {
  Pipe pipe;
  size_t count = 0;
  char first = 0;
};

void* write_and_close(void* argument) {
  auto* transfer = static_cast<Transfer*>(argument);
  std::array<char, 3000> bytes{};
  for (size_t i = 0; i < transfer->count; ++i) bytes[i] = static_cast<char>(transfer->first + i);
  write_all(transfer->pipe.ends[1], bytes.data(), transfer->count);
  STORM_CHECK(close(transfer->pipe.ends[1]) == 0);
  transfer->pipe.ends[1] = -1;
  return nullptr;
}

void* poll_for_a_moment(void* argument) {
  pollfd item{*static_cast<int*>(argument), POLLIN, 0};
  poll(&item, 1, 20);  // time-out, POLLNVAL or a reused number: all are right, it must return
  return nullptr;
}

}  // namespace

void* run_echoer(void* argument) {
  auto* worker = static_cast<Worker*>(argument);
  std::array<char, 8192> bytes;
  while (true) {
    const ssize_t count =
        retry([&] { return read(worker->echo_socket, bytes.data(), bytes.size()); });
    STORM_CHECK(count >= 0);
    if (count == 0) break;
    write_all(worker->echo_socket, bytes.data(), static_cast<size_t>(count));
  }
  return nullptr;
}

void echo(Worker& worker) {
  std::array<char, 3000> sent;
  std::array<char, 3000> received;
  const size_t count = 1 + static_cast<size_t>(worker.random.below(sent.size()));
  for (size_t i = 0; i < count; ++i) sent[i] = static_cast<char>(worker.random.next());
  write_all(worker.socket, sent.data(), count);
  STORM_CHECK(read_all(worker.socket, received.data(), count));
  STORM_CHECK(std::memcmp(sent.data(), received.data(), count) == 0);
}

// The numbers of these descriptors are used again by other threads all the time.
void pass_by_pipe(Worker& worker) {
  Transfer transfer;
  transfer.count = 1 + static_cast<size_t>(worker.random.below(3000));
  transfer.first = static_cast<char>(worker.random.next());
  const pthread_t writer = start(write_and_close, &transfer);
  std::array<char, 3000> bytes;
  STORM_CHECK(read_all(transfer.pipe.ends[0], bytes.data(), transfer.count));
  for (size_t i = 0; i < transfer.count; ++i) {
    STORM_CHECK(bytes[i] == static_cast<char>(transfer.first + i));
  }
  char more;
  STORM_CHECK(!read_all(transfer.pipe.ends[0], &more, 1));
  join(writer);
}

void wait_in_vain(Worker& worker) {
  const Pipe silent;
  const int milliseconds = worker.random.below(8);
  if (worker.random.below(2) == 0) {
    pollfd item{silent.ends[0], POLLIN, 0};
    const int ready = poll(&item, 1, milliseconds);
    STORM_CHECK(ready == 0 || (ready < 0 && errno == EINTR));
  } else {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    STORM_CHECK(epoll >= 0);
    epoll_event event{};
    event.events = EPOLLIN;
    STORM_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, silent.ends[0], &event) == 0);
    const int ready = epoll_wait(epoll, &event, 1, milliseconds);
    STORM_CHECK(ready == 0 || (ready < 0 && errno == EINTR));
    STORM_CHECK(close(epoll) == 0);
  }
}

void close_under_poll(Worker&) {
  int fd = eventfd(0, EFD_CLOEXEC);
  STORM_CHECK(fd >= 0);
  const pthread_t waiter = start(poll_for_a_moment, &fd);
  nap(500);
  STORM_CHECK(close(fd) == 0);
  join(waiter);
}

void select_ready(Worker& worker) {
  const Pipe pipe;
  if (pipe.ends[0] >= FD_SETSIZE) return;
  write_all(pipe.ends[1], "x", 1);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pipe.ends[0], &set);
  timeval limit{worker.random.below(2) == 0 ? 30 : 0, 0};
  const int ready = retry([&] {
    FD_SET(pipe.ends[0], &set);
    return select(pipe.ends[0] + 1, &set, nullptr, nullptr, &limit);
  });
  STORM_CHECK(ready == 1 && FD_ISSET(pipe.ends[0], &set));
}

}  // namespace storm
