#include "event/input.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "event/descriptor_table.h"

namespace ramie::event {
namespace {

int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  (void)sys::call(SYS_getsockopt, fd, SOL_SOCKET, option, sys::arg(&value), sys::arg(&size));
  return value;
}

// Others have boundaries at which a read ends: datagrams, descriptors that a UNIX socket passes.
bool is_tcp(int fd) {
  return option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

}  // namespace

[[gnu::hot]] InputGlance::InputGlance(int fd) : fd_(fd), descriptor_(descriptor_of(fd)) {
  if (descriptor_ != nullptr) {
    // Acquire pairs with note_input(): a read that sees an event's count sees its data.
    word_ = descriptor_->input.load(std::memory_order_acquire);
    is_empty_ = input_of(word_) == Input::drained;
    is_trusted_ = input_of(word_) == Input::trusted;
  }
}

// Fails if an event has been counted since: what it told of may have come after the read, and
// somebody else may have taken it.
void InputGlance::note_drained() const {
  uint32_t expected = word_;
  (void)descriptor_->input.compare_exchange_strong(expected, with_input(word_, Input::drained),
                                                   std::memory_order_relaxed);
}

void InputGlance::got_nothing() const {
  if (descriptor_ != nullptr && input_of(word_) == Input::unknown) {
    note_known(fd_);
    uint32_t expected = word_;
    (void)descriptor_->input.compare_exchange_strong(
        expected, with_input(word_, is_tcp(fd_) ? Input::trusted : Input::mixed),
        std::memory_order_relaxed);
  }
}

void distrust_input(int fd) {
  if (Descriptor* descriptor = descriptor_of(fd)) {
    uint32_t word = descriptor->input.load(std::memory_order_relaxed);
    while (!descriptor->input.compare_exchange_weak(word, with_input(word, Input::mixed),
                                                    std::memory_order_relaxed)) {
    }
  }
}

}  // namespace ramie::event
