// The floor for whoever uses io_uring: an echo server that is one loop. One call of the kernel
// submits what all the connections want that were served since the last one.
#include <errno.h>
#include <liburing.h>
#include <unistd.h>

#include "listen.h"

enum { kEntries = 4096, kMost = 65536 };

enum { kAccept, kReceive, kSend };

// One message at a time; the kernel has the buffer while an operation is under way.
struct connection {
  char data[kMessageRoom];
};

static struct io_uring ring;
static struct connection* connections[kMost];

static struct io_uring_sqe* next_entry(void) {
  struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (entry == NULL) {
    io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
  }
  if (entry == NULL) give_up("io_uring_get_sqe");
  return entry;
}

static void label(struct io_uring_sqe* entry, int what, int fd) {
  io_uring_sqe_set_data64(entry, (uint64_t)fd << 2 | (uint64_t)what);
}

static void submit_accept(int doors) {
  struct io_uring_sqe* const entry = next_entry();
  io_uring_prep_multishot_accept(entry, doors, NULL, NULL, 0);
  label(entry, kAccept, doors);
}

static void submit_receive(int fd) {
  struct io_uring_sqe* const entry = next_entry();
  io_uring_prep_recv(entry, fd, connections[fd]->data, kMessageRoom, 0);
  label(entry, kReceive, fd);
}

static void submit_send(int fd, int size) {
  struct io_uring_sqe* const entry = next_entry();
  io_uring_prep_send(entry, fd, connections[fd]->data, (size_t)size, MSG_NOSIGNAL);
  label(entry, kSend, fd);
}

static void welcome(int fd) {
  if (fd >= kMost) {
    close(fd);
    return;
  }
  if (connections[fd] == NULL) connections[fd] = malloc(sizeof *connections[fd]);
  if (connections[fd] == NULL) give_up("malloc");
  submit_receive(fd);
}

static void handle(const struct io_uring_cqe* done) {
  const int what = (int)(done->user_data & 3), fd = (int)(done->user_data >> 2);
  if (what == kAccept) {
    if (done->res >= 0) welcome(done->res);
    if (!(done->flags & IORING_CQE_F_MORE)) submit_accept(fd);
  } else if (done->res <= 0) {
    close(fd);
  } else if (what == kReceive) {
    submit_send(fd, done->res);
  } else {
    submit_receive(fd);
  }
}

int main(void) {
  const int doors = listen_somewhere(0);
  struct io_uring_params how = {0};
  how.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  how.cq_entries = 4 * kEntries;
  const int error = io_uring_queue_init_params(kEntries, &ring, &how);
  if (error < 0) {
    errno = -error;
    give_up("io_uring_setup");
  }
  submit_accept(doors);
  for (;;) {
    const int entered = io_uring_submit_and_wait(&ring, 1);
    if (entered < 0 && entered != -EINTR && entered != -EBUSY && entered != -EAGAIN) {
      errno = -entered;
      give_up("io_uring_enter");
    }
    struct io_uring_cqe* done;
    unsigned head, handled = 0;
    io_uring_for_each_cqe(&ring, head, done) {
      handle(done);
      ++handled;
    }
    io_uring_cq_advance(&ring, handled);
  }
}
