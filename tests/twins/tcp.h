// Loopback sockets for the twins that need them: a listener on a port of the kernel's choice.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "twin.h"

static inline struct sockaddr_in loopback(int port) {
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static inline int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  MUST(getsockname(fd, (struct sockaddr*)&address, &length) == 0);
  return ntohs(address.sin_port);
}

static inline int bound_socket(int type) {
  const int fd = socket(AF_INET, type, 0);
  const struct sockaddr_in address = loopback(0);
  MUST(fd >= 0 && bind(fd, (const struct sockaddr*)&address, sizeof address) == 0);
  return fd;
}

static inline int tcp_listener(void) {
  const int fd = bound_socket(SOCK_STREAM);
  MUST(listen(fd, 64) == 0);
  return fd;
}

static inline int connect_to(int fd, int port) {
  const struct sockaddr_in address = loopback(port);
  return connect(fd, (const struct sockaddr*)&address, sizeof address);
}

static inline int tcp_client(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  MUST(fd >= 0 && connect_to(fd, port) == 0);
  return fd;
}

// Two connected TCP sockets.
static inline void tcp_pair(int pair[2]) {
  const int listener = tcp_listener();
  pair[0] = tcp_client(port_of(listener));
  pair[1] = accept(listener, NULL, NULL);
  MUST(pair[1] >= 0);
  close(listener);
}
