// Child processes: started with pipes, waited for while other fibers run.
//
//     auto [status, out, err] = ramie::run({"sort", "-r"}, "b\na\n");
//
//     ramie::process job({"make", "all"}, {.out = ramie::process_io::pipe});
//     while (std::size_t size = job.out().read_some(buffer)) ...
//     if (!job.wait().success()) ...
#pragma once

#include <fcntl.h>
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/io.h>
#include <ramie/pipe.h>
#include <ramie/sync.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace ramie {

// Where one of a child's first three descriptors leads: where the parent's does, to a pipe whose
// other end is the process object's, to /dev/null, or (err alone) where its standard output does.
enum class process_io { inherit, pipe, null, to_out };

// How a child is started.
struct process_options {
  process_io in = process_io::inherit;
  process_io out = process_io::inherit;
  process_io err = process_io::inherit;
  std::optional<std::vector<std::string>> environment = {};  // "NAME=value"; the parent's if absent
  std::string directory = {};                                // the parent's if empty
};

// How a process has ended.
struct exit_status {
  int code = 0;    // if it has exited
  int signal = 0;  // if a signal has killed it
  [[nodiscard]] bool success() const noexcept { return code == 0 && signal == 0; }
};

namespace detail {

inline void check_spawn(int error, const char* what) {
  if (error != 0) {
    throw_errno(error, what);
  }
}

struct spawn_actions {
  spawn_actions() { check_spawn(::posix_spawn_file_actions_init(&value), "posix_spawn"); }
  spawn_actions(const spawn_actions&) = delete;
  spawn_actions& operator=(const spawn_actions&) = delete;
  ~spawn_actions() { ::posix_spawn_file_actions_destroy(&value); }
  ::posix_spawn_file_actions_t value{};
};

// What several fibers, and those that wait in the background, share of a child.
struct child {
  child(::pid_t process, int fd) noexcept : pid(process), pidfd(fd) {}

  // Reaps it if it has ended.
  bool poll() {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock guard(lock);
    if (!status.has_value()) {
      ::siginfo_t info{};
      if (::waitid(P_PID, static_cast<::id_t>(pid), &info, WEXITED | WNOHANG) != 0) {
        throw_errno(errno, "waitid");
      }
      if (info.si_pid == pid) {
        status = info.si_code == CLD_EXITED ? exit_status{info.si_status, 0}
                                            : exit_status{0, info.si_status};
      }
    }
    return status.has_value();
  }

  bool wait(std::int64_t deadline) {
    while (!poll()) {
      int happened = wait_descriptor(pidfd.get(), io_readable, deadline);
      if (happened < 0) {
        throw_errno(-happened, "waiting for a process");
      }
      if (!wait_done(happened != 0, deadline)) {
        return false;
      }
    }
    return true;
  }

  const ::pid_t pid;
  owned_descriptor pidfd;
  mutex lock;
  std::optional<exit_status> status;
};

}  // namespace detail

// A child process.  Moves, doesn't copy.  Dropping it closes the pipes and lets the child run on; a
// fiber in the background reaps it.  Needs Linux 5.3 (pidfd_open).
class process {
 public:
  // Starts a program, looked up in PATH; arguments[0] is its name.  Throws std::system_error if
  // that can't be done, no_such_file_or_directory if there is none.
  explicit process(const std::vector<std::string>& arguments, const process_options& options = {}) {
    if (arguments.empty()) {
      detail::throw_errno(EINVAL, "process without a program");
    }
    detail::spawn_actions actions;
    // The child's ends, closed here once it has them.
    detail::owned_descriptor theirs[3];
    if (options.in == process_io::pipe) {
      auto [reader, writer] = make_pipe();
      in_ = std::move(writer);
      theirs[0] = blocking_copy(reader.fd());
    }
    if (options.out == process_io::pipe) {
      auto [reader, writer] = make_pipe();
      out_ = std::move(reader);
      theirs[1] = blocking_copy(writer.fd());
    }
    if (options.err == process_io::pipe) {
      auto [reader, writer] = make_pipe();
      err_ = std::move(reader);
      theirs[2] = blocking_copy(writer.fd());
    }
    const process_io wanted[3] = {options.in, options.out, options.err};
    for (int fd = 0; fd < 3; ++fd) {
      if (wanted[fd] == process_io::pipe) {
        detail::check_spawn(
            ::posix_spawn_file_actions_adddup2(&actions.value, theirs[fd].get(), fd), "dup2");
      } else if (wanted[fd] == process_io::null) {
        detail::check_spawn(
            ::posix_spawn_file_actions_addopen(&actions.value, fd, "/dev/null", O_RDWR, 0), "open");
      }
    }
    if (options.err == process_io::to_out) {
      detail::check_spawn(::posix_spawn_file_actions_adddup2(&actions.value, 1, 2), "dup2");
    }
    if (!options.directory.empty()) {
      detail::check_spawn(
          ::posix_spawn_file_actions_addchdir_np(&actions.value, options.directory.c_str()),
          "chdir");
    }
    start(arguments, options, actions);
  }
  process(process&&) noexcept = default;
  process& operator=(process&& other) noexcept {
    if (this != &other) {
      leave();
      child_ = std::move(other.child_);
      in_ = std::move(other.in_);
      out_ = std::move(other.out_);
      err_ = std::move(other.err_);
    }
    return *this;
  }
  ~process() { leave(); }

