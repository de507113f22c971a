/* The next definition of a function: the one that the program would have called if we were not loaded. */
#ifndef PTREETIME_NEXT_H
#define PTREETIME_NEXT_H

#define PTREETIME_EXPORTED __attribute__((visibility("default")))

/* The address of the function name in the libraries after ours in the search order, or NULL. */
void *ptreetime_next_find(const char *name);

#ifdef __linux__
#include <stdint.h>

/* The address of the function name in one loaded object, which begins at base, or NULL. */
void *ptreetime_next_find_in(uintptr_t base, const uintptr_t *dynamic, const char *name);
#endif

/* As ptreetime_next_find, looked up once: found is a static variable of the caller. Two threads that come at the same
 * time find the same address. */
static inline void *ptreetime_next_cached(void **found, const char *name) {
  void *address = __atomic_load_n(found, __ATOMIC_RELAXED);
  if (address == 0) {
    address = ptreetime_next_find(name);
    __atomic_store_n(found, address, __ATOMIC_RELAXED);
  }
  return address;
}

/* A pointer to the next definition of a function that is declared, of its own type. */
#ifdef __APPLE__
#define PTREETIME_NEXT(name) (&name) /* dyld replaces nothing in the library that replaces */
#else
#define PTREETIME_NEXT(name)                                                                                           \
  ({                                                                                                                   \
    static void *found;                                                                                                \
    (__typeof__(&name))ptreetime_next_cached(&found, #name);                                                           \
  })
#endif

/* Are constructors called with argc, argv, envp? glibc does, musl does not. */
int ptreetime_next_constructors_have_arguments(void);

#endif
