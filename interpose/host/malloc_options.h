// What a program asks of malloc: man 3 mallopt.
#pragma once

namespace ramie::host {

// In mallopt()'s stead.  A threshold for mappings below glibc's default is taken as long as the
// program has one thread: where threads are fibers, each such mapping, with its page faults, holds
// up a carrier and whoever is ready on it.
int set_malloc_option(int parameter, int value);

// As hosting begins: a lower threshold that was taken before is raised to the default.
void raise_mmap_threshold();

}  // namespace ramie::host
