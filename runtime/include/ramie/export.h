// What marks a function as part of the library's interface; everything else stays hidden.
#pragma once

#define RAMIE_API __attribute__((visibility("default")))
