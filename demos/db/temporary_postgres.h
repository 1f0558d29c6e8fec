// A PostgreSQL of one's own, in a temporary directory and reached by a UNIX socket in it, that goes
// when the object does.  The server refuses to be run by root, who therefore starts it as nobody.
#pragma once

#include <libpq-fe.h>
#include <pwd.h>
#include <ramie/cancel.h>
#include <ramie/process.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace demo {

class temporary_postgres {
 public:
  // Needs about two seconds, in which it can't be cancelled: what it starts must be known to be
  // ended.  As many connections can be made.  Throws std::runtime_error.
  explicit temporary_postgres(int connections) {
    ramie::this_fiber::cancellation_disabled quiet;
    const std::string data = directory_.path / "data";
    auto made = ramie::run(command({"initdb", "--pgdata=" + data, "--username=ramie",
                                    "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"}),
                           {}, options());
    if (!made.status.success()) {
      throw std::runtime_error("initdb failed: " + made.err);
    }
    server_.emplace(
        command({"postgres", "-D", data, "-k", directory_.path, "-c", "listen_addresses=", "-c",
                 "fsync=off", "-c", "max_connections=" + std::to_string(connections + 10)}),
        options());
    while (PQping(address().c_str()) != PQPING_OK) {
      if (server_->wait_for(std::chrono::milliseconds(20))) {
        throw std::runtime_error("postgres ended at its start");
      }
    }
  }
  // SIGINT is "fast shutdown": connections that are left are closed.
  ~temporary_postgres() {
    ramie::this_fiber::cancellation_disabled quiet;
    server_->kill(SIGINT);
    server_->wait();
  }

  // For PQconnectdb().
  [[nodiscard]] std::string address() const {
    return "host=" + directory_.path.string() + " user=ramie dbname=postgres";
  }

 private:
  struct temporary_directory {
    temporary_directory() {
      std::string pattern = std::filesystem::temp_directory_path() / "ramie-postgres-XXXXXX";
      if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), pattern);
      }
      path = pattern;
      const passwd* nobody = ::geteuid() == 0 ? ::getpwnam("nobody") : nullptr;
      if (nobody != nullptr && ::chown(path.c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
        throw std::system_error(errno, std::generic_category(), pattern);
      }
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
  };

  // Debian keeps the server's programs out of PATH, one folder for each version.
  static std::vector<std::string> command(std::vector<std::string> arguments) {
    std::error_code ignored;
    for (const auto& version :
         std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
      if (auto program = version.path() / "bin" / arguments[0]; std::filesystem::exists(program)) {
        arguments[0] = program;
        break;
      }
    }
    if (arguments[0][0] != '/') {
      throw std::runtime_error(
          "there is no PostgreSQL server here; apt install postgresql-15, or "
          "name a database that runs");
    }
    if (::geteuid() == 0) {
      std::vector<std::string> as_nobody = {"setpriv", "--reuid=nobody", "--regid=nogroup",
                                            "--clear-groups"};
      arguments.insert(arguments.begin(), as_nobody.begin(), as_nobody.end());
    }
    return arguments;
  }
  ramie::process_options options() const {
    return {.in = ramie::process_io::null,
            .out = ramie::process_io::null,
            .err = ramie::process_io::null,
            .environment = {},
            .directory = directory_.path};
  }

  temporary_directory directory_;
  std::optional<ramie::process> server_;
};

}  // namespace demo