  // The kernel's number for it.
  [[nodiscard]] ::pid_t pid() const noexcept { return child_->pid; }

  // The other ends of the pipes that were asked for.
  [[nodiscard]] pipe_writer& in() noexcept { return in_; }
  [[nodiscard]] pipe_reader& out() noexcept { return out_; }
  [[nodiscard]] pipe_reader& err() noexcept { return err_; }

  // Waits until the child has ended; may be repeated, by several fibers.  Switches fibers.  Close
  // in() first if the child reads up to the end.
  exit_status wait() {
    (void)child_->wait(detail::never);
    return *child_->status;
  }
  // The same with a limit; nothing if that passed first.
  template <class Rep, class Period>
  std::optional<exit_status> wait_for(const std::chrono::duration<Rep, Period>& duration) {
    return child_->wait(detail::deadline_after(duration)) ? child_->status : std::nullopt;
  }
  // The status if the child has ended.  Never waits.
  std::optional<exit_status> poll() { return child_->poll() ? child_->status : std::nullopt; }

  // Sends a signal; nothing if the child has ended and was waited for.
  void kill(int signal = SIGTERM) {
    this_fiber::cancellation_disabled quiet;
    std::scoped_lock guard(child_->lock);
    if (!child_->status.has_value() && ::kill(child_->pid, signal) != 0 && errno != ESRCH) {
      detail::throw_errno(errno, "kill");
    }
  }

  // For wait_any() and its relatives (wait.h): calls f once the child has ended, on a fiber that
  // waits for that in the background.
  template <class F>
  void when_ready(F f) const {
    spawn({.name = "process", .stays = true}, [shared = child_, f = std::move(f)]() mutable {
      (void)shared->wait(detail::never);
      f();
    }).detach();
  }

  // What communicate() and run() return.
  struct output {
    exit_status status;
    std::string out;
    std::string err;
  };
  // Writes `input`, closes in(), reads the other pipes to their ends, all at the same time, and
  // waits.  If the wait ends by an exception, the child runs on.
  output communicate(std::string_view input = {}) {
    output result;
    {
      group work;
      if (in_.is_open()) {
        work.spawn([&] { feed(input); });
      }
      if (out_.is_open()) {
        work.spawn([&] { result.out = out_.read_all(); });
      }
      if (err_.is_open()) {
        work.spawn([&] { result.err = err_.read_all(); });
      }
      work.join();
    }
    result.status = wait();
    return result;
  }

 private:
  // The same pipe through a description that blocks, as programs expect of theirs.
  static detail::owned_descriptor blocking_copy(int fd) {
    int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
      detail::throw_errno(errno, "fcntl");
    }
    // The child's end is nobody else's: its description may be changed.
    (void)::fcntl(copy, F_SETFL, 0);
    return detail::owned_descriptor(copy);
  }

  void start(const std::vector<std::string>& arguments, const process_options& options,
             const detail::spawn_actions& actions) {
    auto pointers = [](const std::vector<std::string>& strings) {
      std::vector<char*> all;
      for (const std::string& one : strings) {
        all.push_back(const_cast<char*>(one.c_str()));
      }
      all.push_back(nullptr);
      return all;
    };
    std::vector<char*> argv = pointers(arguments);
    std::vector<char*> envp;
    if (options.environment.has_value()) {
      envp = pointers(*options.environment);
    }
    ::pid_t pid = 0;
    int error = ::posix_spawnp(&pid, argv[0], &actions.value, nullptr, argv.data(),
                               envp.empty() ? ::environ : envp.data());
    if (error != 0) {
      throw std::system_error(error, std::generic_category(), "starting " + arguments[0]);
    }
    long pidfd = ::syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
      error = errno;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      detail::throw_errno(error, "pidfd_open");
    }
    child_ = std::make_shared<detail::child>(pid, static_cast<int>(pidfd));
  }

  void feed(std::string_view input) {
    try {
      in_.write_all(input);
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::broken_pipe) {  // it doesn't want to know more
        throw;
      }
    }
    in_.close();
  }

  void leave() noexcept {
    in_.close();
    out_.close();
    err_.close();
    std::shared_ptr<detail::child> left = std::exchange(child_, nullptr);
    try {
      if (left != nullptr && !left->poll()) {
        spawn({.name = "process", .stays = true}, [left] {
          (void)left->wait(detail::never);
        }).detach();
      }
    } catch (...) {  // a zombie stays until the parent ends
    }
  }

  std::shared_ptr<detail::child> child_;
  pipe_writer in_;
  pipe_reader out_;
  pipe_reader err_;
};

// Runs a program to its end with `input`, and returns its output and status.  If the wait ends by
// an exception (a time-out scope, cancel()), the child is killed.
inline process::output run(const std::vector<std::string>& arguments, std::string_view input = {},
                           process_options options = {}) {
  options.in = process_io::pipe;
  options.out = process_io::pipe;
  options.err = options.err == process_io::inherit ? process_io::pipe : options.err;
  process child(arguments, options);
  try {
    return child.communicate(input);
  } catch (...) {
    child.kill(SIGKILL);
    throw;
  }
}

}  // namespace ramie
