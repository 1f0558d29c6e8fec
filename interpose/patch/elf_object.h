// One shared object as it lies in memory: its text, its functions, its dynamic symbols.
//
// The functions come from the exception tables (.eh_frame_hdr), which cover also those that no
// symbol names; libc's own wait loops are among them.  Nothing is read from the file on disk, so
// what is described is what runs.  No allocation; the object must stay loaded while this is used.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace ramie::patch {

// A half-open range of text.
struct TextRange {
  const std::uint8_t* begin = nullptr;
  const std::uint8_t* end = nullptr;

  [[nodiscard]] bool contains(const std::uint8_t* address) const {
    return address >= begin && address < end;
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end - begin); }
};

class ElfObject {
 public:
  // Finds the loaded object whose file name is `name` (no directories).  Takes the dynamic linker's
  // lock for the time of the search.  False if no such object is loaded or it has no exception
  // table that can be searched.
  [[nodiscard]] bool open(const char* name);

  [[nodiscard]] const char* name() const { return name_; }
  [[nodiscard]] std::uintptr_t base() const { return base_; }
  // The executable segment.  An object with several is described by the first.
  [[nodiscard]] TextRange text() const { return text_; }

  // Functions are numbered by address.  Ranges never overlap, but gaps are possible.
  [[nodiscard]] std::size_t function_count() const { return function_count_; }
  [[nodiscard]] TextRange function(std::size_t index) const;
  // The number of the last function that starts at or before `address`, function_count() if none.
  [[nodiscard]] std::size_t function_at_or_before(const std::uint8_t* address) const;
  // The function that holds `address`.  Assembler code may end its description early (clone does,
  // to say that the new thread has no caller): an address behind a function's end is answered with
  // all from that function's start to the next one's.  Empty if no function starts before it.
  [[nodiscard]] TextRange function_containing(const std::uint8_t* address) const;
  // True for the code that a signal handler returns to.  Its description starts one byte early.
  [[nodiscard]] bool is_signal_return(std::size_t index) const;

  // True if the bytes lie in the read-only segment of constants and exception tables.
  [[nodiscard]] bool is_constant(const std::uint8_t* address, std::size_t size) const;

  // The code of a defined dynamic symbol of any version; empty if there is none.
  [[nodiscard]] TextRange symbol(const char* name) const;

  // Calls visit(address) for every defined dynamic symbol in the text.
  template <class Visit>
  void for_each_symbol(Visit visit) const {
    for (std::size_t i = 0; i < symbol_count_; ++i) {
      if (is_code(symbols_[i])) visit(code(symbols_[i]));
    }
  }

 private:
  struct TableEntry;  // of .eh_frame_hdr: a function's start and its description
  struct GnuHash;

  static int match(dl_phdr_info* info, std::size_t size, void* search);
  void read_segments(const dl_phdr_info& info);
  [[nodiscard]] bool read_function_table();
  void read_dynamic();
  void count_symbols();
  [[nodiscard]] GnuHash gnu_hash() const;
  [[nodiscard]] bool is_code(const ElfW(Sym) & symbol) const;
  [[nodiscard]] const std::uint8_t* code(const ElfW(Sym) & symbol) const {
    return reinterpret_cast<const std::uint8_t*>(base_ + symbol.st_value);
  }

  std::uintptr_t base_ = 0;
  const char* name_ = "";
  TextRange text_;
  TextRange constants_;
  const std::uint8_t* frame_header_ = nullptr;
  const TableEntry* functions_ = nullptr;
  std::size_t function_count_ = 0;
  const ElfW(Dyn) * dynamic_ = nullptr;
  const ElfW(Sym) * symbols_ = nullptr;
  std::size_t symbol_count_ = 0;
  const char* strings_ = nullptr;
  const std::uint32_t* hash_ = nullptr;
};

}  // namespace ramie::patch
