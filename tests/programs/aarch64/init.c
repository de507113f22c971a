/* The first program of an emulated machine: it records what /cases tells it to, and writes the events to the console.
 *
 * A line of /cases is: NAME MODE USER FILES PROGRAM WORDS...: how the recording is called, the recorder's mode, whose
 * it and the program are, and how many descriptors the recorder may have. Written are lines of three words each:
 *
 *     @ NAME counts REASON...  what the recorder says of instructions: nothing where it counts them
 *     @ NAME events HEX        a part of the events, as the recorder wrote them
 *     @ NAME error WORDS...    what went wrong
 *     @ NAME done NS           how long the program took, of the machine's own time
 *
 * A line "= PATH TEXT" writes the text to the file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORDS = 64, HEX_BYTES = 2000 };

static const char *name;

static void fail(const char *what, const char *more) { printf("@ %s error %s %s\n", name, what, more); }

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Who changes user may not be traced by that user before the next exec, unless it says so. */
static void become(uid_t user) {
  if (user != 0 && (setgid(user) != 0 || setuid(user) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0))
    _exit(125);
}

static pid_t start_recorder(const char *mode, uid_t user, rlim_t files, int *control) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    return -1;
  pid_t pid = fork();
  if (pid == 0) {
    struct rlimit limit = {files, files};
    char *environment[] = {NULL};
    dup2(sockets[1], 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    become(user);
    execle("/recorder", "ptreetime-recorder", mode, (char *)NULL, environment);
    _exit(126);
  }
  close(sockets[1]);
  *control = sockets[0];
  return pid;
}

static const char *hear(int control) {
  static char message[4096];
  ssize_t size = recv(control, message, sizeof message - 1, 0);
  message[size > 0 ? size : 0] = '\0';
  return message;
}

static void ask_to_record(int control, pid_t pid, int events) {
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } extra = {{0}};
  char request[32];
  struct iovec bytes = {request, (size_t)snprintf(request, sizeof request, "record %d", (int)pid)};
  struct msghdr header = {
      .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = extra.space, .msg_controllen = sizeof extra.space};
  extra.aligned = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(&extra.aligned), &events, sizeof events);
  sendmsg(control, &header, 0);
}

static void show(int events) {
  unsigned char bytes[HEX_BYTES];
  ssize_t count;
  for (off_t at = 0; (count = pread(events, bytes, sizeof bytes, at)) > 0; at += count) {
    printf("@ %s events ", name);
    for (ssize_t i = 0; i < count; i++)
      printf("%02x", bytes[i]);
    putchar('\n');
  }
}

/* The child waits at `gate` until it may become the command; it has said by then that it is who it should be. */
static pid_t start_command(uid_t user, char **command, int *gate) {
  int sockets[2];
  char byte = 'r';
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    return -1;
  pid_t pid = fork();
  if (pid == 0) {
    become(user);
    close(sockets[0]);
    if (write(sockets[1], &byte, 1) == 1 && read(sockets[1], &byte, 1) == 1)
      execv(command[0], command);
    _exit(127);
  }
  close(sockets[1]);
  *gate = sockets[0];
  return read(*gate, &byte, 1) == 1 ? pid : -1;
}

static void record(int control, uid_t user, char **command) {
  int gate = -1, events = memfd_create("events", MFD_CLOEXEC);
  pid_t pid = start_command(user, command, &gate);
  ask_to_record(control, pid, events);
  const char *answer = hear(control);
  long long began_ns = now_ns();
  bool ready = strncmp(answer, "ready", 5) == 0 && write(gate, "g", 1) == 1;
  close(gate);
  waitpid(pid, NULL, 0);
  long long took_ns = now_ns() - began_ns;
  if (ready)
    answer = hear(control);
  if (strcmp(answer, "done") != 0)
    fail("the recorder says", answer);
  show(events);
  printf("@ %s done %lld\n", name, took_ns);
  close(events);
}

static void follow(char **words) {
  int control = -1;
  uid_t user = (uid_t)atoi(words[2]);
  name = words[0];
  pid_t recorder = start_recorder(words[1], user, (rlim_t)atoi(words[3]), &control);
  const char *greeting = hear(control);
  if (strncmp(greeting, "hello ", 6) != 0) {
    fail("the recorder says", greeting);
  } else {
    send(control, "instructions", 12, 0);
    printf("@ %s counts %s\n", name, hear(control) + strlen("instructions"));
    record(control, user, words + 4);
  }
  close(control);
  waitpid(recorder, NULL, 0);
  fflush(stdout);
}

static void write_to(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (file != NULL) {
    fputs(text, file);
    fclose(file);
  }
}

int main(void) {
  char line[1024], *words[MOST_WORDS];
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sys", "/sys", "sysfs", 0, NULL);
  mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
  FILE *cases = fopen("/cases", "re");
  while (cases != NULL && fgets(line, sizeof line, cases) != NULL) {
    int count = 0;
    for (char *word = strtok(line, " \n"); word != NULL && count < MOST_WORDS - 1; word = strtok(NULL, " \n"))
      words[count++] = word;
    words[count] = NULL;
    if (count == 3 && strcmp(words[0], "=") == 0)
      write_to(words[1], words[2]);
    else if (count > 4)
      follow(words);
  }
  printf("@ end\n");
  fflush(stdout);
  sync();
  reboot(RB_POWER_OFF);
  return 0;
}
