/* The exec that macOS and FreeBSD have, with a search path of its own. On macOS system and popen are not here: they
 * call posix_spawn, in another library than theirs, where dyld leads it to ours. */
#include "programs.h"
#include "replacement.h"

PTREETIME_EXPORTED int execvP(const char *file, const char *search_path, char *const argv[]);

int PTREETIME_REPLACEMENT(execvP)(const char *file, const char *search_path, char *const argv[]) {
  ptreetime_program_log_exec(file, argv);
  return PTREETIME_NEXT(execvP)(file, search_path, argv);
}

PTREETIME_REPLACES(execvP);
