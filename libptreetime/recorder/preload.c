#define _GNU_SOURCE
#include "preload.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LIBRARY "/libptreetime_mailbox.so"
#define VARIABLE "LD_PRELOAD="
#define LISTING "LD_TRACE_LOADED_OBJECTS="
#define PAST_THE_SANITIZER "/preload/libasan.so/" /* pytest_ptreetime/tracers/preload.py has the entry's forms */
#define PATH_ROOM 4608

static bool begins_with(const char *text, const char *beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* The value of a variable, or NULL. */
static char *find_variable(const struct ptreetime_stack_rest *rest, const char *beginning) {
  char *end = rest->environment + rest->environment_size;
  for (char *entry = rest->environment; entry < end; entry += strlen(entry) + 1) {
    if (begins_with(entry, beginning))
      return entry + strlen(beginning);
  }
  return NULL;
}

/* The entry of ours among those that white space and colons separate; its length. */
static char *find_entry(char *value, size_t *length) {
  for (char *entry = value; *entry != '\0'; entry += *length, entry += *entry != '\0') {
    *length = strcspn(entry, ": \t\n");
    if (memmem(entry, *length, LIBRARY, strlen(LIBRARY)) != NULL)
      return entry;
  }
  return NULL;
}

/* The linker run by hand: glibc's with --list, musl's by the name of ldd. */
static bool is_lister(const struct ptreetime_bytes *args) {
  const char *end = args->data + args->size;
  const char *slash = args->data == NULL ? NULL : strrchr(args->data, '/');
  const char *name = slash == NULL ? args->data : slash + 1;
  if (name == NULL || name[0] != 'l' || name[1] != 'd')
    return false;
  if (strcmp(name, "ldd") == 0)
    return true;
  for (const char *arg = name; arg < end; arg += strlen(arg) + 1) {
    if (strcmp(arg, "--list") == 0)
      return true;
  }
  return false;
}

/* Whether everybody may read the file at path and pass the directories before it; directories begins behind those that
 * belong to /proc. */
static bool is_for_everybody(char *path, size_t directories) {
  struct stat status;
  if (stat(path, &status) != 0 || !(status.st_mode & S_IROTH))
    return false;
  for (char *slash = strchr(path + directories + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    bool passable = stat(path, &status) == 0 && (status.st_mode & S_IXOTH);
    *slash = '/';
    if (!passable)
      return false;
  }
  return true;
}

/* Whether the library is where the program would look for it, and the program's user may read it. It is asked for
 * beside the directories by which the entry says how to choose it. */
static bool can_be_opened(pid_t pid, const char *entry, size_t length, uint64_t user) {
  char path[PATH_ROOM];
  const char *end = memmem(entry, length, PAST_THE_SANITIZER, strlen(PAST_THE_SANITIZER));
  if (end == NULL)
    end = memmem(entry, length, LIBRARY, strlen(LIBRARY));
  int root = snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
  int size = root + snprintf(path + root, sizeof path - (size_t)root, "%.*s" LIBRARY, (int)(end - entry), entry);
  if (size >= (int)sizeof path)
    return true;
  return user == geteuid() ? access(path, R_OK) == 0 : is_for_everybody(path, (size_t)root);
}

/* The linkers of glibc and musl skip empty names. */
static void take_out(pid_t pid, char *entry, size_t length, const struct ptreetime_stack_rest *rest) {
  memset(entry, ':', length);
  struct iovec ours = {entry, length};
  struct iovec theirs = {(void *)(uintptr_t)(rest->address + (uint64_t)(entry - rest->environment)), length};
  process_vm_writev(pid, &ours, 1, &theirs, 1, 0);
}

bool ptreetime_preload_is_loaded(pid_t pid, const struct ptreetime_exec *exec,
                                 const struct ptreetime_stack_rest *rest) {
  size_t length = 0;
  if (rest->address == 0 || memmem(rest->environment, rest->environment_size, LIBRARY, strlen(LIBRARY)) == NULL)
    return false;
  char *value = find_variable(rest, VARIABLE);
  char *entry = value == NULL ? NULL : find_entry(value, &length);
  if (entry == NULL)
    return false;
  if (find_variable(rest, LISTING) == NULL && !is_lister(&exec->args) && can_be_opened(pid, entry, length, rest->user))
    return true;
  take_out(pid, entry, length, rest);
  return false;
}
