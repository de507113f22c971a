#define _GNU_SOURCE
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder.h"

static uid_t user = PTREETIME_CALLER_IS_ROOT;
static gid_t group;
static bool privileged; /* we have, or had at our start, rights that the caller has not */

/* A decimal number and nothing else, below the one that means "none". */
static bool read_id(const char *text, uint32_t *id) {
  char *end;
  if (text == NULL || text[0] < '0' || text[0] > '9')
    return false;
  errno = 0;
  unsigned long number = strtoul(text, &end, 10);
  *id = (uint32_t)number;
  return *end == '\0' && errno == 0 && number < UINT32_MAX;
}

const char *ptreetime_caller_find(void) {
  const char *sudo_uid = getenv("SUDO_UID");
  group = getgid();
  if (getuid() != 0) {
    user = getuid();
    privileged = getauxval(AT_SECURE) != 0;
  } else if (sudo_uid != NULL) {
    if (!read_id(sudo_uid, &user) || !read_id(getenv("SUDO_GID"), &group))
      return "sudo does not say who called it: SUDO_UID and SUDO_GID are no numbers";
    privileged = user != 0;
    if (user == 0)
      user = PTREETIME_CALLER_IS_ROOT;
  }
  return NULL;
}

static const char *keep(uint64_t capabilities) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct had[2], kept[2] = {{0}};
  if (syscall(SYS_capget, &header, had) != 0)
    return ptreetime_format_reason("can't read its capabilities: %s", strerror(errno));
  uint64_t permitted = (uint64_t)had[1].permitted << 32 | had[0].permitted;
  if ((capabilities & PTREETIME_CAP_BPF) != 0 && (permitted & capabilities) != capabilities)
    capabilities |= PTREETIME_CAP_SYS_ADMIN; /* it was this one that allowed to load the program */
  for (int i = 0; i < 2; i++)
    kept[i].effective = kept[i].permitted = had[i].permitted & (uint32_t)(capabilities >> 32 * i);
  if (syscall(SYS_capset, &header, kept) != 0)
    return ptreetime_format_reason("can't give up capabilities: %s", strerror(errno));
  return NULL;
}

const char *ptreetime_caller_become(uint64_t capabilities) {
  if (!privileged)
    return NULL;
  /* setgroups needs a capability, which file capabilities need not have given: then the groups are their own. */
  bool other = geteuid() != user || getegid() != group || getuid() != user;
  if (other && (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
                setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0))
    return ptreetime_format_reason("can't become user %u, who called it: %s", (unsigned)user, strerror(errno));
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return keep(capabilities);
}

uint32_t ptreetime_caller_uid(void) { return user; }

bool ptreetime_caller_owns(pid_t pid) {
  char path[32];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d", (int)pid);
  return user == PTREETIME_CALLER_IS_ROOT || (stat(path, &status) == 0 && status.st_uid == user);
}

bool ptreetime_caller_may_pass(int descriptor) { return !privileged || fcntl(descriptor, F_GET_SEALS) >= 0; }
