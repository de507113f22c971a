/* When a program begins and when its process begins to end: a part of ptreetime.bpf.c, which has included kernel.h
 * before. */
#ifndef PTREETIME_BPF_LAGS_H
#define PTREETIME_BPF_LAGS_H

#define SMALLEST_PAGE 4096
#define AUXILIARY_PAIRS 16 /* more than come before AT_ENTRY on any machine */

/* AT_ENTRY, of the vector that the kernel has made for a new image: pairs of words, of 32 bits in a program of 32 bits,
 * where the first two make a large number of 64. 0 where it is not there. room is memory for all pairs. */
static ALWAYS_INLINE u64 entry_of(struct mm_struct *mm, void *room) {
  u64 *words = room;
  u32 *short_words = room;
  if (bpf_probe_read_kernel(room, AUXILIARY_PAIRS * 2 * sizeof(u64), __builtin_preserve_access_index(&mm->saved_auxv)))
    return 0;
  int is_short = words[0] >> 32 != 0;
  for (int pair = 0; pair < AUXILIARY_PAIRS; pair++) {
    if (is_short && short_words[2 * pair] == AT_ENTRY)
      return short_words[2 * pair + 1];
    if (!is_short && words[2 * pair] == AT_ENTRY)
      return words[2 * pair + 1];
  }
  return 0;
}

/* The last word of the stack: behind the file name of the exec, which is behind the environment. room is memory for
 * that name. */
static ALWAYS_INLINE u64 mailbox_of(struct mm_struct *mm, void *room) {
  u64 name = mm->env_end;
  long size = bpf_probe_read_user_str(room, PTREETIME_PATH_LIMIT, (const void *)name);
  u64 word = name + size;
  return size > 0 && word % SMALLEST_PAGE == SMALLEST_PAGE - sizeof(u64) ? word : 0;
}

static ALWAYS_INLINE void begin_image(struct ptreetime_process *process, struct mm_struct *mm, u64 exec_ns,
                                      void *room) {
  process->exec_ns = exec_ns;
  process->entry = entry_of(mm, room);
  process->mailbox = mailbox_of(mm, room);
  process->loading_ns = PTREETIME_UNKNOWN;
  process->last_call_ns = 0;
}

static ALWAYS_INLINE void note_entry(struct ptreetime_process *process) {
  process->entry = 0;
  process->loading_ns = bpf_ktime_get_ns() - process->exec_ns;
}

/* While the memory of the current process's image is still there. What is in the word may be of another clock, that of
 * a time namespace, or the program's own: then it is not from its life. */
static ALWAYS_INLINE void read_mailbox(struct ptreetime_process *process) {
  u64 told_ns = 0;
  if (!process->mailbox || process->loading_ns != PTREETIME_UNKNOWN)
    return;
  if (!bpf_probe_read_user(&told_ns, sizeof told_ns, (const void *)process->mailbox) && told_ns >= process->exec_ns &&
      told_ns <= bpf_ktime_get_ns())
    process->loading_ns = told_ns - process->exec_ns;
}

/* In the context of a thread that ends. The process does so from the first that leaves while the whole group ends: it
 * has called exit_group, or a signal ends it. Without either it ends with its last thread. */
static ALWAYS_INLINE void note_last_call(struct ptreetime_process *process, struct signal_struct *signal) {
  if (process && !process->last_call_ns && (signal->flags & SIGNAL_GROUP_EXIT || !signal->live.counter))
    process->last_call_ns = bpf_ktime_get_ns();
}

#endif
