// What the library exports for the inline parts of the public headers, and the bits that both sides
// know.  Not part of the interface: programs include the headers beside this folder.
//
// Deadlines are nanoseconds of the monotonic clock.  Nothing here throws.
#pragma once

#include <ramie/export.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace ramie::detail {

inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

// Fibers (fiber.h, task.h).

struct control;  // the runtime's control block of a fiber

struct extras;  // what the headers keep for a fiber (extras.h)

// What a fiber runs, as the library knows it.
struct task_base {
  void (*run)(task_base*, control*) noexcept = nullptr;
  void (*destroy)(task_base*, control*) noexcept = nullptr;
  detail::extras* extras = nullptr;  // null where there are none
};

// A fiber that isn't started, with `extra` bytes (aligned to 16) for its task, or null with no
// memory left.  A stack_size of 0 means the default.
[[nodiscard]] RAMIE_API control* create(std::size_t stack_size, std::size_t extra, void** memory,
                                        const char* name) noexcept;
// The most that may lie on a stack of this size: half of it.
[[nodiscard]] RAMIE_API std::size_t inline_limit(std::size_t stack_size) noexcept;
RAMIE_API void start(control*, task_base*) noexcept;
// The same where it may begin on another kernel thread (carriers.h).
RAMIE_API void start_anywhere(control*, task_base*) noexcept;
// The same, and lets it run at once, in the caller's place.  Switches.
RAMIE_API void start_now(control*, task_base*) noexcept;
// Gives up the handle, and what it held of the fiber; of one that has ended, the task is destroyed.
RAMIE_API void drop(control*) noexcept;
// One handle more, to be released.
RAMIE_API void retain(control*) noexcept;
// Frees the control block, now or at the fiber's end.
RAMIE_API void release(control*) noexcept;
// By the fiber itself, at its end; true if the handle is given up, and the task is the fiber's to
// destroy.  One that `needs_nothing` is not destroyed by drop(): what it lies in is not touched.
[[nodiscard]] RAMIE_API bool finish(control*, bool needs_nothing) noexcept;
// 0, ETIMEDOUT (or an interruption), or EDEADLK from the fiber itself.
[[nodiscard]] RAMIE_API int join(control*, std::int64_t deadline) noexcept;
[[nodiscard]] RAMIE_API task_base* task_of(const control*) noexcept;
// Of the running fiber; null where no spawned fiber runs.
[[nodiscard]] RAMIE_API task_base* current_task() noexcept;
// Whether the fiber's function and its callbacks have ended.
[[nodiscard]] RAMIE_API bool has_ended(const control*) noexcept;
// The fiber that spawned it, 0 if that was none.
[[nodiscard]] RAMIE_API std::uint64_t parent_of(const control*) noexcept;
[[nodiscard]] RAMIE_API std::uint64_t id_of(const control*) noexcept;
[[nodiscard]] RAMIE_API const char* name_of(const control*) noexcept;
// The running fiber, or null.
[[nodiscard]] RAMIE_API const control* running() noexcept;
// How often the calling kernel thread has switched fibers.
[[nodiscard]] RAMIE_API std::uint64_t switches() noexcept;
// One line on descriptor 2: an exception that nobody will see otherwise.
RAMIE_API void report_lost_exception(const control*, const char* what) noexcept;
// False: see "Interruptions".  Then yield() has not yielded.
[[nodiscard]] RAMIE_API bool yield() noexcept;
RAMIE_API bool sleep_until(std::int64_t deadline) noexcept;
// The same for one who is not to be waited for.
RAMIE_API bool sleep_in_background(std::int64_t deadline) noexcept;
// Until all other fibers of this thread and of the workers have ended, or sleep in the background.
RAMIE_API bool wait_for_rest(std::int64_t deadline) noexcept;
// Until nothing else is ready.
RAMIE_API bool idle() noexcept;

// Something outside of all carriers begins, or ends, that will wake somebody: it is no deadlock.
RAMIE_API void outside_work(bool begins) noexcept;

// Interruptions (cancel.h, timeout.h, detail/cancel.h).  A wait that ends without success, or would
// have lasted for ever, may have been ended by one: take_interruption() tells.

// A time-out scope of a fiber; the library links them.
struct scope {
  std::int64_t deadline = never;
  scope* outer = nullptr;
  std::uint64_t id = 0;    // the header's
  bool has_ended = false;  // set when the scope has ended a wait; its deadline is `never` then
};

struct interruption {
  bool is_cancel = false;
  scope* ended = nullptr;  // the scope whose time was over
};

RAMIE_API void cancel(control*) noexcept;
// Whether cancel() was called; takes the request back.
[[nodiscard]] RAMIE_API bool take_cancel(control*) noexcept;
// Whether the running fiber would throw at its next wait.
[[nodiscard]] RAMIE_API bool is_interrupted() noexcept;
// Why a wait of the running fiber, which had this deadline, ended; each interruption once.
[[nodiscard]] RAMIE_API interruption take_interruption(std::int64_t deadline) noexcept;
RAMIE_API void enter_scope(scope*) noexcept;
RAMIE_API void leave_scope(scope*) noexcept;
RAMIE_API void move_scope(scope*, std::int64_t deadline) noexcept;
// Nests.  False on a kernel thread without fibers, where there is nothing to forbid, nor to allow.
[[nodiscard]] RAMIE_API bool forbid_interruptions() noexcept;
RAMIE_API void allow_interruptions() noexcept;

// Locks (sync.h): the slow paths, and the bits that the fast paths need.  The words' states are
// told in runtime/sync.  False means that the deadline passed, or an interruption.

