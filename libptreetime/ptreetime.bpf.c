// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* The eBPF tracer's part in the kernel: it watches the descendants of one command, and leaves a record of each
 * creation, exec and exit in a ring buffer (ptreetime_records.h) for the recorder (recorder/ebpf.c).
 *
 * Nothing in the build waits for it. A process is in the table "processes" from its creation to its death; everything
 * that is not in the table costs one look-up at its fork, exec and exit.
 *
 * When has a process ended? The tracepoint sched_process_exit comes before its memory is freed since Linux 6.16, so it
 * only notes what is known by then. The process is dead when it tells its parent, which signal_generate shows: in the
 * context of its last thread, already a zombie (exit_state), all other threads gone (nr_threads). A parent that ignores
 * SIGCHLD is told nothing: then the note stays in the table and the recorder takes it from there.
 */
#include "ptreetime_records.h"

#include "bpf/kernel.h"

/* The helpers that read memory are for programs under the GPL. */
char program_license[] SECTION("license") = "GPL";

#define MAX_PROCESSES 32768 /* that live at a time */
#define RING_BYTES (16 << 20)
#define ARGS_SMALL (32 << 10) /* bytes of arguments in an ARGUMENTS record: first these */
#define ARGS_SMALL_RECORDS 4
#define ARGS_LARGE (256 << 10) /* then these */
#define ARGS_LARGE_RECORDS (PTREETIME_ARGS_LIMIT / ARGS_LARGE)
#define MAX_PID_NAMESPACES 32

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_HASH);
  MAP_INTEGER(max_entries, MAX_PROCESSES);
  MAP_TYPE(key, u32);
  MAP_TYPE(value, struct ptreetime_process);
} processes SECTION(".maps");

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_RINGBUF);
  MAP_INTEGER(max_entries, RING_BYTES);
} records SECTION(".maps");

struct ptreetime_control control;

#include "bpf/lags.h"
#include "bpf/paths.h"
#include "bpf/usage.h"

/* Keeps the compiler from knowing better than to compare a number that the verifier wants to see compared. */
#define KEEP(number) __asm__ volatile("" : "+r"(number))

/* The recorder is not woken for a record, but for every few megabytes of them: it takes a cpu from the build. */
static ALWAYS_INLINE u64 wakeup_flags(void) {
  if (control.waking || bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) <= control.wake_bytes)
    return BPF_RB_NO_WAKEUP;
  control.waking = 1;
  return BPF_RB_FORCE_WAKEUP;
}

static ALWAYS_INLINE void send(void *record, u64 size) {
  if (bpf_ringbuf_output(&records, record, size, wakeup_flags()))
    __sync_fetch_and_add(&control.lost_records, 1);
}

/* What the table has under this number, or none: it may be of a process that died before somebody else's got it. */
static ALWAYS_INLINE struct ptreetime_process *find_number(u32 tgid) {
  if (!control.generation)
    return 0;
  struct ptreetime_process *process = bpf_map_lookup_elem(&processes, &tgid);
  return process && process->generation == control.generation ? process : 0;
}

/* When the process of a task began: with its number this says which process it is. The kernel reads the clock after it
 * has given the number (copy_process, since Linux 5.0), and an exec in another thread than the first hands both on. */
static ALWAYS_INLINE u64 begin_of(struct task_struct *task, int direct) {
  struct task_struct *leader = GET(direct, task->group_leader);
  return GET(direct, leader->start_time);
}

/* The process of the tree that the task belongs to, or none. */
static ALWAYS_INLINE struct ptreetime_process *find_process(struct task_struct *task, int direct) {
  struct ptreetime_process *process = find_number(GET(direct, task->tgid));
  return process && process->begin_ns == begin_of(task, direct) ? process : 0;
}

#include "bpf/instructions.h"

