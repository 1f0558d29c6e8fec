// The `ramie` command: its command line, and nothing else.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/check.h"
#include "cli/config.h"
#include "cli/run.h"
#include "cli/self_test.h"
#include "cli/verdict.h"

namespace {

using ramie::cli::RunOptions;
using Words = std::vector<std::string>;

int usage_error(const std::string& problem) {
  fprintf(stderr, "ramie: %s; see ramie --help\n", problem.c_str());
  return ramie::cli::kUsage;
}

// An option of `ramie run` that becomes a variable.  The values are judged in one place for both.
void add_variable(CLI::App& app, RunOptions& options, const char* option, const char* variable,
                  const char* value_name, const char* description) {
  app.add_option_function<std::string>(
         option,
         [&options, variable](const std::string& value) {
           options.variables.emplace_back(variable, value);
         },
         description)
      ->type_name(value_name);
}

void define_variables(CLI::App& app, RunOptions& options) {
  add_variable(app, options, "--carriers", "RAMIE_CARRIERS", "N",
               "kernel threads that run fibers: a number, or auto for one per processor");
  add_variable(app, options, "--slice", "RAMIE_SLICE", "MS",
               "how long a thread may hold up others that wait behind it");
  add_variable(app, options, "--max-blocked", "RAMIE_MAX_BLOCKED", "COUNT",
               "kernel threads that may replace stuck ones or wait in calls: 1 to 4096");
  add_variable(app, options, "--fs", "RAMIE_FS", "MODE",
               "how thread-locals are switched: auto, fsgsbase, trap, prctl");
  add_variable(app, options, "--entry", "RAMIE_ENTRY", "HOW",
               "how system calls are redirected: auto, patch, sud, symbols");
  add_variable(app, options, "--stack-size", "RAMIE_STACK_SIZE", "SIZE",
               "stack of a light fiber: 65536, 64k, 1m");
  add_variable(app, options, "--poller", "RAMIE_POLLER", "WHICH",
               "how streams of light fibers receive and send: auto, epoll, io_uring");
  add_variable(app, options, "--deadlock", "RAMIE_DEADLOCK", "ACTION",
               "when nothing can run any more: off, report, abort");
  add_variable(app, options, "--only", "RAMIE_PATCH", "FAMILIES",
               "which calls park: some of sleep,io,socket,poll,process,file,lock,ipc");
  app.add_option_function<std::string>(
         "--except",
         [&options](const std::string& value) {
           options.variables.emplace_back("RAMIE_PATCH", ramie::cli::excluded(value));
         },
         "which calls hold their kernel thread as they do natively; likewise")
      ->type_name("FAMILIES");
  add_variable(
      app, options, "--native", "RAMIE_NATIVE", "PROGRAMS",
      "threads that are left to the kernel: of programs by name, of libraries by lib:NAME, by "
      "their own name by thread:NAME");
  add_variable(app, options, "--blocked", "RAMIE_BLOCKED", "ACTION",
               "when a fiber lets no other of its thread run for a slice: off, report");
  app.add_flag_callback(
      "--audit", [&options] { options.variables.emplace_back("RAMIE_AUDIT", "on"); },
      "list at the end what has held up kernel threads for a slice or longer");
  add_variable(app, options, "--audit-over", "RAMIE_AUDIT", "MS",
               "likewise, for so long or longer");
  add_variable(app, options, "--log", "RAMIE_LOG", "LEVEL",
               "messages on standard error: off, warn, info, debug");
  app.add_option_function<std::string>(
         "--log-file",
         [&options](const std::string& value) {
           options.variables.emplace_back("RAMIE_LOG_FILE", std::filesystem::absolute(value));
         },
         "append messages and reports to this file instead")
      ->type_name("FILE");
}

void define_run(CLI::App& app, RunOptions& options) {
  app.footer("ramie run [options] [--] program [arguments]");
  app.prefix_command();
  define_variables(app, options);
}

// Takes a first "--" and what follows it off the command line.
Words cut_at_marker(Words& words) {
  auto marker = std::find(words.begin(), words.end(), "--");
  Words tail(marker, words.end());
  words.erase(marker, words.end());
  return tail;
}

// The program and its arguments: what CLI11 left over, and the tail with its marker.  Where the
// program is named before the marker, the marker is one of the program's arguments.
Words join_command(const Words& rest, const Words& tail) {
  Words command = rest;
  size_t skip = rest.empty() && !tail.empty() ? 1 : 0;
  command.insert(command.end(), tail.begin() + static_cast<std::ptrdiff_t>(skip), tail.end());
  return command;
}

int dispatch(int argc, char** argv) {
  CLI::App app("Green threads for programs that were written to block.", "ramie");
  app.set_version_flag("--version", std::string("ramie ") + RAMIE_VERSION);
  app.require_subcommand(1);
  RunOptions options;
  CLI::App* run = app.add_subcommand("run", "Runs a program, its threads as fibers");
  define_run(*run, options);
  CLI::App* config =
      app.add_subcommand("config", "Shows the RAMIE_* variables, and where each value comes from");
  define_variables(*config, options);
  CLI::App* check = app.add_subcommand("check", "Shows what this host offers, and tests it");
  bool self_test = false;
  check->add_flag("--self-test", self_test)->group("");  // what check runs under the preload

  Words words(argv + 1, argv + argc);
  Words tail = cut_at_marker(words);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& stop) {
    if (stop.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      return app.exit(stop);  // --help, --version
    }
    return usage_error(stop.what());
  }
  if (check->parsed()) {
    return self_test ? ramie::cli::self_test() : ramie::cli::check();
  }
  if (config->parsed()) {
    return ramie::cli::config(options);
  }
  Words rest = run->remaining();
  if (!rest.empty() && rest.front().starts_with("-")) {
    return usage_error("ramie run knows no option " + rest.front());
  }
  options.command = join_command(rest, tail);
  return ramie::cli::run(options);
}

}  // namespace

int main(int argc, char** argv) { return dispatch(argc, argv); }