using word = std::atomic<std::uint32_t>;

inline constexpr std::uint32_t mutex_free = 0;
inline constexpr std::uint32_t mutex_locked = 1;
inline constexpr std::uint32_t mutex_parked = 2;
inline constexpr std::uint32_t semaphore_unit = 2;
inline constexpr std::uint32_t event_set = 1;

RAMIE_API bool lock_slowly(word&, std::int64_t deadline) noexcept;
RAMIE_API void unlock_slowly(word&) noexcept;
RAMIE_API bool wait_condition(word& condition, word& mutex, std::int64_t deadline) noexcept;
RAMIE_API void notify_one(word&) noexcept;
RAMIE_API void notify_all(word&) noexcept;
RAMIE_API bool acquire_slowly(word&, std::int64_t deadline) noexcept;
RAMIE_API void release_units(word&, std::uint32_t units) noexcept;
RAMIE_API bool wait_event(word&, std::int64_t deadline) noexcept;
RAMIE_API void set_event(word&) noexcept;
RAMIE_API void clear_event(word&) noexcept;

// The parking lot by addresses (park.h).

inline constexpr std::uint32_t everybody = std::numeric_limits<std::uint32_t>::max();

enum class parked : std::uint8_t {
  woken,        // a waker chose this waiter
  timed_out,    // the deadline passed, or that of a time-out scope
  cancelled,    // by fiber::cancel()
  changed,      // the word had another value, nothing was waited for
  interrupted,  // neither: look again
};

// Waits while the word holds `expected`.  Switches fibers, or blocks a kernel thread without them.
[[nodiscard]] RAMIE_API parked park_on(const word& waited, std::uint32_t expected,
                                       std::int64_t deadline) noexcept;

// Wakes up to `count` of those who wait on the address, the first first.  Returns how many.  Never
// switches; any thread, and the word need not exist any more.
RAMIE_API std::uint32_t unpark_on(const void* address, std::uint32_t count) noexcept;

// Waits for a mutex's word (see abi.h) whatever happens: the caller is not cancelled meanwhile.
RAMIE_API void lock_quietly(word&) noexcept;

// Stands for the flow that calls, a fiber or a thread, as long as that lives: an address.
[[nodiscard]] RAMIE_API const void* this_flow() noexcept;

// Waiting for several things (wait.h).

// Where the end of a wait is announced, and whether there is something to wait for: `must_wait` is
// asked with the announcing side locked out, and must not wait.
struct wait_key {
  const void* address = nullptr;
  bool (*must_wait)(const void* object) noexcept = nullptr;
  const void* object = nullptr;
};

struct watch {
  watch* next_fired = nullptr;
  alignas(8) unsigned char place[96] = {};  // the library's
};

struct watch_set {
  alignas(8) unsigned char place[48] = {};  // the library's
};

[[nodiscard]] RAMIE_API wait_key key_of_end(const control*) noexcept;
[[nodiscard]] RAMIE_API wait_key key_of_event(const word&) noexcept;
[[nodiscard]] RAMIE_API wait_key key_of_semaphore(const word&) noexcept;
RAMIE_API void open_watches(watch_set*) noexcept;
// False if there is nothing to wait for.
[[nodiscard]] RAMIE_API bool begin_watch(watch*, watch_set*, const wait_key&) noexcept;
RAMIE_API void end_watch(watch*) noexcept;
// Those that have fired, the newest first; null at the deadline or by an interruption.
[[nodiscard]] RAMIE_API watch* wait_watches(watch_set*, std::int64_t deadline) noexcept;

// Stacks below the scheduler (flow.h).

// Where a flow is while it doesn't run; the library knows what is inside.
struct flow_place {
  void* words[8] = {};
};

// A stack, and in `begin` the place from which a switch calls entry(argument).  Null without
// memory.  A stack_size of 0 means the default.
[[nodiscard]] RAMIE_API control* create_flow(std::size_t stack_size, const char* name,
                                             flow_place& begin, void (*entry)(void*) noexcept,
                                             void* argument) noexcept;
// Nobody is on it; `begin` as above.
RAMIE_API void destroy_flow(control* stack, flow_place& begin) noexcept;
// Leaves the running flow, which goes on from `from`, and goes on at `to`.  Any thread.
RAMIE_API void switch_flow(flow_place& from, flow_place& to, bool for_ever) noexcept;

// Descriptors (io.h).

inline constexpr short io_readable = 1;
inline constexpr short io_writable = 2;

// The events that happened, 0 at the deadline or by an interruption, or -errno.
[[nodiscard]] RAMIE_API int wait_descriptor(int fd, short events, std::int64_t deadline) noexcept;
// After an attempt that has said EAGAIN: returns 0 when another one is worth while, or -errno;
// -ECANCELED by an interruption.
[[nodiscard]] RAMIE_API int await_descriptor(int fd, short events) noexcept;
// recv() from a socket, without O_NONBLOCK's being set or looked at: waits where there is nothing.
// The number of bytes, 0 at the end of the stream, or -errno; -ECANCELED by an interruption.
[[nodiscard]] RAMIE_API std::ptrdiff_t receive(int fd, void* into, std::size_t size) noexcept;
// send() to a socket, likewise, without SIGPIPE: may send less.
[[nodiscard]] RAMIE_API std::ptrdiff_t transmit(int fd, const void* from,
                                                std::size_t size) noexcept;
RAMIE_API void forget_descriptor(int fd) noexcept;

}  // namespace ramie::detail
