// The echo server of every textbook: one thread for each connection, and calls that block.
//
//   thread_echo [PORT]      0 or nothing: a port of the kernel's choice, which is printed
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Answers 0 when all is written, -1 when the peer has gone.
static int write_all(int fd, const char* data, ssize_t size) {
  while (size > 0) {
    const ssize_t put = write(fd, data, (size_t)size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    data += put;
    size -= put;
  }
  return 0;
}

static void* serve(void* argument) {
  const int fd = (int)(long)argument;
  char data[4096];
  for (;;) {
    const ssize_t got = read(fd, data, sizeof data);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || write_all(fd, data, got) != 0) break;
  }
  close(fd);
  return NULL;
}

static int listen_on(const char* port) {
  char* end;
  errno = 0;
  const long number = strtol(port, &end, 10);
  if (*port == '\0' || *end != '\0' || errno != 0 || number < 0 || number > 65535) {
    fprintf(stderr, "thread_echo: %s is not a port\n", port);
    exit(2);
  }
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  const int on = 1;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr*)&address, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, (struct sockaddr*)&address, &length) != 0) {
    fprintf(stderr, "thread_echo: cannot listen on 127.0.0.1:%ld: %s\n", number, strerror(errno));
    exit(1);
  }
  printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // A client that goes away is an error of one write, no more.
  const int listener = listen_on(argc > 1 ? argv[1] : "0");
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      const int error = errno;
      fprintf(stderr, "thread_echo: accept: %s\n", strerror(error));
      if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS) return 1;
      sleep(1);  // Until some client leaves.
      continue;
    }
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, serve, (void*)(long)fd);
    if (error != 0) {
      fprintf(stderr, "thread_echo: no thread for a connection: %s\n", strerror(error));
      close(fd);
      continue;
    }
    pthread_detach(thread);
  }
}
