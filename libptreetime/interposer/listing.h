/* A program that is started to list its libraries (ldd, LD_TRACE_LOADED_OBJECTS, ld.so --list) is started without ours,
 * which would be listed, and packaged, with the others: its LD_PRELOAD lacks us. */
#ifndef PTREETIME_LISTING_H
#define PTREETIME_LISTING_H

#include <stddef.h>

#ifdef __linux__

/* The number of pointers of memory that such an environment takes; 0 where the one that is there will do. */
size_t ptreetime_listing_words(char *const argv[], char *const environment[]);

/* The environment in that memory. */
char *const *ptreetime_listing_environment(char *const environment[], char **words);

#else

static inline size_t ptreetime_listing_words(char *const argv[], char *const environment[]) {
  (void)argv, (void)environment;
  return 0;
}

static inline char *const *ptreetime_listing_environment(char *const environment[], char **words) {
  (void)words;
  return environment;
}

#endif
#endif
