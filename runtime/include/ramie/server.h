// Servers: one fiber for each connection or datagram, a limit on how many, and a stop that lets
// those that are being served finish.
//
//     ramie::stream_server echo(ramie::endpoint("127.0.0.1:7777"), [](ramie::stream peer) {
//       char buffer[4096];
//       while (std::size_t size = peer.read_some(buffer)) peer.write_all({buffer, size});
//     });
//     echo.serve();
#pragma once

#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/socket.h>
#include <ramie/sync.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace ramie {

// Limits of a server; each has a default that serves.
struct server_options {
  std::size_t most_at_once = 10'000;  // connections, or datagrams, that are served
  int backlog = SOMAXCONN;            // connections that wait to be accepted
  std::size_t largest_datagram = 64UL * 1024;
  fiber_attributes handlers = {};  // of the fibers that serve
};

namespace detail {

// What both kinds of servers have: a fiber that takes in work, and those that do it.
class server_base {
 public:
  server_base(const server_base&) = delete;
  server_base& operator=(const server_base&) = delete;

  // Starts to accept, by a fiber of the calling kernel thread, which also serves, unless
  // use_carriers() was called.  Never switches.
  void start() {
    if (!taker_.joinable()) {
      taker_ = spawn({.name = "server", .stays = true}, [this] { take_in(); });
      // At its end in any case: one that close() has cancelled before it began never runs.
      (void)taker_.link([this] {
        close_socket();
        ended_.set();
      });
    }
  }

  // start(), and waits until somebody calls close() or stop().  Throws what ended the accepting, if
  // that was an error.  Switches fibers.
  void serve() {
    start();
    ended_.wait();
    if (std::exception_ptr failure = std::exchange(failure_, nullptr)) {
      std::rethrow_exception(failure);
    }
  }

  // No new connections; those there are go on.  May be called by a handler.  Never switches.
  void close() noexcept {
    is_closing_.store(true, std::memory_order_release);
    taker_.cancel();
  }

  // close(), waits until the handlers have ended, at most for `grace`, and then cancels the others
  // and waits for them.  True if none had to be.  Not from a handler.  Switches fibers.
  template <class Rep, class Period>
  bool stop(const std::chrono::duration<Rep, Period>& grace) {
    close();
    if (taker_.joinable()) {
      taker_.join();
    } else {
      close_socket();
    }
    if (handlers_.join_for(grace)) {
      return true;
    }
    handlers_.cancel();
    handlers_.join();
    return false;
  }

  // How many are being served.
  [[nodiscard]] std::size_t active() const noexcept { return handlers_.size(); }

 protected:
  explicit server_base(const server_options& options)
      : places_(static_cast<std::ptrdiff_t>(options.most_at_once)), handlers_(options.handlers) {}
  ~server_base() = default;

  // By the destructor of the server itself: its handlers refer to it.
  void end() noexcept {
    this_fiber::cancellation_disabled quiet;
    (void)stop(std::chrono::seconds(0));
  }

  // One of most_at_once, until it is dropped.
  class place {
   public:
    explicit place(counting_semaphore<>& from) : from_(&from) { from.acquire(); }
    place(place&& other) noexcept : from_(std::exchange(other.from_, nullptr)) {}
    place& operator=(place&&) = delete;
    ~place() {
      if (from_ != nullptr) {
        from_->release();
      }
    }

   private:
    counting_semaphore<>* from_;
  };

  // Takes one in and calls serve_one() for it.
  virtual void take_one(place taken) = 0;
  virtual void close_socket() noexcept = 0;

  // Runs f().  An exception from it is reported like any that nobody takes, and ends this
  // connection alone.  The place is a part of the closure, which goes before the group hears of the
  // end, and so before the server does.
  template <class F>
  void serve_one(place taken, F f) {
    handlers_.submit([held = std::move(taken), f = std::move(f)]() mutable { f(); }).detach();
  }

 private:
  static constexpr std::chrono::milliseconds kShortPause{10};
  static constexpr std::chrono::milliseconds kLongPause{1000};

