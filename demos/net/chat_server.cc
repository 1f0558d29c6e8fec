// A chat for any number of people: what one says, all the others read.
//
//   chat_server [PORT]        7006 unless told
//
// Try `nc 127.0.0.1 7006` in several windows.  Two fibers for each person: one reads what is said,
// one writes what there is to read.  Between them is a queue, so that somebody who does not read
// delays nobody; when the queue is full, that person is out.
#include <ramie/queue.h>
#include <ramie/server.h>

#include <cstddef>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "demos/command_line.h"

namespace {

constexpr std::size_t kMostUnread = 1000;

struct Person {
  ramie::stream& peer;
  ramie::queue<std::string> unread{kMostUnread};
};

// By name.  All fibers run on one kernel thread and switch only where they wait, so it needs no
// lock.
std::map<std::string, Person*> people;

void say_to_all(const std::string& line, const Person* but = nullptr) {
  std::printf("%s", line.c_str());
  for (auto& [name, person] : people) {
    if (person != but && !person->unread.try_put(line)) {
      (void)::shutdown(person->peer.fd(), SHUT_RDWR);  // both of its fibers see the end
    }
  }
}

// The next line without its end; empty at the end of the stream.
std::string next_line(ramie::stream& peer, std::string& data) {
  std::size_t size = peer.read_until(data, "\n", 4096);
  std::string line = data.substr(0, size);
  data.erase(0, size);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
    line.pop_back();
  }
  return size > 0 && line.empty() ? " " : line;
}

std::string ask_name(ramie::stream& peer, std::string& data) {
  peer.write_all("your name?\n");
  std::string name = next_line(peer, data);
  while (people.contains(name) || name == " ") {
    peer.write_all("another name?\n");
    name = next_line(peer, data);
  }
  return name;
}

void converse(ramie::stream peer) {
  std::string data;
  const std::string name = ask_name(peer, data);
  if (name.empty()) {
    return;
  }
  Person self{peer};
  say_to_all("* " + name + " has come\n");
  people.emplace(name, &self);
  ramie::fiber<void> writer = ramie::spawn([&] {
    try {
      for (const std::string& line : self.unread) {
        peer.write_all(line);
      }
    } catch (const std::system_error&) {  // gone; the reader sees the end
    }
  });
  try {
    for (std::string line = next_line(peer, data); !line.empty() && line != "/quit";
         line = next_line(peer, data)) {
      if (line == "/who") {
        for (const auto& [other, person] : people) {
          (void)self.unread.try_put("* " + other + " is here\n");
        }
      } else {
        say_to_all(name + ": " + line + "\n", &self);
      }
    }
  } catch (const std::system_error&) {  // gone, or a line without an end
  } catch (const ramie::cancelled&) {   // the server ends
  }
  people.erase(name);
  self.unread.close();
  writer.cancel();
  ramie::this_fiber::cancellation_disabled quiet;
  writer.join();
  say_to_all("* " + name + " has gone\n");
}

}  // namespace

int main(int argc, char** argv) try {
  ramie::stream_server server(demo::address(argc, argv, 7006), [](ramie::stream peer) {
    try {
      converse(std::move(peer));
    } catch (const std::system_error& error) {
      std::printf("* somebody without a name was lost: %s\n", error.what());
    }
  });
  demo::serve(server);
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
