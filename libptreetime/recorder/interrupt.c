#define _GNU_SOURCE
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "recorder.h"

#define REPEAT_US 1000

static volatile sig_atomic_t enabled, interrupted;

void ptreetime_interrupt_every(long us) {
  const struct itimerval timer = {{0, us}, {0, us}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_timer(int signal) {
  (void)signal;
  interrupted = enabled;
}

static void on_message(int signal) {
  on_timer(signal);
  if (enabled) /* else main.c sleeps in poll, which needs no help */
    ptreetime_interrupt_every(REPEAT_US);
}

const char *ptreetime_interrupt_open(void) {
  /* No SA_RESTART: to interrupt is their purpose. */
  const struct sigaction message = {.sa_handler = on_message}, timer = {.sa_handler = on_timer};
  sigaction(SIGIO, &message, NULL);
  sigaction(SIGALRM, &timer, NULL);
  if (fcntl(PTREETIME_CONTROL, F_SETOWN, getpid()) != 0 ||
      fcntl(PTREETIME_CONTROL, F_SETFL, fcntl(PTREETIME_CONTROL, F_GETFL) | O_ASYNC) != 0)
    return ptreetime_format_reason("the control socket raises no signals: %s", strerror(errno));
  return NULL;
}

void ptreetime_interrupt_enable(bool enable) {
  enabled = enable;
  interrupted = enable;
  ptreetime_interrupt_every(0);
}

bool ptreetime_interrupt_take(void) {
  if (!interrupted)
    return false;
  /* In this order: a message that comes in between starts the timer again, and that says so again. */
  ptreetime_interrupt_every(0);
  interrupted = 0;
  return true;
}
