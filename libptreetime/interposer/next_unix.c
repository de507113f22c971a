/* The next definition of a function, of the linker itself: on FreeBSD and illumos. */
#include <dlfcn.h>

#include "next.h"

void *ptreetime_next_find(const char *name) { return dlsym(RTLD_NEXT, name); }
