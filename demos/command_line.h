// What the demos have in common: a port from the command line, one line that says where they
// listen, a stop by Ctrl-C, and one line for what went wrong.
//
//     int main(int argc, char** argv) try {
//       ramie::stream_server server(demo::address(argc, argv, 7001), echo);
//       demo::serve(server);
//     } catch (const std::exception& error) {
//       return demo::failed(argv[0], error);
//     }
#pragma once

#include <ramie/endpoint.h>
#include <ramie/fiber.h>
#include <ramie/signal.h>
#include <signal.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace demo {

// 127.0.0.1 with the port that is the program's argument number `place`, or else the default.  Port
// 0 lets the kernel choose.
inline ramie::endpoint address(int argc, char** argv, int default_port, int place = 1) {
  return ramie::endpoint("127.0.0.1:" +
                         (argc > place ? argv[place] : std::to_string(default_port)));
}

// The argument number `place`, a whole number that is not negative, or else the default.
inline int number(int argc, char** argv, int place, int otherwise) {
  if (argc <= place) {
    return otherwise;
  }
  std::string_view text = argv[place];
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw std::invalid_argument("not a number: " + std::string(text));
  }
  return value;
}

// Says where the program can be reached now.  Whatever it prints from here on comes line by line,
// into a pipe as well.
inline void listening(const ramie::endpoint& at) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("listening on %s\n", at.text().c_str());
}

// Runs a stream_server or datagram_server until Ctrl-C or SIGTERM, then gives those that are being
// served a moment to finish.  Throws if it can't go on.
template <class Server>
void serve(Server& server, std::chrono::seconds grace = std::chrono::seconds(1)) {
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  ramie::fiber<void> stopper = ramie::spawn([&] {
    std::printf("%s: stopping\n", ::strsignal(stop.wait()));
    server.close();
  });
  listening(server.local());
  server.serve();
  stopper.cancel();  // of no effect but after an error
  server.stop(grace);
}

// The end of main() when an exception got there: says it in one line, and returns the exit status,
// 2 for bad arguments and 1 for everything else (a port that is taken, most of all).
inline int failed(const char* program, const std::exception& error) {
  const char* slash = std::strrchr(program, '/');
  std::fprintf(stderr, "%s: %s\n", slash == nullptr ? program : slash + 1, error.what());
  return dynamic_cast<const std::invalid_argument*>(&error) != nullptr ? 2 : 1;
}

}  // namespace demo
