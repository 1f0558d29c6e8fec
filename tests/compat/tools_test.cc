// Everyday programs under the preload, which their users never asked to have there: same output,
// same exit code, and the shim asleep in all those that have one thread.
//
// Each row is a script for sh, run in a fresh directory. A row whose tool is missing is skipped.
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>

#include "support/twin_pair.h"

namespace {

using ramie::testing::Hosting;
using ramie::testing::Program;
using ramie::testing::register_twin;
using ramie::testing::run_program;
using ramie::testing::ScratchDirectory;
using ramie::testing::Server;
using ramie::testing::setting;
using ramie::testing::Twin;

struct Tool {
  const char* name;
  const char* needs;  // Commands that must be there.
  Hosting hosting;
  const char* script;
};

// The environment keeps output from depending on the user's settings, and commits on the clock.
constexpr const char* kPreamble =
    "export PATH=/usr/bin:/bin LC_ALL=C HOME=$PWD TZ=UTC GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a "
    "GIT_AUTHOR_EMAIL=a@b "
    "GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' "
    "GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'\n"
    "git() { command git -c gc.auto=0 -c maintenance.auto=false -c init.defaultBranch=main \"$@\"; "
    "}\n";

constexpr Tool kTools[] = {
    {"ls", "ls", Hosting::kForbidden,
     "mkdir a b; echo text >a/file; ln -s a link; ls -lR --time-style=+; ls /no/such/place; echo "
     "$?"},
    {"bash", "bash", Hosting::kForbidden,
     "bash -c 'for i in 1 2 3; do echo $i & wait $!; done; echo {a..e} | tr a-z A-Z | rev;"
     " x=$(echo sub; exit 4); echo $x $?; cat <(echo from; echo process) | wc -l; kill -TERM $$'"
     "; echo $?"},
    {"bash_jobs", "bash", Hosting::kForbidden,
     "bash -c 'trap \"echo trapped\" USR1; (sleep 0.05; kill -USR1 $$) & wait; wait; sleep 0.01 &"
     " wait -n; coproc cat; echo hello >&${COPROC[1]}; read line <&${COPROC[0]}; echo $line;"
     " read -t 0.05 never <&${COPROC[0]}; echo $?'"},
    {"git", "git", Hosting::kForbidden,
     "git init -q . && echo one >file && git add file && git commit -qm first && echo two >>file &&"
     " git commit -qam second && git log --format='%h %s' && git diff HEAD~1 --stat &&"
     " git checkout -qb branch HEAD~1 && git status --short --branch && git show main:file"},
    {"git_with_threads", "git", Hosting::kEither,
     "git init -q . && for i in $(seq 120); do echo \"line $i of $((i * 7))\" >f$i; done &&"
     " git add . && git commit -qm all && git grep --threads=4 -c 'of 21' | sort &&"
     " git -c pack.threads=4 repack -adfq && git fsck --full 2>&1 && git rev-parse HEAD"},
    {"gcc", "gcc", Hosting::kForbidden,
     "printf '#include <stdio.h>\\nint main(void) { puts(\"built\"); return 5; }\\n' >main.c;"
     " gcc -O1 -pipe main.c -o main && ./main; echo $?; echo 'int x = ;' >bad.c; gcc -c bad.c;"
     " echo $?"},
    {"make", "make gcc", Hosting::kForbidden,
     "for i in 1 2 3 4; do echo \"int f$i(void) { return $i; }\" >f$i.c; done;"
     " printf 'all: f1.o f2.o f3.o f4.o\\n\\t@echo linked\\n%%.o: %%.c\\n\\t@gcc -c $< -o $@\\n'"
     " >Makefile; make -s -j2 && ls; printf 'x:\\n\\t@exit 3\\n' >Bad; make -s -f Bad; echo $?"},
    {"tar_and_gzip", "tar gzip", Hosting::kForbidden,
     "mkdir d; seq 20000 >d/numbers; seq 5 | while read i; do echo $i >d/$i; done;"
     " tar c --mtime=@0 --sort=name --owner=0 --group=0 d | gzip -9n | cksum;"
     " tar cf - d | gzip | (mkdir e; cd e; gunzip | tar xf -); diff -r d e/d && echo same;"
     " tar czf d.tgz d && tar tzf d.tgz | sort"},
    {"sort_and_xargs", "sort xargs", Hosting::kEither,
     "seq 60000 | sort -R --random-source=/dev/zero | sort -n --parallel=4 | cksum;"
     " seq 40 | xargs -P4 -n5 echo | sort; seq 10 | tee copy | paste -sd+; cmp copy copy && echo "
     "ok"},
    {"text_tools", "sed awk grep find", Hosting::kForbidden,
     "seq 100 | sed -n 's/7/x/p' | awk '{ n += length($0) } END { print n }';"
     " awk 'BEGIN { while ((\"seq 3\" | getline line) > 0) print \"got\", line; system(\"echo "
     "sub\") }';"
     " mkdir -p a/b; touch a/b/c; find . -type f | sort; yes | head -3; timeout 0.05 sleep 10; "
     "echo $?"},
    {"python", "python3", Hosting::kForbidden,
     "python3 -c 'import os, subprocess, sys, time; time.sleep(0.01);"
     " print(subprocess.check_output([\"echo\", \"hi\"])); print(sorted(os.listdir(\".\")));"
     " print(len(os.listdir(\"/proc/self/fd\")), len(os.listdir(\"/proc/self/task\"))); "
     "sys.exit(3)'"
     "; echo $?"},
    {"perl", "perl", Hosting::kForbidden,
     "perl -e 'print \"$_\\n\" for map { $_ * 2 } 1..3; my $out = `echo back`; print $out;"
     " select(undef, undef, undef, 0.01); my $pid = fork // die; if (!$pid) { exit 6 }"
     " waitpid($pid, 0); print $? >> 8, \"\\n\";'"},
};

// Natively, so that a broken shim cannot make a row vanish.
bool has_all(const char* commands) {
  const std::string script =
      std::string("for c in ") + commands + "; do command -v $c || exit 1; done";
  return run_program(Program{{"sh", "-c", script}, {}, {}}).exit_code == 0;
}

void register_tool(const Tool& tool) {
  if (!has_all(tool.needs)) {
    std::printf("skipped: %s, for want of %s\n", tool.name, tool.needs);
    return;
  }
  Twin twin;
  twin.name = std::string("tools.") + tool.name;
  twin.program.arguments = {"sh", "-c", std::string(kPreamble) + tool.script};
  twin.hosting = tool.hosting;
  twin.in_scratch_directory = true;
  register_twin("tools", tool.name, twin);
}

TEST(Tools, CurlFetchesFromALocalServer) {
  if (!has_all("curl python3")) GTEST_SKIP() << "no curl or no python3";
  const ScratchDirectory scratch;
  Server server(Program{{setting("TWIN_PYTHON"), "-c",
                         "import http.server, functools, sys\n"
                         "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
                         "    def log_message(self, *_): pass\n"
                         "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Quiet)\n"
                         "print('port', server.server_address[1], flush=True)\n"
                         "server.serve_forever()\n"},
                        {},
                        scratch.path()});
  const std::string base = "http://127.0.0.1:" + server.port();
  Twin twin;
  twin.name = "tools.curl";
  twin.hosting = Hosting::kForbidden;
  twin.program.arguments = {
      "sh", "-c",
      "curl -s " + base + "/ | sed s/" + server.port() + "/PORT/; curl -sf " + base +
          "/missing; echo $?; curl -s -o /dev/null -w '%{http_code} %{size_download}\\n' " + base +
          "/ " + base + "/; curl -s -m 5 http://127.0.0.1:1/; echo $?"};
  EXPECT_EQ(difference(twin), "");
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    for (const Tool& tool : kTools) register_tool(tool);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return RUN_ALL_TESTS();
}