/* The number in the recorder's PID namespace, 0 where it has none. */
static ALWAYS_INLINE u32 number_for_recorder(struct pid *pid) {
  u32 deepest = READ(pid->level);
  char *numbers = (char *)pid + FIELD_OFFSET(pid->numbers);
  for (u32 level = 0; level < MAX_PID_NAMESPACES && level <= deepest; level++) {
    struct upid *upid = (struct upid *)(numbers + level * TYPE_SIZE(struct upid));
    struct pid_namespace *namespace = READ(upid->ns);
    if (READ(namespace->ns.inum) == control.pid_ns_inode)
      return READ(upid->nr);
  }
  return 0;
}

static ALWAYS_INLINE u32 pid_for_recorder(struct task_struct *task) {
  if (control.pid_ns_inode == PID_NS_INIT_INODE)
    return task->pid;
  return number_for_recorder(READ(task->thread_pid));
}

static ALWAYS_INLINE void start_record(struct ptreetime_record *record, u32 kind, u32 pid) {
  record->kind = kind;
  record->generation = control.generation;
  record->time_ns = bpf_ktime_get_ns();
  record->pid = pid;
  record->parent_pid = 0;
  record->cpu = bpf_get_smp_processor_id();
  record->size = 0;
}

/* Tells of a death by the note that is in the table. */
static ALWAYS_INLINE void send_exit(struct ptreetime_process *process, u32 tgid) {
  send(&process->exit, sizeof process->exit);
  __sync_fetch_and_add(&control.dead, 1);
  bpf_map_delete_elem(&processes, &tgid);
}

/* All but what it has used. */
static ALWAYS_INLINE void note_exit(struct ptreetime_process *process, struct task_struct *leader,
                                    struct signal_struct *signal, int direct) {
  struct ptreetime_record_exit *exit = &process->exit;
  start_record(&exit->record, PTREETIME_RECORD_EXIT, process->pid);
  bpf_probe_read_kernel(exit->name, sizeof exit->name, __builtin_preserve_access_index(&leader->comm));
  exit->status = GET(direct, signal->flags) & SIGNAL_GROUP_EXIT ? GET(direct, signal->group_exit_code)
                                                                : GET(direct, leader->exit_code);
  exit->loading_ns = process->loading_ns;
  exit->leaving_ns = process->last_call_ns ? exit->record.time_ns - process->last_call_ns : PTREETIME_UNKNOWN;
}

static ALWAYS_INLINE void fill_exit(struct ptreetime_process *process, struct task_struct *leader,
                                    struct signal_struct *signal, int direct) {
  note_exit(process, leader, signal, direct);
  read_usage(&process->exit.usage, leader, signal, process, direct);
}

/* Whether signal_generate will show the end of a process, as things stand. */
static ALWAYS_INLINE int will_be_told(struct task_struct *leader) {
  int signal = leader->exit_signal;
  struct task_struct *parent = READ(leader->parent);
  struct sighand_struct *handlers = READ(parent->sighand);
  return signal > 0 && (signal != SIGCHLD || (u64)READ(handlers->action[SIGCHLD - 1].sa.sa_handler) != SIG_IGN);
}

static ALWAYS_INLINE int add_process(struct task_struct *task, u32 pid, u32 short_image) {
  u32 tgid = task->tgid;
  struct ptreetime_process fresh;
  __builtin_memset(&fresh, 0, sizeof fresh);
  fresh.pid = pid;
  fresh.begin_ns = begin_of(task, 1);
  fresh.generation = control.generation;
  fresh.short_image = fresh.was_short = short_image;
  fresh.max_rss_bytes = fresh.loading_ns = PTREETIME_UNKNOWN;
  if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY)) {
    __sync_fetch_and_add(&control.lost_processes, 1);
    return -1;
  }
  __sync_fetch_and_add(&control.created, 1);
  return 0;
}

/* Whether the current process is the recorder's caller's: not one of, or that has become, somebody else's. */
static ALWAYS_INLINE int is_the_callers(void) {
  u32 caller = control.caller_uid;
  return caller == (u32)-1 || caller == (u32)bpf_get_current_uid_gid();
}

