// The RAMIE_* environment variables, read once, before the first use of any.  A value that can't be
// understood is one clear line on descriptor 2 and exit status 2: better than a guess.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ramie::base {

enum class FsChoice : uint8_t { automatic, fsgsbase, trap, prctl };
enum class EntryChoice : uint8_t { automatic, patch, sud, symbols };
enum class GuardChoice : uint8_t { automatic, madvise, mprotect };
enum class PollerChoice : uint8_t { automatic, epoll, io_uring };
enum class DeadlockAction : uint8_t { off, report, abort };
enum class BlockedAction : uint8_t { off, report };
// What RAMIE_PATCH turns on and off: see interpose/host/families.h.
enum class Family : uint8_t { sleep, io, socket, poll, process, file, lock, ipc };
[[nodiscard]] constexpr uint8_t bit(Family family) {
  return static_cast<uint8_t>(1U << static_cast<unsigned>(family));
}
enum class LogLevel : uint8_t { off, warn, info, debug };

struct Config {
  static constexpr int64_t kNoAudit = -1;
  static constexpr unsigned kMostBlocked = 4096;

  unsigned carriers = 0;                          // RAMIE_CARRIERS; 0: not said
  int64_t slice = 10'000'000;                     // RAMIE_SLICE, in ns
  unsigned max_blocked = kMostBlocked;            // RAMIE_MAX_BLOCKED
  FsChoice fs = FsChoice::automatic;              // RAMIE_FS
  EntryChoice entry = EntryChoice::automatic;     // RAMIE_ENTRY
  size_t stack_size = 64UL * 1024;                // RAMIE_STACK_SIZE, of light fibers, in bytes
  GuardChoice guards = GuardChoice::automatic;    // RAMIE_GUARDS
  PollerChoice poller = PollerChoice::automatic;  // RAMIE_POLLER
  DeadlockAction deadlock = DeadlockAction::off;  // RAMIE_DEADLOCK
  BlockedAction blocked = BlockedAction::off;     // RAMIE_BLOCKED
  int64_t audit = kNoAudit;                       // RAMIE_AUDIT, in ns; 0: the slice
  LogLevel log = LogLevel::off;                   // RAMIE_LOG
  const char* log_file = nullptr;                 // RAMIE_LOG_FILE, an absolute path
  unsigned families_off = 0;                      // RAMIE_PATCH, bits
  const char* native = nullptr;                   // RAMIE_NATIVE, a list of names
  bool hosting = true;                            // RAMIE_HOSTING
  const char* stats = nullptr;                    // RAMIE_STATS, a file
};

// The configuration; the first call reads the environment.
[[nodiscard]] inline const Config& config();

// Reads `environment` (NAME=value strings) into `out`.  Returns false after writing one line that
// names the variable, the value and what is accepted into `error`.
[[nodiscard]] bool parse_config(const char* const* environment, Config& out, char* error,
                                size_t error_size);

namespace detail {
inline constinit std::atomic<bool> config_is_read = false;
inline constinit Config the_config;
void read_config();
}  // namespace detail

const Config& config() {
  if (!detail::config_is_read.load(std::memory_order_acquire)) [[unlikely]] {  // with read_config()
    detail::read_config();
  }
  return detail::the_config;
}

}  // namespace ramie::base
