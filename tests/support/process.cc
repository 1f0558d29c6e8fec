#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace ramie::testing {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

[[noreturn]] void become(const Program& program, int output, int errors) {
  setpgid(0, 0);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  std::vector<std::string> settings = program.environment;
  for (auto& setting : settings) putenv(setting.data());
  std::vector<std::string> words = program.arguments;
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  if (!program.directory.empty() && chdir(program.directory.c_str()) != 0) _exit(126);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

}  // namespace

void Peak::sample(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    int seen_threads = 0;
    long seen_kilobytes = 0;
    if (std::sscanf(line.c_str(), "Threads: %d", &seen_threads) == 1) {
      threads = std::max(threads, seen_threads);
    } else if (std::sscanf(line.c_str(), "VmHWM: %ld", &seen_kilobytes) == 1) {
      kilobytes = std::max(kilobytes, seen_kilobytes);
    }
  }
}

Pipe::Pipe() {
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
}

Pipe::~Pipe() {
  close_end(0);
  close_end(1);
}

void Pipe::close_end(int which) {
  if (ends[which] >= 0) close(ends[which]);
  ends[which] = -1;
}

pid_t start_program(const Program& program, int output, int errors) {
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) become(program, output, errors);
  setpgid(pid, pid);  // Here too, so that the group exists whoever comes first.
  return pid;
}

int wait_for_process(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Server::Server(const Program& program) {
  pid_ = start_program(program, output_.ends[1], STDERR_FILENO);
  output_.close_end(1);
  const auto until = std::chrono::steady_clock::now() + program.limit;
  for (char byte = 0; byte != '\n';) {
    pollfd watched{output_.ends[0], POLLIN, 0};
    poll(&watched, 1, 100);
    const bool late = std::chrono::steady_clock::now() > until;
    if (late || (watched.revents != 0 && read(output_.ends[0], &byte, 1) != 1)) {
      kill(-pid_, SIGKILL);
      wait_for_process(pid_);
      throw std::runtime_error(program.arguments[0] + " says nothing");
    }
    if (watched.revents != 0 && byte != '\n') first_line_ += byte;
  }
}

Server::~Server() {
  kill(-pid_, SIGKILL);
  wait_for_process(pid_);
}

std::string Server::port() const {
  const auto last = first_line_.find_last_not_of("0123456789");
  return last == std::string::npos ? first_line_ : first_line_.substr(last + 1);
}

bool Server::is_running() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

ScratchDirectory::ScratchDirectory() {
  std::string place = std::filesystem::temp_directory_path() / "ramie-test-XXXXXX";
  if (!mkdtemp(place.data())) fail("mkdtemp");
  path_ = place;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string setting(const char* name) {
  const char* const value = std::getenv(name);
  if (!value) throw std::runtime_error(std::string(name) + " is not set: run this by `meson test`");
  return value;
}

}  // namespace ramie::testing
