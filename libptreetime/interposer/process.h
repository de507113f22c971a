/* The life of a process, as its program sees it. */
#ifndef PTREETIME_PROCESS_H
#define PTREETIME_PROCESS_H

/* The program begins: logged once for each image. */
void ptreetime_process_started(const char *const *argv, const char *const *environment);

/* The process ends by its own will: logged once for each process. status is -1 where it is not known. */
void ptreetime_process_ending(int status);

/* As ptreetime_process_ending, for a process that may share its memory with its parent (vfork). */
void ptreetime_process_ending_at_once(int status);

#endif
