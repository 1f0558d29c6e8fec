#include "support/run_program.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ramie::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSampleEveryMs = 3;

// Takes what is there; closes the pipe at its end.
void drain(Pipe& from, std::string& into) {
  std::array<char, 65536> data;
  const ssize_t got = read(from.ends[0], data.data(), data.size());
  if (got > 0) {
    into.append(data.data(), static_cast<size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    from.close_end(0);
  }
}

void note_end(int status, Outcome& outcome) {
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
}

}  // namespace

std::string Outcome::ending() const {
  std::string text = "exit code " + std::to_string(exit_code);
  if (signal != 0) text = std::string("killed by ") + strsignal(signal);
  if (timed_out) text = "killed after its time-out";
  return text + " after " + std::to_string(wall.count()) + " ms";
}

Outcome run_program(const Program& program, const std::function<void()>& observe) {
  Pipe output, errors;
  const auto begin = Clock::now();
  const pid_t pid = start_program(program, output.ends[1], errors.ends[1]);
  output.close_end(1);
  errors.close_end(1);

  Outcome outcome;
  bool running = true;
  // A pipe may stay open after the program's end, in the hands of something that it started.
  while (running || output.ends[0] >= 0 || errors.ends[0] >= 0) {
    if (Clock::now() - begin > program.limit) {
      outcome.timed_out = true;
      kill(-pid, SIGKILL);
      break;
    }
    // poll ignores the ends that are closed already, for they are negative.
    std::array<pollfd, 2> watched{pollfd{output.ends[0], POLLIN, 0},
                                  pollfd{errors.ends[0], POLLIN, 0}};
    poll(watched.data(), watched.size(), kSampleEveryMs);
    if (watched[0].revents != 0) drain(output, outcome.output);
    if (watched[1].revents != 0) drain(errors, outcome.errors);
    if (observe) observe();
    if (!running) continue;
    outcome.peak.sample(pid);
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) {
      note_end(status, outcome);
      running = false;
    }
  }
  if (running) note_end(wait_for_process(pid), outcome);
  outcome.wall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  return outcome;
}

}  // namespace ramie::testing
