// The floor for whoever uses epoll: an echo server that is one loop, each socket registered once,
// edge-triggered. A message is far smaller than a socket's buffer, so what is sent always fits.
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "listen.h"

static void add(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) give_up("epoll_ctl");
}

static void accept_all(int epoll, int doors) {
  for (;;) {
    const int fd = accept4(doors, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0) {
      add(epoll, fd);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      give_up("accept");
    }
  }
}

// A read that leaves room in the buffer has emptied the socket.
static void echo(int fd) {
  char data[kMessageRoom];
  ssize_t got;
  do {
    got = recv(fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || send(fd, data, (size_t)got, MSG_NOSIGNAL) != got) {
      close(fd);
      return;
    }
  } while (got == (ssize_t)sizeof data);
}

int main(void) {
  const int doors = listen_somewhere(SOCK_NONBLOCK);
  const int epoll = epoll_create1(0);
  if (epoll < 0) give_up("epoll_create1");
  add(epoll, doors);
  for (;;) {
    struct epoll_event events[256];
    const int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd == doors) {
        accept_all(epoll, doors);
      } else if (events[i].events & (EPOLLHUP | EPOLLERR)) {
        close(fd);
      } else {
        echo(fd);
      }
    }
  }
}
