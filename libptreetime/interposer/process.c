#include "process.h"
#include "log.h"
#include "system.h"

static char started;

/* The process whose end is logged: a forked child inherits the value and is another process. */
static int ended_pid;

#ifdef PTREETIME_INTERPOSE
static void log_startup(struct ptreetime_event *event, const char *const *argv) {
  char executable[1024], directory[1024];
  ptreetime_system_executable(executable, sizeof executable);
  ptreetime_system_directory(directory, sizeof directory);
  event->path = executable;
  event->args = argv;
  event->directory = directory;
  ptreetime_log_append(event);
}
#else
static void log_startup(struct ptreetime_event *event, const char *const *argv) {
  (void)argv;
  ptreetime_log_append(event);
}
#endif

void ptreetime_process_started(const char *const *argv, const char *const *environment) {
  if (started)
    return;
  started = 1;
  ptreetime_log_find(environment);
  if (!ptreetime_log_known())
    return;
  struct ptreetime_event event = {.tag = PTREETIME_EVENT_USER_STARTUP};
  ptreetime_system_moment(&event.moment);
  log_startup(&event, argv);
}

static void log_exit(const struct ptreetime_moment *moment, int status) {
  struct ptreetime_event event = {.tag = PTREETIME_EVENT_USER_EXIT, .moment = *moment};
  event.status = status < 0 ? -1 : status;
  ptreetime_log_append(&event);
}

void ptreetime_process_ending(int status) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  if (__atomic_exchange_n(&ended_pid, moment.pid, __ATOMIC_RELAXED) != moment.pid)
    log_exit(&moment, status);
}

void ptreetime_process_ending_at_once(int status) {
  struct ptreetime_moment moment;
  if (!ptreetime_log_known())
    return;
  ptreetime_system_moment(&moment);
  /* Nothing comes after this, so there is nothing to remember; and the memory may be the parent's. */
  if (__atomic_load_n(&ended_pid, __ATOMIC_RELAXED) != moment.pid)
    log_exit(&moment, status);
}