static ALWAYS_INLINE int take_fork(struct task_struct *parent, struct task_struct *child) {
  u32 tgid = child->tgid;
  struct ptreetime_process *process = find_process(parent, 1);
  if (!process || tgid != (u32)child->pid) /* a new thread is not a process */
    return 0;
  if (control.killing && is_the_callers())
    bpf_send_signal(SIGKILL);
  u32 parent_pid = process->pid, short_image = process->short_image;
  process = find_number(tgid);
  if (process) /* one that died unnoticed, before its number was used again */
    send_exit(process, tgid);
  u32 pid = pid_for_recorder(child);
  if (add_process(child, pid, short_image))
    return 0;
  struct ptreetime_record record;
  start_record(&record, PTREETIME_RECORD_CREATE, pid);
  record.parent_pid = parent_pid;
  send(&record, sizeof record);
  return 0;
}

SECTION("tp_btf/sched_process_fork") int on_fork(u64 *context) {
  return take_fork((void *)context[0], (void *)context[1]);
}

/* Sends left bytes of arguments, or as many as a record with this room takes. It is made in the ring itself, where the
 * verifier asks for a constant room. */
static ALWAYS_INLINE void send_arguments(const struct ptreetime_record *exec, u64 from, u64 left, u32 room) {
  struct ptreetime_record *record = bpf_ringbuf_reserve(&records, sizeof *record + room, 0);
  if (!record) {
    __sync_fetch_and_add(&control.lost_records, 1);
    return;
  }
  *record = *exec;
  record->kind = PTREETIME_RECORD_ARGUMENTS;
  record->size = left < room ? left : room;
  u32 size = record->size;
  KEEP(size);
  if (size > room || bpf_probe_read_user(record + 1, size, (const void *)from))
    record->size = 0; /* the recorder sees that some are missing */
  bpf_ringbuf_submit(record, wakeup_flags());
}

/* Sends the EXEC record in the buffer, and the arguments that have no room in it. */
static ALWAYS_INLINE void send_exec(struct exec_buffer *buffer, struct mm_struct *mm) {
  u64 from = mm->arg_start, end = mm->arg_end;
  struct ptreetime_record_exec *exec = &buffer->exec;
  exec->args_total = end - from < PTREETIME_ARGS_LIMIT ? end - from : PTREETIME_ARGS_LIMIT;
  exec->args_size = exec->args_total < PTREETIME_ARGS_FIRST ? exec->args_total : PTREETIME_ARGS_FIRST;
  exec->args_known = 1;
  u32 used = buffer->path_end, size = exec->args_size;
  if (used > 2 * PTREETIME_PATH_LIMIT + 512 || size > PTREETIME_ARGS_FIRST)
    return;
  if (bpf_probe_read_user(buffer->data + used, size, (const void *)from))
    exec->args_known = exec->args_size = exec->args_total = 0;
  size = exec->args_size;
  if (size > PTREETIME_ARGS_FIRST)
    return;
  send(exec, sizeof *exec + used + size);
  u64 at = from + size;
  end = from + exec->args_total;
  for (u32 record = 0; record < ARGS_SMALL_RECORDS && at < end; record++, at += ARGS_SMALL)
    send_arguments(&exec->record, at, end - at, ARGS_SMALL);
  for (u32 record = 0; record < ARGS_LARGE_RECORDS && at < end; record++, at += ARGS_LARGE)
    send_arguments(&exec->record, at, end - at, ARGS_LARGE);
}

/* Takes the command into the tree at the exec by which it leaves its gate. The recorder has looked whose process has
 * that number, but by now another one may have it: it is still the same if it began before that look, and still the
 * caller's if it is now. */
