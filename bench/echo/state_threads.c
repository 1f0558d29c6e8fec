// An echo server with a State Thread for each connection, until it is killed. Debian's package is
// built without epoll, and its select ends at 1,024 descriptors, which leaves poll.
#include <st.h>

#include "listen.h"

static void* serve(void* argument) {
  const st_netfd_t peer = argument;
  char data[kMessageRoom];
  for (;;) {
    const ssize_t got = st_read(peer, data, sizeof data, ST_UTIME_NO_TIMEOUT);
    if (got <= 0 || st_write(peer, data, (size_t)got, ST_UTIME_NO_TIMEOUT) != got) break;
  }
  st_netfd_close(peer);
  return NULL;
}

int main(void) {
  allow_many_descriptors();
  if (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0) give_up("st_init");
  const st_netfd_t doors = st_netfd_open_socket(listen_somewhere(0));
  if (doors == NULL) give_up("st_netfd_open_socket");
  for (;;) {
    const st_netfd_t peer = st_accept(doors, NULL, NULL, ST_UTIME_NO_TIMEOUT);
    if (peer == NULL) give_up("st_accept");
    if (st_thread_create(serve, peer, 0, 64 * 1024) == NULL) give_up("st_thread_create");
  }
}
