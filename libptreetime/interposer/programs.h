/* Logging what a process is about to run. */
#ifndef PTREETIME_PROGRAMS_H
#define PTREETIME_PROGRAMS_H

#include "event.h"

/* Logs an event of a program: an exec, a spawn, or the creation that a fork is. child is 0 where it is not known. */
void ptreetime_program_log(enum ptreetime_event_tag tag, const struct ptreetime_moment *moment, const char *path,
                           const char *const *args, int child);

/* Logs the exec of path, now, where there is a log. */
void ptreetime_program_log_exec(const char *path, char *const *argv);

/* execve, or a function like it. */
typedef int ptreetime_exec_function(const char *path, char *const argv[], char *const environment[]);

/* Calls it, without us in the environment of a program that is to list its libraries. */
int ptreetime_program_exec(ptreetime_exec_function *next, const char *path, char *const argv[],
                           char *const environment[]);

#endif
