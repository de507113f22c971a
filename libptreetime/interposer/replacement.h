/* Standing in front of a function of the system's library: its declaration is written once, for every linker.
 *
 * ELF: our function has the name of the one it replaces, and comes before it in the search order (next.h finds that).
 * Mach-O: names belong to libraries, so our function has a name of its own, and a table of pairs in the section
 * __DATA,__interpose tells dyld which one it replaces; in this library the name still means the original.
 */
#ifndef PTREETIME_REPLACEMENT_H
#define PTREETIME_REPLACEMENT_H

#include "next.h"

#ifdef __APPLE__

#define PTREETIME_REPLACEMENT(name) ptreetime_replacement_of_##name

#define PTREETIME_REPLACES(name)                                                                                       \
  __attribute__((used, section("__DATA,__interpose"))) static const struct {                                           \
    const void *replacement, *replaced;                                                                                \
  } ptreetime_pair_of_##name = {(const void *)&PTREETIME_REPLACEMENT(name), (const void *)&name}

#else

#define PTREETIME_REPLACEMENT(name) name
#define PTREETIME_REPLACES(name) _Static_assert(sizeof(&name) > 0, "the declaration is all that ELF needs")

#endif
#endif