  void take_in() {
    try {
      auto pause = kShortPause;
      while (!is_closing_.load(std::memory_order_acquire)) {
        try {
          take_one(place(places_));
          pause = kShortPause;
        } catch (const std::system_error& error) {
          if (!is_passing(error.code().value())) {
            throw;
          }
          if (lacks_resources(error.code().value())) {
            // Descriptors come back when connections end.
            sleep_for(pause);
            pause = std::min(pause * 2, kLongPause);
          }
        }
      }
    } catch (const cancelled&) {  // close()
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  static bool lacks_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EAGAIN;
  }
  // accept(2) hands out the errors of single connections; of these, and of a lack of resources, the
  // server does not die.
  static bool is_passing(int error) {
    switch (error) {
      case ECONNABORTED:
      case ECONNRESET:
      case ECONNREFUSED:
      case EPERM:
      case EPROTO:
      case ENETDOWN:
      case ENETUNREACH:
      case ENOPROTOOPT:
      case EHOSTDOWN:
      case EHOSTUNREACH:
      case ENONET:
      case ETIMEDOUT:
        return true;
      default:
        return lacks_resources(error);
    }
  }

  std::atomic<bool> is_closing_ = false;
  counting_semaphore<> places_;
  event ended_;
  std::exception_ptr failure_;
  fiber<void> taker_;
  group handlers_;
};

}  // namespace detail

// A server for TCP or UNIX stream sockets.  It listens from its construction on, and accepts after
// start() or serve().  At most_at_once connections it accepts no more until one ends; when the
// process is out of descriptors, it pauses and tries again.  Throws std::system_error if the
// address can't be had ("bind to 127.0.0.1:80: Permission denied").
class stream_server final : public detail::server_base {
 public:
  // `handler` gets each connection, in a fiber of its own.
  stream_server(const endpoint& at, std::function<void(stream)> handler,
                const server_options& options = {})
      : server_base(options),
        listener_(at, options.backlog),
        local_(listener_.local()),
        handler_(std::move(handler)) {}
  // stop() without grace.
  ~stream_server() { end(); }

  // Where it listens; with port 0, the one that the kernel chose.
  [[nodiscard]] const endpoint& local() const noexcept { return local_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return local_.port(); }

 private:
  void take_one(place taken) override {
    serve_one(std::move(taken),
              [this, peer = listener_.accept()]() mutable { handler_(std::move(peer)); });
  }
  void close_socket() noexcept override { listener_.close(); }

  listener listener_;
  endpoint local_;
  std::function<void(stream)> handler_;
};

// A server for UDP or UNIX datagrams.
class datagram_server final : public detail::server_base {
 public:
  // `handler` gets each datagram and its sender, in a fiber of its own; reply() answers.
  datagram_server(const endpoint& at,
                  std::function<void(datagram_server&, std::string, const endpoint&)> handler,
                  const server_options& options = {})
      : server_base(options),
        socket_(at),
        local_(socket_.local()),
        handler_(std::move(handler)),
        largest_(options.largest_datagram) {}
  ~datagram_server() { end(); }

  // Sends a datagram from the server's address.  Switches fibers if the socket's buffer is full.
  void reply(std::string_view data, const endpoint& to) { socket_.send_to(data, to); }

  // Where it listens; with port 0, the one that the kernel chose.
  [[nodiscard]] const endpoint& local() const noexcept { return local_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return local_.port(); }

 private:
  void take_one(place taken) override {
    std::string data(largest_, '\0');
    endpoint sender;
    data.resize(socket_.receive_from(data, sender));
    serve_one(std::move(taken), [this, data = std::move(data), sender]() mutable {
      handler_(*this, std::move(data), sender);
    });
  }
  // Handlers that are still at work may answer.
  void close_socket() noexcept override {}

  datagram_socket socket_;
  endpoint local_;
  std::function<void(datagram_server&, std::string, const endpoint&)> handler_;
  std::size_t largest_;
};

}  // namespace ramie