static ALWAYS_INLINE struct ptreetime_process *adopt_root(struct task_struct *task) {
  if (!control.generation || !control.root_pid || pid_for_recorder(task) != control.root_pid)
    return 0;
  if (!is_the_callers() || begin_of(task, 1) > control.root_seen_ns)
    return 0;
  struct fs_struct *fs = READ(task->fs);
  control.root_dentry = (u64)READ(fs->root.dentry);
  control.root_mount = (u64)READ(fs->root.mnt);
  if (add_process(task, control.root_pid, 0))
    return 0;
  control.root_pid = 0;
  return find_process(task, 1);
}

static ALWAYS_INLINE int take_exec(struct task_struct *task, u32 old_pid) {
  u32 tgid = task->tgid, zero = 0;
  struct ptreetime_process *process = find_process(task, 1);
  if (!process)
    process = adopt_root(task);
  if (!process)
    return 0;
  if (old_pid != tgid) /* this thread has taken the leader's place */
    add_counters(&process->ended, &process->leader);
  count_exec(process);
  struct exec_buffer *buffer = bpf_map_lookup_elem(&exec_buffers, &zero);
  if (!buffer)
    return 0;
  if (buffer->busy) {
    __sync_fetch_and_add(&control.lost_records, 1);
    return 0;
  }
  buffer->busy = 1;
  struct ptreetime_record_exec *exec = &buffer->exec;
  start_record(&exec->record, PTREETIME_RECORD_EXEC, process->pid);
  struct signal_struct *signal = task->signal;
  read_usage(&exec->usage, task, signal, process, 1);
  if (control.counts_instructions && !process->exec_ns && !process->uncounted)
    exec->usage.instructions = 0;
  exec->loading_ns = process->loading_ns;
  bpf_probe_read_kernel(exec->name, sizeof exec->name, __builtin_preserve_access_index(&task->comm));
  process->earlier_max_rss_pages = signal->maxrss;
  process->max_rss_bytes = PTREETIME_UNKNOWN;
  struct mm_struct *mm = task->mm;
  process->short_image = mm->arg_start >> 32 == 0;
  process->was_short |= process->short_image;
  begin_image(process, mm, exec->record.time_ns, buffer->data);
  struct file *file = READ(mm->exe_file);
  struct fs_struct *fs = READ(task->fs);
  buffer->path_end = 0;
  exec->exe_size = write_path(buffer, READ(file->f_path.dentry), READ(file->f_path.mnt));
  exec->cwd_size = write_path(buffer, READ(fs->pwd.dentry), READ(fs->pwd.mnt));
  send_exec(buffer, mm);
  buffer->busy = 0;
  return 0;
}

SECTION("tp_btf/sched_process_exec") int on_exec(u64 *context) { return take_exec((void *)context[0], context[1]); }

#include "bpf/failed_execs.h"
#include "bpf/peers.h"

/* What the memory of the image that ends tells, at the last moment at which it is still there. */
static ALWAYS_INLINE int note_memory(struct task_struct *task, struct mm_struct *mm) {
  struct ptreetime_process *process = find_process(task, 1);
  if (process && mm) {
    process->max_rss_bytes = peak_rss_bytes(task, mm, 1);
    read_mailbox(process);
  }
  return 0;
}

/* Linux 6.10 and later. */
SECTION("tp_btf/sched_prepare_exec") int on_prepare_exec(u64 *context) {
  struct task_struct *task = (void *)context[0];
  return note_memory(task, task->mm);
}

/* Instead of that tracepoint, and of sched_process_exit, which comes too late before Linux 6.16: two functions of the
 * kernel, where it allows programs there. */
SECTION("fentry/exec_mm_release") int on_memory_replaced(u64 *context) {
  return note_memory((void *)context[0], (void *)context[1]);
}

SECTION("fentry/exit_mm_release") int on_memory_left(u64 *context) {
  struct task_struct *task = (void *)context[0];
  struct signal_struct *signal = task->signal;
  note_last_call(find_process(task, 1), signal);
  return signal->live.counter ? 0 : note_memory(task, (void *)context[1]);
}

