// Starting a process, and watching it from outside. For tests; it knows nothing of Ramie.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

namespace ramie::testing {

struct Program {
  std::vector<std::string> arguments;    // The first is looked up in PATH.
  std::vector<std::string> environment;  // NAME=value, beside what this process has.
  std::string directory;                 // Where it runs; empty: here.
  std::chrono::milliseconds limit{90'000};
};

// The most that was seen of a process. Sampled, so a short peak may be missed.
struct Peak {
  int threads = 0;  // Kernel threads.
  long kilobytes = 0;

  // Looks at the process once more. Nothing happens if it has gone.
  void sample(pid_t pid);
};

// A pipe whose ends are not inherited and close with it.
struct Pipe {
  Pipe();
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which);

  std::array<int, 2> ends{-1, -1};
};

// Starts it with these descriptors as standard output and error, and /dev/null as input. It leads a
// process group of its own, so that kill(-pid) ends it with all that it started. A program that
// does not exist ends with exit code 127, as in a shell. Throws std::system_error.
[[nodiscard]] pid_t start_program(const Program& program, int output, int errors);

// Waits for it; the status is as waitpid(2) gives it.
int wait_for_process(pid_t pid);

// A server: it runs until this object goes, and says in its first line where it listens.
class Server {
 public:
  // Waits for the first line, at most for the limit of the program. Throws if there is none.
  explicit Server(const Program& program);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] const std::string& first_line() const { return first_line_; }
  // The number at the end of the first line, which is its port for the servers that we use.
  [[nodiscard]] std::string port() const;
  [[nodiscard]] bool is_running() const;
  [[nodiscard]] const Peak& peak() const { return peak_; }
  void sample() { peak_.sample(pid_); }

 private:
  Pipe output_;
  pid_t pid_ = -1;
  std::string first_line_;
  Peak peak_;
};

// A directory of its own below TMPDIR, removed with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The whole file, or nothing when there is none.
[[nodiscard]] std::string read_file(const std::string& path);

// An environment variable that meson.build sets for the tests. Throws when it is missing.
[[nodiscard]] std::string setting(const char* name);

}  // namespace ramie::testing
