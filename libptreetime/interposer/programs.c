/* The calls that start other programs, as every system has them: logged by the interposer that works alone. Those that
 * only one system has are in programs_linux.c and programs_bsd.c.
 *
 * An exec is logged before it happens, because nothing of us is left afterwards: it may still fail. A posix_spawn is
 * logged after it, with its child's pid and the time before; so is a fork, as the creation that it is. vfork can't be
 * stood in front of, its child's exec can.
 */
#include <stdarg.h>
#include <stddef.h>

#include "listing.h"
#include "log.h"
#include "programs.h"
#include "replacement.h"
#include "system.h"

typedef int pid_t; /* of every Linux C library, and of macOS */

enum {
  ARGS_ON_STACK = 256, /* an execl with more gets memory from the system */
  ENOMEM = 12,
};

PTREETIME_EXPORTED int execve(const char *path, char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int execv(const char *path, char *const argv[]);
PTREETIME_EXPORTED int execvp(const char *file, char *const argv[]);
PTREETIME_EXPORTED int execl(const char *path, const char *arg, ...);
PTREETIME_EXPORTED int execlp(const char *file, const char *arg, ...);
PTREETIME_EXPORTED int execle(const char *path, const char *arg, ...);
PTREETIME_EXPORTED int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes,
                                   char *const argv[], char *const environment[]);
PTREETIME_EXPORTED int posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes,
                                    char *const argv[], char *const environment[]);
PTREETIME_EXPORTED pid_t fork(void);
#ifdef __linux__
PTREETIME_EXPORTED int execvpe(const char *file, char *const argv[], char *const environment[]);

extern char **environ __attribute__((weak));
#endif

void ptreetime_program_log(enum ptreetime_event_tag tag, const struct ptreetime_moment *moment, const char *path,
                           const char *const *args, pid_t child) {
  struct ptreetime_event event = {.tag = tag, .moment = *moment, .path = path, .args = args, .child_pid = child};
  ptreetime_log_append(&event);
}

void ptreetime_program_log_exec(const char *path, char *const *argv) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  ptreetime_program_log(PTREETIME_EVENT_USER_EXEC, &moment, path, (const char *const *)argv, 0);
}

static __attribute__((noinline)) int exec_listing(ptreetime_exec_function *next, const char *path, char *const argv[],
                                                  char *const environment[], size_t words) {
  char *room[words];
  return next(path, argv, ptreetime_listing_environment(environment, room));
}

int ptreetime_program_exec(ptreetime_exec_function *next, const char *path, char *const argv[],
                           char *const environment[]) {
  size_t words = ptreetime_listing_words(argv, environment);
  return words == 0 ? next(path, argv, environment) : exec_listing(next, path, argv, environment, words);
}

int PTREETIME_REPLACEMENT(execve)(const char *path, char *const argv[], char *const environment[]) {
  ptreetime_program_log_exec(path, argv);
  return ptreetime_program_exec(PTREETIME_NEXT(execve), path, argv, environment);
}

int PTREETIME_REPLACEMENT(execv)(const char *path, char *const argv[]) {
  ptreetime_program_log_exec(path, argv);
#ifdef __linux__
  if (&environ != NULL && ptreetime_listing_words(argv, environ) != 0)
    return ptreetime_program_exec(PTREETIME_NEXT(execve), path, argv, environ);
#endif
  return PTREETIME_NEXT(execv)(path, argv);
}

int PTREETIME_REPLACEMENT(execvp)(const char *file, char *const argv[]) {
  ptreetime_program_log_exec(file, argv);
#ifdef __linux__
  if (&environ != NULL && ptreetime_listing_words(argv, environ) != 0)
    return ptreetime_program_exec(PTREETIME_NEXT(execvpe), file, argv, environ);
#endif
  return PTREETIME_NEXT(execvp)(file, argv);
}

/* execl and its like have their arguments one by one: collected, they are those of execv and its like. */
enum list { LIST_PATH, LIST_FILE, LIST_ENVIRONMENT };

