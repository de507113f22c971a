/* The gate: stands where the command will, waits until it may run, and becomes it by exec.
 *
 *     ptreetime-gate [-i SIGNALS] [-R] [-G GIDS] [-g GID] [-u UID] SOCKET -- PROGRAM [ARGUMENT...]
 *
 *     -i  signals to ignore, as 13,17: those that Python has changed and the command is to have ignored
 *     -R  no randomised addresses in the command and all that descends from it (ADDR_NO_RANDOMIZE of personality(2))
 *     -G, -g, -u  supplementary groups (maybe none), group and user to become when the gate opens: before, this program
 *         might not be reachable for that user
 *
 * The command must not see that it was here: nothing is opened, no mask, no environment variable and no other signal's
 * disposition is changed, and the socket closes itself by the exec. The protocol is that of tracers/launch.py.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/personality.h>
#include <sys/prctl.h>
#endif

/* The whole of a message, or false: the other end is gone. */
static int receive(int socket, void *message, size_t size) {
  char *at = message;
  while (size > 0) {
    ssize_t count = read(socket, at, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return 0;
    at += count;
    size -= (size_t)count;
  }
  return 1;
}

/* Yama, where it restricts ptrace to descendants, lets a process name its tracer. Elsewhere this fails, harmlessly. */
static void allow_tracer(int32_t pid) {
#if defined(__linux__) && defined(PR_SET_PTRACER)
  prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
#else
  (void)pid;
#endif
}

/* The numbers in `text`, separated by commas: how many there are. */
static size_t numbers_in(const char *text, gid_t *numbers, size_t room) {
  size_t count = 0;
  while (*text != 0 && count < room) {
    char *end;
    numbers[count++] = (gid_t)strtoul(text, &end, 10);
    text = *end == ',' ? end + 1 : "";
  }
  return count;
}

/* Whether addresses are not randomised from the next exec on; errno otherwise. A container may forbid it. */
static int fix_addresses(void) {
#ifdef __linux__
  int persona = personality(0xffffffff);
  return persona != -1 && personality((unsigned long)persona | ADDR_NO_RANDOMIZE) != -1;
#else
  errno = ENOSYS;
  return 0;
#endif
}

/* The last word to the tracer: the errno of the exec, or less than 0: minus that of fix_addresses. */
static int fail(int gate, int32_t number) {
  return write(gate, &number, sizeof number) == (ssize_t)sizeof number ? 127 : 126;
}

struct identity {
  const char *groups, *group, *user; /* NULL where it stays */
};

/* Whether this process is now who it should be; errno otherwise. */
static int become(const struct identity *identity) {
  static gid_t groups[65536]; /* Linux's NGROUPS_MAX */
  if (identity->groups != NULL &&
      setgroups(numbers_in(identity->groups, groups, sizeof groups / sizeof *groups), groups) != 0)
    return 0;
  if (identity->group != NULL) {
    gid_t group = (gid_t)strtoul(identity->group, NULL, 10);
    if (setregid(group, group) != 0)
      return 0;
  }
  if (identity->user != NULL) {
    uid_t user = (uid_t)strtoul(identity->user, NULL, 10);
    if (setreuid(user, user) != 0)
      return 0;
  }
  return 1;
}

static void ignore(const char *signals) {
  gid_t numbers[128];
  size_t count = numbers_in(signals, numbers, sizeof numbers / sizeof *numbers);
  for (size_t at = 0; at < count; at++)
    signal((int)numbers[at], SIG_IGN);
}

int main(int argc, char **argv) {
  struct identity identity = {0};
  int option, fixed_addresses = 0;
  while ((option = getopt(argc, argv, "+i:RG:g:u:")) != -1) {
    switch (option) {
    case 'i':
      ignore(optarg);
      break;
    case 'R':
      fixed_addresses = 1;
      break;
    case 'G':
      identity.groups = optarg;
      break;
    case 'g':
      identity.group = optarg;
      break;
    case 'u':
      identity.user = optarg;
      break;
    default:
      return 127;
    }
  }
  char **words = argv + optind;
  if (argc - optind < 3 || strcmp(words[1], "--") != 0)
    return 127;
  int gate = atoi(words[0]);
  fcntl(gate, F_SETFD, FD_CLOEXEC);
  for (;;) {
    char request;
    if (!receive(gate, &request, 1))
      return 127; /* never opened: the tracer gave up */
    if (request == 'g')
      break;
    int32_t tracer;
    if (request != 'p' || !receive(gate, &tracer, sizeof tracer))
      return 127;
    allow_tracer(tracer);
    if (write(gate, "p", 1) != 1)
      return 127;
  }
  if (fixed_addresses && !fix_addresses())
    return fail(gate, -errno);
  if (become(&identity))
    execvp(words[2], words + 2);
  return fail(gate, errno);
}
