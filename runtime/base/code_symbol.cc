#include "base/code_symbol.h"

#include <elf.h>

#include <algorithm>

#include "base/memory_map.h"

namespace ramie::base {
namespace {

struct Tables {
  uintptr_t symbols = 0;
  uintptr_t strings = 0;
  uintptr_t strings_size = 0;
};

template <class T>
bool read(uintptr_t address, T& out) {
  return read_memory(address, &out, sizeof out);
}

// Where the object's addresses begin to count (0 for a program at a fixed address), and its dynamic
// section.
bool find_dynamic(uintptr_t object, uintptr_t& base, uintptr_t& dynamic) {
  Elf64_Ehdr header;
  if (!read(object, header) || !std::equal(header.e_ident, header.e_ident + SELFMAG, ELFMAG)) {
    return false;
  }
  base = header.e_type == ET_DYN ? object : 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!read(object + header.e_phoff + i * sizeof segment, segment)) {
      return false;
    }
    if (segment.p_type == PT_DYNAMIC) {
      dynamic = base + segment.p_vaddr;
      return true;
    }
  }
  return false;
}

bool read_tables(uintptr_t dynamic, uintptr_t base, Tables& out) {
  constexpr size_t kMostEntries = 128;
  for (size_t i = 0; i < kMostEntries; ++i) {
    Elf64_Dyn entry;
    if (!read(dynamic + i * sizeof entry, entry) || entry.d_tag == DT_NULL) {
      break;
    }
    // The dynamic linker has made them addresses, but not in the vdso.
    uintptr_t address = entry.d_un.d_ptr < base ? base + entry.d_un.d_ptr : entry.d_un.d_ptr;
    if (entry.d_tag == DT_SYMTAB) {
      out.symbols = address;
    } else if (entry.d_tag == DT_STRTAB) {
      out.strings = address;
    } else if (entry.d_tag == DT_STRSZ) {
      out.strings_size = entry.d_un.d_val;
    }
  }
  return out.symbols != 0 && out.strings > out.symbols;
}

}  // namespace

CodeSymbol find_code_symbol(uintptr_t object, uintptr_t address) {
  CodeSymbol found;
  uintptr_t base = 0;
  uintptr_t dynamic = 0;
  Tables tables;
  if (!find_dynamic(object, base, dynamic) || !read_tables(dynamic, base, tables)) {
    return found;
  }
  // No tag tells how many symbols there are.  The strings follow them, maybe with other tables
  // between, whose bytes hardly pass for a function around this address.
  constexpr size_t kBatch = 64;
  Elf64_Sym batch[kBatch];
  size_t count = (tables.strings - tables.symbols) / sizeof batch[0];
  for (size_t i = 0; i < count; i += kBatch) {
    size_t n = std::min(kBatch, count - i);
    if (!read_memory(tables.symbols + i * sizeof batch[0], batch, n * sizeof batch[0])) {
      break;
    }
    for (size_t k = 0; k < n; ++k) {
      const Elf64_Sym& symbol = batch[k];
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
          symbol.st_name < tables.strings_size &&
          address - base - symbol.st_value < symbol.st_size) {
        found.offset = address - base - symbol.st_value;
        for (size_t c = 0; c < sizeof found.name - 1; ++c) {
          if (!read(tables.strings + symbol.st_name + c, found.name[c]) || found.name[c] == '\0') {
            break;
          }
        }
        return found;
      }
    }
  }
  return found;
}

}  // namespace ramie::base