static int exec_collected(enum list list, const char *path, char **argv, size_t count, va_list rest) {
  for (size_t i = 1; i <= count; i++) /* the NULL at the end included */
    argv[i] = va_arg(rest, char *);
  if (list == LIST_FILE)
    return PTREETIME_REPLACEMENT(execvp)(path, argv);
  if (list == LIST_PATH)
    return PTREETIME_REPLACEMENT(execv)(path, argv);
  return PTREETIME_REPLACEMENT(execve)(path, argv, va_arg(rest, char **));
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
    *ptreetime_system_errno() = ENOMEM; /* the program's own call fails here: the only errno that is ours to set */
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

int PTREETIME_REPLACEMENT(execl)(const char *path, const char *arg, ...) { return EXEC_LIST(LIST_PATH, path, arg); }

int PTREETIME_REPLACEMENT(execlp)(const char *file, const char *arg, ...) { return EXEC_LIST(LIST_FILE, file, arg); }

int PTREETIME_REPLACEMENT(execle)(const char *path, const char *arg, ...) {
  return EXEC_LIST(LIST_ENVIRONMENT, path, arg);
}

typedef int spawn_function(pid_t *pid, const char *path, const void *actions, const void *attributes,
                           char *const argv[], char *const environment[]);

static __attribute__((noinline)) int spawn_listing(spawn_function *next, pid_t *pid, const char *path,
                                                   const void *actions, const void *attributes, char *const argv[],
                                                   char *const environment[], size_t words) {
  char *room[words];
  return next(pid, path, actions, attributes, argv, ptreetime_listing_environment(environment, room));
}

static int spawn_as_asked(spawn_function *next, pid_t *pid, const char *path, const void *actions,
                          const void *attributes, char *const argv[], char *const environment[]) {
  size_t words = ptreetime_listing_words(argv, environment);
  if (words != 0)
    return spawn_listing(next, pid, path, actions, attributes, argv, environment, words);
  return next(pid, path, actions, attributes, argv, environment);
}

static int spawn(spawn_function *next, pid_t *pid, const char *path, const void *actions, const void *attributes,
                 char *const argv[], char *const environment[]) {
  struct ptreetime_moment moment;
  pid_t child = 0;
  if (!ptreetime_log_known())
    return spawn_as_asked(next, pid, path, actions, attributes, argv, environment);
  if (ptreetime_system_spawn_is_exec(attributes)) {
    ptreetime_program_log_exec(path, argv);
    return next(pid, path, actions, attributes, argv, environment);
  }
  ptreetime_system_moment(&moment);
  int error = spawn_as_asked(next, &child, path, actions, attributes, argv, environment);
  if (error != 0)
    return error;
  if (pid != NULL)
    *pid = child;
  ptreetime_program_log(PTREETIME_EVENT_USER_SPAWN, &moment, path, (const char *const *)argv, child);
  return 0;
}

int PTREETIME_REPLACEMENT(posix_spawn)(pid_t *pid, const char *path, const void *actions, const void *attributes,
                                       char *const argv[], char *const environment[]) {
  return spawn(PTREETIME_NEXT(posix_spawn), pid, path, actions, attributes, argv, environment);
}

int PTREETIME_REPLACEMENT(posix_spawnp)(pid_t *pid, const char *file, const void *actions, const void *attributes,
                                        char *const argv[], char *const environment[]) {
  return spawn(PTREETIME_NEXT(posix_spawnp), pid, file, actions, attributes, argv, environment);
}

pid_t PTREETIME_REPLACEMENT(fork)(void) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return PTREETIME_NEXT(fork)();
  ptreetime_system_moment(&moment);
  pid_t child = PTREETIME_NEXT(fork)();
  if (child > 0)
    ptreetime_program_log(PTREETIME_EVENT_CREATE, &moment, NULL, NULL, child);
  return child;
}

PTREETIME_REPLACES(execve);
PTREETIME_REPLACES(execv);
PTREETIME_REPLACES(execvp);
PTREETIME_REPLACES(execl);
PTREETIME_REPLACES(execlp);
PTREETIME_REPLACES(execle);
PTREETIME_REPLACES(posix_spawn);
PTREETIME_REPLACES(posix_spawnp);
PTREETIME_REPLACES(fork);
