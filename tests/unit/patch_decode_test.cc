// The instruction decoder against objdump, over the whole text of this machine's libc, and by hand
// where it matters most.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "interpose/patch/decode.h"

namespace ramie::patch {
namespace {

Instruction decode_bytes(const std::vector<std::uint8_t>& bytes) {
  return decode(bytes.data(), bytes.data() + bytes.size());
}

TEST(Decode, KnowsTheInstructionsAroundASite) {
  EXPECT_EQ(decode_bytes({0xb8, 0xca, 0x00, 0x00, 0x00, 0x0f}).length, 5);
  EXPECT_EQ(decode_bytes({0xb8, 0xca, 0x00, 0x00, 0x00}).immediate, 202);
  EXPECT_TRUE(decode_bytes({0x0f, 0x05}).is_syscall);
  const Instruction compare = decode_bytes({0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff});
  EXPECT_EQ(compare.length, 6);
  EXPECT_TRUE(is_movable(compare));
}

TEST(Decode, AnswersNothingAtTheEndOfTheText) {
  EXPECT_EQ(decode_bytes({}).length, 0);
  EXPECT_EQ(decode_bytes({0x0f}).length, 0);
  EXPECT_EQ(decode_bytes({0xb8, 0xca, 0x00, 0x00}).length, 0);
  EXPECT_EQ(decode_bytes({0x66, 0x66, 0x48}).length, 0);
}

TEST(Decode, AnswersNothingWhereProcessorsDisagree) {
  EXPECT_EQ(decode_bytes({0x66, 0xe9, 0, 0, 0, 0}).length, 0);
  EXPECT_EQ(decode_bytes({0x66, 0x48, 0xe8, 0, 0, 0, 0}).length, 7) << "__tls_get_addr's call";
  EXPECT_EQ(decode_bytes({0x06}).length, 0) << "push %es is not valid in 64-bit mode";
}

TEST(Decode, FindsTheTargetsOfRelativeBranches) {
  const std::vector<std::uint8_t> loop = {0xeb, 0xfe};
  EXPECT_EQ(decode(loop.data(), loop.data() + 2).target, loop.data());
  const std::vector<std::uint8_t> jump = {0x0f, 0x84, 0x10, 0, 0, 0};
  const Instruction conditional = decode(jump.data(), jump.data() + 6);
  EXPECT_EQ(conditional.flow, Flow::kBranch);
  EXPECT_EQ(conditional.target, jump.data() + 6 + 16);
  EXPECT_EQ(decode_bytes({0xe3, 0x05}).flow, Flow::kBranch) << "jrcxz";
  EXPECT_EQ(decode_bytes({0xc7, 0xf8, 1, 0, 0, 0}).flow, Flow::kBranch) << "xbegin";
  EXPECT_EQ(decode_bytes({0xff, 0xe0}).flow, Flow::kJumpThrough);
}

TEST(Decode, TellsMovableFromImmovable) {
  EXPECT_TRUE(is_movable(decode_bytes({0x31, 0xc0})));                     // xor %eax,%eax
  EXPECT_TRUE(is_movable(decode_bytes({0x8b, 0x7c, 0x24, 0x08})));         // mov 8(%rsp),%edi
  EXPECT_TRUE(is_movable(decode_bytes({0x81, 0xe6, 0x80, 0, 0, 0})));      // and $128,%esi
  EXPECT_TRUE(is_movable(decode_bytes({0x41, 0x89, 0xc4})));               // mov %eax,%r12d
  EXPECT_FALSE(is_movable(decode_bytes({0x48, 0x8d, 0x35, 0, 0, 0, 0})));  // lea 0(%rip),%rsi
  EXPECT_FALSE(is_movable(decode_bytes({0x48, 0x89, 0xe0})));              // mov %rsp,%rax
  EXPECT_FALSE(is_movable(decode_bytes({0x48, 0x83, 0xec, 0x08})));        // sub $8,%rsp
  EXPECT_FALSE(is_movable(decode_bytes({0x53})));                          // push %rbx
  EXPECT_FALSE(is_movable(decode_bytes({0xc3})));                          // ret
  EXPECT_FALSE(is_movable(decode_bytes({0xf4})));                          // hlt
  EXPECT_FALSE(is_movable(decode_bytes({0xf3, 0x0f, 0x1e, 0xfa})));        // endbr64
  EXPECT_FALSE(is_movable(decode_bytes({0xff, 0x15, 0, 0, 0, 0})));        // call *0(%rip)
}

// One line of `objdump -d -w --no-show-raw-insn`.
struct Line {
  std::uintptr_t address;
  std::string text;
};

struct Loaded {
  std::string path;
  std::uintptr_t base = 0;
};

Loaded loaded_libc() {
  Loaded result;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        auto& loaded = *static_cast<Loaded*>(out);
        if (std::strstr(info->dlpi_name, "/libc.so.6") == nullptr) return 0;
        loaded = {info->dlpi_name, info->dlpi_addr};
        return 1;
      },
      &result);
  return result;
}

