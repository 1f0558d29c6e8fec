// A door into a running program, for its owner alone: a console on a UNIX socket that shows the
// fibers and the figures, changes a setting, and cancels a fiber.
//
//   backdoor [PATH]        /tmp/ramie-backdoor.sock unless told
//
// Try `nc -U /tmp/ramie-backdoor.sock`, and `help`.  The program itself counts, by four workers.
// Two hooks note each fiber that begins and ends.
#include <ramie/hooks.h>
#include <ramie/server.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "demos/command_line.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Entry {
  std::string name;
  std::uint64_t parent;
  Clock::time_point since;
};
// All fibers run on one kernel thread and switch only where they wait, so these need no lock.
std::map<std::uint64_t, Entry> fibers;
std::uint64_t ended = 0;

struct Program {
  int pause_ms = 10;
  long counted = 0;
  std::vector<ramie::fiber<void>> workers;
};

void count(Program& program) {
  for (;; ++program.counted) {
    ramie::sleep_for(std::chrono::milliseconds(program.pause_ms));
  }
}

std::string answer(Program& program, std::istringstream line) {
  std::ostringstream out;
  std::string command;
  long number = 0;
  line >> command >> number;
  if (command == "fibers") {
    for (const auto& [id, one] : fibers) {
      std::chrono::duration<double> age = Clock::now() - one.since;
      out << id << " \"" << one.name << "\" of " << one.parent << ", " << age.count() << " s\n";
    }
  } else if (command == "stats") {
    out << fibers.size() << " fibers, " << ended << " have ended, counted " << program.counted
        << "\n";
  } else if (command == "pause" && number > 0 && number <= 60'000) {
    program.pause_ms = static_cast<int>(number);
    out << "pause is " << number << " ms\n";
  } else if (command == "cancel") {
    for (ramie::fiber<void>& worker : program.workers) {
      if (worker.id() == static_cast<std::uint64_t>(number) && !worker.ready()) {
        worker.cancel();
        worker.join();
        return "cancelled\n";
      }
    }
    out << "no such worker\n";
  } else {
    out << "commands: fibers, stats, pause MILLISECONDS, cancel ID, quit\n";
  }
  return out.str();
}

bool is_owner(const ramie::stream& peer) {
  ::ucred who{};
  ::socklen_t size = sizeof who;
  return ::getsockopt(peer.fd(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == ::geteuid() || who.uid == 0);
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::set_spawn_hook([](const ramie::fiber_info& one) noexcept {
    fibers.emplace(one.id, Entry{std::string(one.name), one.parent, Clock::now()});
  });
  ramie::set_exit_hook(
      [](const ramie::fiber_info& one) noexcept { ended += fibers.erase(one.id); });
  Program program;
  const std::string path = argc > 1 ? argv[1] : "/tmp/ramie-backdoor.sock";
  ::umask(0177);  // the file is its owner's from the start
  ramie::stream_server console(ramie::endpoint("unix:" + path), [&](ramie::stream peer) {
    try {
      std::string data;
      while (std::size_t size = is_owner(peer) ? peer.read_until(data, "\n") : 0) {
        const std::string line = data.substr(0, size - 1);
        data.erase(0, size);
        if (line == "quit") {
          break;
        }
        peer.write_all(answer(program, std::istringstream(line)));
      }
    } catch (const std::system_error& error) {
      std::printf("console: %s\n", error.what());
    }
  });
  for (int i = 0; i < 4; ++i) {
    program.workers.push_back(ramie::spawn({.name = "worker"}, [&] { count(program); }));
  }
  demo::serve(console);
  ramie::kill_all(program.workers);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
