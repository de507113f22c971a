#include "tracee.h"

#include <stdlib.h>
#include <unistd.h>

#include "instructions.h"

#define BUCKETS 4096u

unsigned ptreetime_tracee_processes;
unsigned ptreetime_tracee_count;
unsigned ptreetime_tracee_files;

static struct ptreetime_tracee *buckets[BUCKETS];
static struct ptreetime_tracee *spare; /* removed ones: a build makes a thousand processes and has few at a time */

static struct ptreetime_tracee **bucket_of(pid_t tid) { return &buckets[(unsigned)tid % BUCKETS]; }

struct ptreetime_tracee *ptreetime_tracee_find(pid_t tid) {
  struct ptreetime_tracee *tracee = *bucket_of(tid);
  while (tracee != NULL && tracee->tid != tid)
    tracee = tracee->next;
  return tracee;
}

struct ptreetime_tracee *ptreetime_tracee_add(pid_t tid) {
  struct ptreetime_tracee *tracee = spare;
  if (tracee != NULL)
    spare = tracee->next;
  else if ((tracee = malloc(sizeof *tracee)) == NULL)
    return NULL;
  struct ptreetime_tracee **bucket = bucket_of(tid);
  *tracee = (struct ptreetime_tracee){.tid = tid, .next = *bucket};
  *bucket = tracee;
  ptreetime_tracee_count++;
  return tracee;
}

void ptreetime_tracee_lead(struct ptreetime_tracee *tracee) {
  tracee->process = tracee;
  tracee->threads = 1;
  ptreetime_tracee_processes++;
}

void ptreetime_tracee_join(struct ptreetime_tracee *tracee, struct ptreetime_tracee *process) {
  tracee->process = process;
  process->threads++;
  process->threaded = true;
}

void ptreetime_tracee_remove(struct ptreetime_tracee *tracee) {
  struct ptreetime_tracee **link = bucket_of(tracee->tid);
  while (*link != tracee)
    link = &(*link)->next;
  *link = tracee->next;
  if (tracee->status_file > 0) {
    close(tracee->status_file);
    ptreetime_tracee_files--;
  }
  ptreetime_instructions_forget(tracee);
  if (tracee->process == tracee)
    ptreetime_tracee_processes--;
  ptreetime_tracee_count--;
  tracee->next = spare;
  spare = tracee;
}

void ptreetime_tracee_each(void (*visit)(struct ptreetime_tracee *)) {
  for (unsigned i = 0; i < BUCKETS; i++) {
    for (struct ptreetime_tracee *tracee = buckets[i], *next; tracee != NULL; tracee = next) {
      next = tracee->next;
      visit(tracee);
    }
  }
}
