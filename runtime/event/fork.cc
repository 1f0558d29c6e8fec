#include "event/carrier_uring.h"
#include "event/child.h"
#include "event/helper_pool.h"
#include "event/io_uring_ops.h"
#include "event/own_descriptors.h"
#include "event/poller.h"
#include "event/reactor.h"

namespace ramie::event {

void reset_after_fork() {
  discard_all();
  reset_poller();
  reset_reactor();
  reset_helpers();
  reset_child_waits();
  reset_uring();
  reset_rings();
}

}  // namespace ramie::event
