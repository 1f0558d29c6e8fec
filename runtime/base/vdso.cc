#include "base/vdso.h"

#include <elf.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ramie::base {
namespace {

// An ELF image in memory, at the address that it was linked for plus `bias`.
struct Image {
  uintptr_t bias = 0;
  const Elf64_Sym* symbols = nullptr;
  const char* names = nullptr;
  const uint32_t* hash = nullptr;      // DT_HASH: buckets, symbols, ...
  const uint32_t* gnu_hash = nullptr;  // DT_GNU_HASH: buckets, first symbol, words, shift, ...

  template <class T>
  void take(T*& out, const Elf64_Dyn& entry) const {
    out = reinterpret_cast<T*>(bias + entry.d_un.d_ptr);
  }
};

Image read_image(uintptr_t start) {
  Image image;
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(start);
  const auto* part = reinterpret_cast<const Elf64_Phdr*>(start + header->e_phoff);
  const Elf64_Dyn* dynamic = nullptr;
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    if (part[i].p_type == PT_LOAD && part[i].p_offset == 0) {
      image.bias = start - part[i].p_vaddr;
    } else if (part[i].p_type == PT_DYNAMIC) {
      dynamic = reinterpret_cast<const Elf64_Dyn*>(start + part[i].p_offset);
    }
  }
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; ++dynamic) {
    if (dynamic->d_tag == DT_SYMTAB) {
      image.take(image.symbols, *dynamic);
    } else if (dynamic->d_tag == DT_STRTAB) {
      image.take(image.names, *dynamic);
    } else if (dynamic->d_tag == DT_HASH) {
      image.take(image.hash, *dynamic);
    } else if (dynamic->d_tag == DT_GNU_HASH) {
      image.take(image.gnu_hash, *dynamic);
    }
  }
  return image;
}

// How many symbols there are, which only the hash tables tell.
uint32_t count_symbols(const Image& image) {
  if (image.hash != nullptr) {
    return image.hash[1];
  }
  if (image.gnu_hash == nullptr) {
    return 0;
  }
  uint32_t buckets = image.gnu_hash[0];
  uint32_t first = image.gnu_hash[1];
  const uint32_t* bucket = image.gnu_hash + 4 + size_t{2} * image.gnu_hash[2];
  const uint32_t* chain = bucket + buckets;
  uint32_t last = *std::max_element(bucket, bucket + buckets);
  if (last < first) {
    return first;
  }
  while ((chain[last - first] & 1) == 0) {
    ++last;
  }
  return last + 1;
}

}  // namespace

void* find_in_vdso(const char* name) {
  uintptr_t start = getauxval(AT_SYSINFO_EHDR);
  if (start == 0) {
    return nullptr;
  }
  Image image = read_image(start);
  if (image.symbols == nullptr || image.names == nullptr) {
    return nullptr;
  }
  uint32_t count = count_symbols(image);
  for (uint32_t i = 0; i < count; ++i) {
    const Elf64_Sym& symbol = image.symbols[i];
    if (symbol.st_shndx != SHN_UNDEF && strcmp(image.names + symbol.st_name, name) == 0) {
      return reinterpret_cast<void*>(image.bias + symbol.st_value);
    }
  }
  return nullptr;
}

}  // namespace ramie::base
