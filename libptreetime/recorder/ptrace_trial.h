/* Whether this machine allows ptrace at all, found out by trying it on a child of our own. */
#ifndef PTREETIME_RECORDER_PTRACE_TRIAL_H
#define PTREETIME_RECORDER_PTRACE_TRIAL_H

/* NULL, or why it is not allowed and what would help. options are those of PTRACE_SEIZE that will be needed. */
const char *ptreetime_ptrace_trial(unsigned long options);

#endif