// Blank lines and headings part what is contiguous; they come out with address 0.
std::vector<Line> disassemble(const std::string& path) {
  const std::string command = "objdump -d -w --no-show-raw-insn " + path + " 2>/dev/null";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::vector<Line> lines;
  char buffer[512];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) {
    char* end = nullptr;
    const std::uintptr_t address = std::strtoul(buffer, &end, 16);
    if (end != buffer && end[0] == ':' && end[1] == '\t') {
      lines.push_back({address, end + 2});
    } else {
      lines.push_back({0, ""});
    }
  }
  return lines;
}

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// The address in "jne    27278 <name+0x8>", 0 if the operand is not one.
std::uintptr_t branch_operand(std::string text) {
  for (const char* prefix : {"bnd ", "notrack ", "rex.W ", "data16 "}) {
    while (starts_with(text, prefix)) text.erase(0, std::strlen(prefix));
  }
  if (text[0] != 'j' && !starts_with(text, "call") && !starts_with(text, "loop")) return 0;
  const std::size_t operand = text.find_first_not_of(' ', text.find(' '));
  if (operand == std::string::npos) return 0;
  char* end = nullptr;
  const std::uintptr_t address = std::strtoul(text.c_str() + operand, &end, 16);
  return *end == ' ' || *end == '\n' ? address : 0;
}

TEST(Decode, AgreesWithObjdumpOnAllOfLibc) {
  const Loaded libc = loaded_libc();
  ASSERT_NE(libc.base, 0u);
  const std::vector<Line> lines = disassemble(libc.path);
  if (lines.size() < 1000) GTEST_SKIP() << "no objdump on this machine";

  std::size_t compared = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i + 1 < lines.size() && wrong < 20; ++i) {
    const Line& line = lines[i];
    if (line.address == 0 || lines[i + 1].address == 0) continue;
    if (line.text.find("(bad)") != std::string::npos) continue;
    const auto* at = reinterpret_cast<const std::uint8_t*>(libc.base + line.address);
    // objdump shows a wait and the x87 instruction behind it as one.
    if (*at == 0x9b) continue;
    const std::size_t length = lines[i + 1].address - line.address;
    const Instruction found = decode(at, at + 32);
    const std::uintptr_t target = branch_operand(line.text);
    const bool uses_rip = line.text.find("(%rip)") != std::string::npos;
    ++compared;
    const bool same =
        found.length == length && found.rip_relative == uses_rip &&
        found.is_syscall == starts_with(line.text, "syscall") &&
        (target == 0 || reinterpret_cast<std::uintptr_t>(found.target) == libc.base + target);
    if (same) continue;
    ++wrong;
    ADD_FAILURE() << std::hex << line.address << ": length " << std::dec << int{found.length}
                  << " instead of " << length << ", in " << line.text;
  }
  EXPECT_GT(compared, 100'000u);
}

}  // namespace
}  // namespace ramie::patch
