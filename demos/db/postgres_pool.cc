// 200 queries of a tenth of a second each, through a pool of 50 connections to PostgreSQL.
//
//   postgres_pool [CONNINFO]    starts a PostgreSQL of its own, unless told which one to ask, e.g.
//                               "host=/run/postgresql dbname=test"
//
// libpq is a library that blocks: PQexec() sends the query and sleeps in poll() until the answer is
// there.  Linked with the shim it lets other fibers run there, so the queries take the time of
// four, not of 200, on one kernel thread.
#include <libpq-fe.h>
#include <ramie/cancel.h>
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/resource_pool.h>
#include <ramie/signal.h>
#include <ramie/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "demos/command_line.h"
#include "demos/db/temporary_postgres.h"

namespace {

constexpr int kQueries = 200;
constexpr int kConnections = 50;

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, Finish>;

// Throws what went wrong, in one line.  If that was a cancellation, it goes on as such.
[[noreturn]] void fail(const PGconn* connection) {
  ramie::this_fiber::interruption_point();
  std::string what = PQerrorMessage(connection);
  what.resize(std::min(what.find('\n'), what.size()));
  throw std::runtime_error(what);
}

Connection connect(const std::string& to) {
  Connection made(PQconnectdb(to.c_str()));
  if (PQstatus(made.get()) != CONNECTION_OK) fail(made.get());
  return made;
}

// The first column of the answer's first row.
std::string ask(PGconn* database, const char* query) {
  std::unique_ptr<PGresult, Finish> answer(PQexec(database, query));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) fail(database);
  return PQgetvalue(answer.get(), 0, 0);
}

void query_all(std::optional<std::string> address) {
  std::optional<demo::temporary_postgres> own;
  if (!address) {
    std::printf("starting a PostgreSQL\n");
    address = own.emplace(kConnections).address();
  }
  ramie::resource_pool<Connection> database(
      [&] { return connect(*address); }, {.max = kConnections},
      [](Connection& idle) { return PQstatus(idle.get()) == CONNECTION_OK; });
  std::printf("PostgreSQL %s\n", ask(database.acquire()->get(), "show server_version").c_str());

  const auto begin = std::chrono::steady_clock::now();
  {
    ramie::group queries({.name = "query", .stack_size = 128 * 1024});
    for (int i = 0; i < kQueries; ++i) {
      queries.spawn([&] {
        ramie::resource_pool<Connection>::lease one = database.acquire();
        ask(one->get(), "select pg_sleep(0.1)");
      });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%d times `select pg_sleep(0.1)`, %zu connections: %.2f s\n", kQueries,
              database.size(), took.count());
}

}  // namespace

int main(int argc, char** argv) try {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  auto work =
      ramie::spawn(query_all, argc > 1 ? std::optional<std::string>(argv[1]) : std::nullopt);
  if (ramie::wait_any(work, stop) == 1) {
    std::printf("%s: stopping\n", strsignal(stop.wait()));
    work.cancel();
    work.join();
    return 0;
  }
  work.get();
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}
