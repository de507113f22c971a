/* The calls that start programs and that only Linux has; and those whose shell only its C libraries start unseen. */
#include <stddef.h>

#include "log.h"
#include "programs.h"
#include "replacement.h"
#include "system.h"

enum { AT_EMPTY_PATH = 0x1000, PATH_CAPACITY = 1024 };

PTREETIME_EXPORTED int execvpe(const char *file, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int fexecve(int descriptor, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int execveat(int directory, const char *path, char *const argv[], char *const environment[],
                                int flags);
PTREETIME_EXPORTED int system(const char *command);
PTREETIME_EXPORTED void *popen(const char *command, const char *mode);

int execvpe(const char *file, char *const argv[], char *const environment[]) {
  ptreetime_program_log_exec(file, argv);
  return ptreetime_program_exec(PTREETIME_NEXT(execvpe), file, argv, environment);
}

int fexecve(int descriptor, char *const argv[], char *const environment[]) {
  char path[PATH_CAPACITY];
  ptreetime_system_open_file(descriptor, path, sizeof path);
  ptreetime_program_log_exec(path, argv);
  return PTREETIME_NEXT(fexecve)(descriptor, argv, environment);
}

/* The path that execveat will run; an unreadable directory leaves it relative. */
static const char *path_at(int directory, const char *path, int flags, char *joined, size_t capacity) {
  int empty = path == NULL || path[0] == '\0';
  if (directory < 0 || (empty ? !(flags & AT_EMPTY_PATH) : path[0] == '/'))
    return path;
  ptreetime_system_open_file(directory, joined, capacity);
  if (empty)
    return joined;
  size_t end = 0, i = 0;
  while (joined[end] != '\0')
    end++;
  joined[end++] = '/';
  for (; end < capacity && path[i] != '\0'; i++)
    joined[end++] = path[i];
  if (joined[0] == '/' && joined[1] != '\0' && end < capacity) {
    joined[end] = '\0';
    return joined;
  }
  return path;
}

int execveat(int directory, const char *path, char *const argv[], char *const environment[], int flags) {
  char joined[PATH_CAPACITY];
  ptreetime_program_log_exec(path_at(directory, path, flags, joined, sizeof joined), argv);
  return PTREETIME_NEXT(execveat)(directory, path, argv, environment, flags);
}

/* system and popen tell nobody the pid of their shell; the shell's own startup does */
static void log_shell(const char *command) {
  struct ptreetime_moment moment;
  const char *const args[] = {"sh", "-c", command, NULL};
  if (command == NULL || !ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  ptreetime_program_log(PTREETIME_EVENT_USER_SPAWN, &moment, "/bin/sh", args, 0);
}

int system(const char *command) {
  log_shell(command);
  return PTREETIME_NEXT(system)(command);
}

void *popen(const char *command, const char *mode) {
  log_shell(command);
  return PTREETIME_NEXT(popen)(command, mode);
}
