// A descriptor's readiness as something to wait for together with others (wait.h):
//
//     ramie::readiness input(0, ramie::io::readable);
//     if (ramie::wait_any(input, stop_event) == 0) read_from(0);
//
// For a descriptor alone there is io::wait(), and among channels select().
#pragma once

#include <ramie/fiber.h>
#include <ramie/io.h>
#include <ramie/sync.h>

#include <exception>
#include <memory>
#include <system_error>

namespace ramie {

// Waits for the descriptor once, by a fiber of the kernel thread that made it.  Neither moves nor
// copies; any fiber and thread may wait.  Before the descriptor is closed, drop this or call
// io::notify_close().
class readiness {
 public:
  // Throws what spawn() throws.
  readiness(int fd, io::events what)
      : state_(std::make_shared<state>()),
        watcher_(spawn({.name = "readiness", .stays = true}, [fd, what, shared = state_] {
          try {
            shared->happened = io::wait(fd, what);
          } catch (const std::system_error&) {
            shared->error = std::current_exception();
          }
          shared->is_known.set();
        })) {}
  readiness(const readiness&) = delete;
  readiness& operator=(const readiness&) = delete;
  ~readiness() { watcher_.cancel(); }

  // Whether something has happened, an error included.
  [[nodiscard]] bool ready() const noexcept { return state_->is_known.is_set(); }

  // Waits for it, and returns for what the descriptor was ready, or throws as io::wait() does.
  // Switches fibers if nothing has happened yet.
  io::events get() const {
    state_->is_known.wait();
    if (state_->error) {
      std::rethrow_exception(state_->error);
    }
    return state_->happened;
  }

  // For wait_any() and its relatives.
  [[nodiscard]] detail::wait_key key() const noexcept { return state_->is_known.key(); }

 private:
  struct state {
    event is_known;  // releases what follows
    io::events happened = io::none;
    std::exception_ptr error;
  };

  std::shared_ptr<state> state_;  // shared, since the watcher may end later
  fiber<void> watcher_;
};

}  // namespace ramie