/* Where neither of the two is to be had: the call by which most processes end. Attached while something is recorded. */
SECTION("tp/syscalls/sys_enter_exit_group") int on_exit_group(void) {
  struct ptreetime_process *process = find_process(bpf_get_current_task(), 0);
  if (process && !process->last_call_ns) {
    process->last_call_ns = bpf_ktime_get_ns();
    read_mailbox(process);
  }
  return 0;
}

/* x86: the first instruction of a program is on a page that nobody has touched yet, for what has run before it is the
 * dynamic linker and the constructors of its libraries. That is so unless it shares its page, or the 64 KiB around it
 * that a fault maps, with something that they have read or called. */
SECTION("tp_btf/page_fault_user") int on_page_fault(u64 *context) {
  if (!control.generation || !(context[2] & X86_PF_INSTR))
    return 0;
  struct ptreetime_process *process = find_number(bpf_get_current_pid_tgid() >> 32);
  if (process && process->entry && process->entry == context[0] &&
      process->begin_ns == begin_of(bpf_get_current_task(), 0))
    note_entry(process);
  return 0;
}

static ALWAYS_INLINE int take_exit(struct task_struct *task) {
  u32 tgid = task->tgid;
  struct ptreetime_process *process = find_process(task, 1);
  if (!process)
    return 0;
  count_exit(process);
  struct ptreetime_thread_counters own;
  read_counters(&own, task);
  if (tgid == (u32)task->pid)
    process->leader = own;
  else
    add_counters(&process->ended, &own);
  struct signal_struct *signal = task->signal;
  struct mm_struct *mm = task->mm; /* not freed yet: Linux 6.16 and later */
  if (mm)
    note_last_call(process, signal);
  if (signal->live.counter)
    return 0;
  if (mm) {
    process->max_rss_bytes = peak_rss_bytes(task, mm, 1);
    read_mailbox(process);
  }
  struct task_struct *leader = task->group_leader;
  note_exit(process, leader, signal, 1);
  process->untold = !will_be_told(leader);
  if (process->untold)
    read_usage(&process->exit.usage, leader, READ(task->signal), process, 0);
  else /* unless its parent begins to ignore SIGCHLD now, this is not the last word */
    __builtin_memset(&process->exit.usage, 0xff, sizeof process->exit.usage);
  process->dying = 1;
  return 0;
}

SECTION("tp_btf/sched_process_exit") int on_exit(u64 *context) { return take_exit((void *)context[0]); }

/* Where the kernel has this tracepoint, a note becomes better when the memory of its process is gone. */
static ALWAYS_INLINE int improve_note(struct task_struct *task, int direct) {
  if (!control.generation || !(GET(direct, task->flags) & PF_EXITING))
    return 0;
  struct ptreetime_process *process = find_process(task, direct);
  if (process && process->untold)
    fill_exit(process, READ(task->group_leader), READ(task->signal), 0);
  return 0;
}

SECTION("tp_btf/exit_mmap") int on_memory_freed(void) {
  if (HAS_CURRENT_TASK_BTF)
    return improve_note(bpf_get_current_task_btf(), 1);
  return improve_note(bpf_get_current_task(), 0);
}

static ALWAYS_INLINE int tell_death(struct task_struct *task, int direct) {
  if (control.calibrating)
    calibrate(task);
  if (!control.generation || !GET(direct, task->exit_state))
    return 0;
  u32 tgid = GET(direct, task->tgid);
  struct ptreetime_process *process = find_process(task, direct);
  struct signal_struct *signal = GET(direct, task->signal);
  if (!process || !process->dying || GET(direct, signal->nr_threads) > 1)
    return 0;
  fill_exit(process, GET(direct, task->group_leader), signal, direct);
  send_exit(process, tgid);
  return 0;
}

SECTION("tp_btf/signal_generate") int on_signal(void) {
  if (HAS_CURRENT_TASK_BTF)
    return tell_death(bpf_get_current_task_btf(), 1);
  return tell_death(bpf_get_current_task(), 0);
}

#include "bpf/uninterrupted.h"
