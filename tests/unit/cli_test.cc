// The `ramie` command as its users see it: exit statuses and messages.  RAMIE_CLI names the binary.
#include <gtest/gtest.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>

#include "base/config.h"
#include "cli/config.h"

namespace {

using std::string;

struct Outcome {
  int status = -1;
  string output;  // both standard output and standard error
};

// Runs `ramie ARGUMENTS` by sh.
Outcome ramie(const string& arguments) {
  Outcome outcome;
  string command = string("\"$RAMIE_CLI\" ") + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[1024];
  size_t size;
  while (pipe != nullptr && (size = fread(buffer, 1, sizeof buffer, pipe)) > 0) {
    outcome.output.append(buffer, size);
  }
  int status = pipe != nullptr ? pclose(pipe) : -1;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// A library that does no harm when it is preloaded: one that this program has loaded anyhow.
string harmless_library() {
  string found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        bool wanted = strstr(info->dlpi_name, "libm.so") != nullptr;
        *static_cast<string*>(out) = wanted ? info->dlpi_name : *static_cast<string*>(out);
        return wanted ? 1 : 0;
      },
      &found);
  return found;
}

class Command : public testing::Test {
 protected:
  void SetUp() override {
    if (getenv("RAMIE_CLI") == nullptr) {
      GTEST_SKIP() << "RAMIE_CLI does not name the command";
    }
    for (const char* name :
         {"RAMIE_FS", "RAMIE_CARRIERS", "RAMIE_LOG", "RAMIE_DEADLOCK", "LD_PRELOAD"}) {
      unsetenv(name);
    }
    setenv("RAMIE_PRELOAD_PATH", harmless_library().c_str(), 1);
  }
};

#define EXPECT_LINE(arguments, expected_status, part)                             \
  do {                                                                            \
    Outcome outcome = ramie(arguments);                                           \
    EXPECT_EQ(outcome.status, expected_status) << outcome.output;                 \
    EXPECT_TRUE(outcome.output.starts_with("ramie: ")) << outcome.output;         \
    EXPECT_NE(outcome.output.find(part), string::npos) << outcome.output;         \
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1); \
  } while (false)

TEST_F(Command, TellsItsVersionAndItsUse) {
  EXPECT_EQ(ramie("--version").status, 0);
  EXPECT_TRUE(ramie("--version").output.starts_with("ramie "));
  EXPECT_EQ(ramie("--help").status, 0);
  EXPECT_NE(ramie("run --help").output.find("--carriers"), string::npos);
}

TEST_F(Command, RunsTheProgramWithItsArgumentsAndStatus) {
  EXPECT_EQ(ramie("run echo a -- b").output, "a -- b\n");
  EXPECT_EQ(ramie("run -- echo --fs x").output, "--fs x\n");
  EXPECT_EQ(ramie("run --log off echo --log").output, "--log\n");
  EXPECT_EQ(ramie("run -- sh -c 'exit 7'").status, 7);
}

TEST_F(Command, SetsThePreloadBeforeOthersAndItsVariables) {
  string library = harmless_library();
  EXPECT_EQ(ramie("run -- sh -c 'echo $LD_PRELOAD'").output, library + "\n");
  setenv("LD_PRELOAD", library.c_str(), 1);
  EXPECT_EQ(ramie("run -- sh -c 'echo $LD_PRELOAD'").output, library + ":" + library + "\n");
  unsetenv("LD_PRELOAD");
  EXPECT_EQ(ramie("run --fs prctl --stack-size 128k --deadlock abort --log warn --carriers 1 -- "
                  "sh -c 'echo $RAMIE_FS $RAMIE_STACK_SIZE $RAMIE_DEADLOCK $RAMIE_LOG "
                  "$RAMIE_CARRIERS'")
                .output,
            "prctl 128k abort warn 1\n");
  EXPECT_EQ(ramie("run --audit -- sh -c 'echo $RAMIE_AUDIT'").output, "on\n");
  EXPECT_EQ(
      ramie("run --audit-over 5 --blocked report sh -c 'echo $RAMIE_AUDIT $RAMIE_BLOCKED'").output,
      "5 report\n");
  EXPECT_EQ(
      ramie("run --except poll,lock --native ls,cc -- sh -c 'echo $RAMIE_PATCH $RAMIE_NATIVE'")
          .output,
      "-poll,-lock ls,cc\n");
  EXPECT_EQ(ramie("run --log-file a/b.log sh -c 'echo ${RAMIE_LOG_FILE#$PWD}'").output,
            "/a/b.log\n");
  EXPECT_EQ(ramie("run --only sleep sh -c 'echo $RAMIE_PATCH'").output, "sleep\n");
}

