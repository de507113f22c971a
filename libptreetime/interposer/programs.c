/* The calls that start other programs: logged by the interposer that works alone.
 *
 * An exec is logged before it happens, because nothing of us is left afterwards: it may still fail. A posix_spawn is
 * logged after it, with its child's pid and the time before; so is a fork, as the creation that it is. vfork can't be
 * stood in front of, its child's exec can.
 */
#include <stdarg.h>
#include <stddef.h>

#include "log.h"
#include "next.h"
#include "system.h"

typedef int pid_t; /* of every Linux C library */

enum {
  AT_EMPTY_PATH = 0x1000,
  PATH_CAPACITY = 1024,
  ARGS_ON_STACK = 256, /* an execl with more gets memory from the system */
  ENOMEM = 12,
};

PTREETIME_EXPORTED int execve(const char *path, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int execv(const char *path, char *const argv[]);
PTREETIME_EXPORTED int execvp(const char *file, char *const argv[]);
PTREETIME_EXPORTED int execvpe(const char *file, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int execl(const char *path, const char *arg, ...);
PTREETIME_EXPORTED int execlp(const char *file, const char *arg, ...);
PTREETIME_EXPORTED int execle(const char *path, const char *arg, ...);
PTREETIME_EXPORTED int fexecve(int descriptor, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int execveat(int directory, const char *path, char *const argv[], char *const environment[],
                                int flags);
PTREETIME_EXPORTED int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes,
                                   char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes,
                                    char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int system(const char *command);
PTREETIME_EXPORTED void *popen(const char *command, const char *mode);
PTREETIME_EXPORTED pid_t fork(void);

static void log_program(enum ptreetime_event_tag tag, const struct ptreetime_moment *moment, const char *path,
                        const char *const *args, pid_t child) {
  struct ptreetime_event event = {.tag = tag, .moment = *moment, .path = path, .args = args, .child_pid = child};
  ptreetime_log_append(&event);
}

static void log_exec(const char *path, char *const *argv) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  log_program(PTREETIME_EVENT_USER_EXEC, &moment, path, (const char *const *)argv, 0);
}

int execve(const char *path, char *const argv[], char *const environment[]) {
  log_exec(path, argv);
  return PTREETIME_NEXT(execve)(path, argv, environment);
}

int execv(const char *path, char *const argv[]) {
  log_exec(path, argv);
  return PTREETIME_NEXT(execv)(path, argv);
}

int execvp(const char *file, char *const argv[]) {
  log_exec(file, argv);
  return PTREETIME_NEXT(execvp)(file, argv);
}

int execvpe(const char *file, char *const argv[], char *const environment[]) {
  log_exec(file, argv);
  return PTREETIME_NEXT(execvpe)(file, argv, environment);
}

int fexecve(int descriptor, char *const argv[], char *const environment[]) {
  char path[PATH_CAPACITY];
  ptreetime_system_open_file(descriptor, path, sizeof path);
  log_exec(path, argv);
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
  log_exec(path_at(directory, path, flags, joined, sizeof joined), argv);
  return PTREETIME_NEXT(execveat)(directory, path, argv, environment, flags);
}

/* execl and its like have their arguments one by one: collected, they are those of execv and its like. */
enum list { LIST_PATH, LIST_FILE, LIST_ENVIRONMENT };

static int exec_collected(enum list list, const char *path, char **argv, size_t count, va_list rest) {
  for (size_t i = 1; i <= count; i++) /* the NULL at the end included */
    argv[i] = va_arg(rest, char *);
  if (list == LIST_FILE)
    return execvp(path, argv);
  if (list == LIST_PATH)
    return execv(path, argv);
  return execve(path, argv, va_arg(rest, char **));
}

static int exec_on_stack(enum list list, const char *path, const char *arg, size_t count, va_list rest) {
  char *argv[ARGS_ON_STACK];
  argv[0] = (char *)arg;
  return exec_collected(list, path, argv, count, rest);
}

/* count is the number of arguments before the NULL */
static int exec_list(enum list list, const char *path, const char *arg, size_t count, va_list rest) {
  if (count < ARGS_ON_STACK)
    return exec_on_stack(list, path, arg, count, rest);
  size_t size = (count + 1) * sizeof(char *);
  char **argv = ptreetime_system_map(size);
  if (argv == NULL) {
    extern int *__errno_location(void) __attribute__((weak));
    *__errno_location() = ENOMEM; /* the program's own call fails here: the only errno that is ours to set */
    return -1;
  }
  argv[0] = (char *)arg;
  int result = exec_collected(list, path, argv, count, rest);
  ptreetime_system_unmap(argv, size);
  return result;
}

static size_t count_args(const char *arg, va_list rest) {
  size_t count = 0;
  for (; arg != NULL; arg = va_arg(rest, const char *))
    count++;
  return count;
}

#define EXEC_LIST(list, path, arg)                                                                                     \
  ({                                                                                                                   \
    va_list rest;                                                                                                      \
    va_start(rest, arg);                                                                                               \
    size_t count = count_args(arg, rest);                                                                              \
    va_end(rest);                                                                                                      \
    va_start(rest, arg);                                                                                               \
    int result = exec_list(list, path, arg, count, rest);                                                              \
    va_end(rest);                                                                                                      \
    result;                                                                                                            \
  })

int execl(const char *path, const char *arg, ...) { return EXEC_LIST(LIST_PATH, path, arg); }

int execlp(const char *file, const char *arg, ...) { return EXEC_LIST(LIST_FILE, file, arg); }

int execle(const char *path, const char *arg, ...) { return EXEC_LIST(LIST_ENVIRONMENT, path, arg); }

typedef int spawn_function(pid_t *pid, const char *path, const void *actions, const void *attributes,
                           char *const argv[], char *const environment[]);

static int spawn(spawn_function *next, pid_t *pid, const char *path, const void *actions, const void *attributes,
                 char *const argv[], char *const environment[]) {
  struct ptreetime_moment moment;
  pid_t child = 0;
  if (!ptreetime_log_known())
    return next(pid, path, actions, attributes, argv, environment);
  ptreetime_system_moment(&moment);
  int error = next(&child, path, actions, attributes, argv, environment);
  if (error != 0)
    return error;
  if (pid != NULL)
    *pid = child;
  log_program(PTREETIME_EVENT_USER_SPAWN, &moment, path, (const char *const *)argv, child);
  return 0;
}

int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                char *const environment[]) {
  return spawn(PTREETIME_NEXT(posix_spawn), pid, path, actions, attributes, argv, environment);
}

int posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes, char *const argv[],
                 char *const environment[]) {
  return spawn(PTREETIME_NEXT(posix_spawnp), pid, file, actions, attributes, argv, environment);
}

/* system and popen tell nobody the pid of their shell; the shell's own startup does */
static void log_shell(const char *command) {
  struct ptreetime_moment moment;
  const char *const args[] = {"sh", "-c", command, NULL};
  if (command == NULL || !ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  log_program(PTREETIME_EVENT_USER_SPAWN, &moment, "/bin/sh", args, 0);
}

int system(const char *command) {
  log_shell(command);
  return PTREETIME_NEXT(system)(command);
}

void *popen(const char *command, const char *mode) {
  log_shell(command);
  return PTREETIME_NEXT(popen)(command, mode);
}

pid_t fork(void) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return PTREETIME_NEXT(fork)();
  ptreetime_system_moment(&moment);
  pid_t child = PTREETIME_NEXT(fork)();
  if (child > 0)
    log_program(PTREETIME_EVENT_CREATE, &moment, NULL, NULL, child);
  return child;
}