TEST_F(Command, RefusesWhatItDoesNotUnderstandWith2) {
  EXPECT_LINE("run --carriers 0 -- true", 2, "RAMIE_CARRIERS=0");
  EXPECT_LINE("run --fs quick -- true", 2, "use auto, fsgsbase, trap or prctl");
  EXPECT_LINE("run --except thread -- true", 2, "threads, their signals and locks are Ramie's");
  EXPECT_LINE("run --only sleep,-io -- true", 2, "RAMIE_PATCH=sleep,-io");
  EXPECT_LINE("run --bogus -- true", 2, "--bogus");
  EXPECT_LINE("run --bogus true", 2, "--bogus");
  EXPECT_LINE("run --", 2, "nothing to run");
  EXPECT_LINE("run", 2, "nothing to run");
  EXPECT_LINE("", 2, "--help");
  EXPECT_LINE("juggle", 2, "--help");
  setenv("RAMIE_FS", "quick", 1);
  EXPECT_LINE("run -- true", 2, "RAMIE_FS=quick");
}

TEST_F(Command, SaysWhyAProgramCannotRun) {
  EXPECT_LINE("run -- no-such-program", 127, "no-such-program");
  EXPECT_LINE("run -- ./no-such-program", 127, "No such file");
  EXPECT_LINE("run -- /etc/passwd", 126, "not executable");
  EXPECT_LINE("run -- /", 126, "directory");
}

TEST_F(Command, SaysWhereItSeeksTheLibrary) {
  setenv("RAMIE_PRELOAD_PATH", "/no/such/library.so", 1);
  EXPECT_LINE("run -- true", 125, "/no/such/library.so");
}

// The line of one variable, with single spaces.
string config_line(const string& output, const string& name) {
  size_t start = output.find(name + " ");
  if (start == string::npos) {
    return "";
  }
  string line = output.substr(start, output.find('\n', start) - start);
  line.erase(
      std::unique(line.begin(), line.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
      line.end());
  return line;
}

TEST_F(Command, ConfigTellsValuesAndTheirSources) {
  setenv("RAMIE_DEADLOCK", "report", 1);
  setenv("RAMIE_LOG", "info", 1);
  setenv("RAMIE_COLOUR", "green", 1);
  Outcome outcome = ramie("config --carriers 3 --log warn");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(config_line(outcome.output, "RAMIE_CARRIERS"), "RAMIE_CARRIERS 3 option");
  EXPECT_EQ(config_line(outcome.output, "RAMIE_LOG"), "RAMIE_LOG warn option");
  EXPECT_EQ(config_line(outcome.output, "RAMIE_DEADLOCK"), "RAMIE_DEADLOCK report environment");
  EXPECT_EQ(config_line(outcome.output, "RAMIE_SLICE"), "RAMIE_SLICE 10 default");
  EXPECT_EQ(config_line(outcome.output, "RAMIE_STATS"), "RAMIE_STATS - default");
  EXPECT_EQ(config_line(outcome.output, "RAMIE_COLOUR"), "RAMIE_COLOUR green environment, ignored");
  unsetenv("RAMIE_DEADLOCK");
  unsetenv("RAMIE_COLOUR");
}

TEST_F(Command, ConfigRefusesWhatIsNotUnderstood) {
  Outcome refused = ramie("config --fs quick");
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(config_line(refused.output, "RAMIE_FS"), "RAMIE_FS quick option");
  EXPECT_NE(refused.output.find("use auto, fsgsbase, trap or prctl"), string::npos);
  EXPECT_LINE("config --bogus", 2, "--bogus");
}

// What `ramie config` calls a default is what the runtime does without the variable.
TEST(Settings, DefaultsAreTheRuntimes) {
  ramie::base::Config untouched;
  for (const ramie::cli::Setting& setting : ramie::cli::settings()) {
    if (setting.fallback[0] == '\0') {
      continue;
    }
    string variable = string(setting.name) + "=" + setting.fallback;
    const char* environment[] = {variable.c_str(), nullptr};
    ramie::base::Config parsed;
    char error[512] = "";
    EXPECT_TRUE(ramie::base::parse_config(environment, parsed, error, sizeof error)) << error;
    auto all = [](const ramie::base::Config& config) {
      return std::tuple(config.carriers, config.slice, config.fs, config.stack_size, config.guards,
                        config.poller, config.deadlock, config.log, config.blocked, config.audit,
                        config.families_off, config.native, config.hosting, config.stats);
    };
    EXPECT_EQ(all(parsed), all(untouched)) << variable;
  }
}

TEST_F(Command, CheckFailsWithoutTheShim) {
  Outcome outcome = ramie("check");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("self-test    failed: the preload has not been loaded"),
            string::npos)
      << outcome.output;
}

}  // namespace
