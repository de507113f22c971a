/* The eBPF backend: the kernel watches the tree (ptreetime.bpf.c), this reads what it left.
 *
 * Nothing waits for it, so it sleeps as long as it can: until the root is dead (a pidfd), until some megabytes of
 * records wait, or until main.c's control socket is readable.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"
#include "ebpf_parts.h"
#include "ebpf_program.h"
#include "ebpf_records.h"
#include "recorder.h"

/* Of Linux 5.3 and 5.1: glibc 2.28, for which wheels are built, does not know them. The same on every processor. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#define WAKE_BYTES (4u << 20) /* of the ring buffer's 16 MiB */
#define KILL_AGAIN_MS 5
#define CALIBRATE_AGAIN_MS 1000
#define CLOCK_LOOKS 8

/* How long to wait for the last record of a process that is known to be dying. It comes within microseconds, except
 * from one whose parent ignores SIGCHLD: that one has left a note, and there is nothing to come. */
#define LAST_RECORD_NS 20000000u

static struct ptreetime_program program;
static struct ptreetime_records records;
static int events = -1;  /* epoll: the root, the ring buffer, the control socket */
static int root_fd = -1; /* pidfd of the root */
static uint32_t generation;
static uint64_t calibrated_ns;
static uint64_t left_out_before; /* runs of the program that the kernel left out, until the recording began */

/* Tell the BPF program how far its clock is from the scheduler's. sched_yield makes the scheduler look at its clock,
 * and the signal, which nobody gets, makes the program look right after. What passes between the two is error, and time
 * is slewed: so the smallest of several differences, and again every second. */
static void calibrate_clock(void) {
  volatile struct ptreetime_control *control = program.control;
  control->calibration_ns = UINT64_MAX;
  control->calibrated_ns = 0;
  control->calibrating = 1;
  for (int look = 0; look < CLOCK_LOOKS; look++) {
    sched_yield();
    kill(getpid(), SIGURG);
  }
  control->calibrating = 0;
  control->clock_offset_ns = control->calibration_ns == UINT64_MAX ? 0 : control->calibration_ns;
  calibrated_ns = ptreetime_now_ns();
}

/* Processes of which no end was reported, collected when the recording ends. */
struct unfinished {
  uint32_t key;
  struct ptreetime_process process;
};
static struct unfinished *unfinished;
static size_t unfinished_count;

static void take(const void *record, size_t size) { ptreetime_records_take(&records, record, size); }

static void consume(void) { ptreetime_program_consume(&program, take); }

static bool watch(int descriptor, uint32_t what) {
  struct epoll_event event = {.events = what, .data = {.fd = descriptor}};
  return epoll_ctl(events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static const char *ebpf_open(void) {
  const char *why = ptreetime_program_open(&program);
  if (why != NULL)
    return why;
  struct stat pids, network;
  if (stat("/proc/self/ns/pid", &pids) != 0)
    return ptreetime_format_reason("can't read /proc/self/ns/pid: %s", strerror(errno));
  program.control->pid_ns_inode = (uint32_t)pids.st_ino;
  program.control->net_ns_inode = stat("/proc/self/ns/net", &network) == 0 ? (uint32_t)network.st_ino : 0;
  program.control->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
  program.control->wake_bytes = WAKE_BYTES;
  program.control->caller_uid = ptreetime_caller_uid();
  events = epoll_create1(EPOLL_CLOEXEC);
  if (events < 0 || !watch(PTREETIME_CONTROL, EPOLLIN) || !watch(program.records, EPOLLIN | EPOLLET))
    return ptreetime_format_reason("can't wait for events: %s", strerror(errno));
  return NULL;
}

/* Forget what is in the table: processes of an earlier recording that live on. */
static void forget_processes(void) {
  struct ptreetime_process process;
  uint32_t key, before;
  bool begun = false, more = ptreetime_program_next_process(&program, &begun, &key, &process);
  while (more) {
    before = key;
    more = ptreetime_program_next_process(&program, &begun, &key, &process);
    ptreetime_program_forget_process(&program, before);
  }
}

static bool root_is_dead(void) {
  struct pollfd root = {.fd = root_fd, .events = POLLIN};
  return poll(&root, 1, 0) == 1;
}

static void stop_watching(void) {
  program.control->generation = 0;
  ptreetime_parts_count_execs(program.control, false);
  ptreetime_parts_note_last_calls(false);
  if (root_fd >= 0)
    close(root_fd); /* and epoll forgets it */
  root_fd = -1;
}

static const char *ebpf_attach(struct ptreetime_recording *recording) {
  volatile struct ptreetime_control *control = program.control;
  root_fd = (int)syscall(SYS_pidfd_open, recording->root_pid, 0);
  if (root_fd < 0 || !watch(root_fd, EPOLLIN)) {
    const char *why = ptreetime_format_reason("can't watch process %d: %s", (int)recording->root_pid, strerror(errno));
    stop_watching();
    return why;
  }
  ptreetime_records_begin(&records, &recording->sink, 0, recording->root_pid);
  consume(); /* what came after the end of the recording before */
  if (control->created != control->dead)
    forget_processes();
  control->created = control->dead = control->lost_records = control->lost_processes = 0;
  control->root_dentry = control->root_mount = 0;
  control->killing = 0;
  left_out_before = ptreetime_parts_runs_left_out();
  recording->connections = ptreetime_parts_see_connections();
  control->root_pid = (uint32_t)recording->root_pid;
  ptreetime_parts_count_execs(program.control, recording->failed_execs);
  ptreetime_parts_note_last_calls(true);
  calibrate_clock();
  control->root_seen_ns = control->calibrated_ns;
  generation = generation + 1 != 0 ? generation + 1 : 1;
  records.generation = generation;
  __sync_synchronize();
  control->generation = generation;
  if (control->root_seen_ns == 0) {
    stop_watching();
    return "this kernel does not run the BPF program";
  }
  /* Its pid has been its own all the time, at root_seen_ns too, if it still lives. */
  if (!ptreetime_caller_owns(recording->root_pid) || root_is_dead()) {
    stop_watching();
    return ptreetime_format_reason("process %d belongs to somebody else, or is dead", (int)recording->root_pid);
  }
  return NULL;
}

/* Fill unfinished with what is in the table. */
static void collect_unfinished(void) {
  struct unfinished found;
  bool begun = false;
  unfinished_count = 0;
  if (program.control->created == program.control->dead)
    return;
  while (unfinished_count < (1u << 20) &&
         ptreetime_program_next_process(&program, &begun, &found.key, &found.process)) {
    if (found.process.generation != generation)
      continue;
    if ((unfinished_count & (unfinished_count - 1)) == 0) {
      size_t room = unfinished_count == 0 ? 1 : 2 * unfinished_count;
      void *grown = realloc(unfinished, room * sizeof *unfinished);
      if (grown == NULL)
        return;
      unfinished = grown;
    }
    unfinished[unfinished_count++] = found;
  }
}

static size_t count_unfinished(bool dying) {
  size_t count = 0;
  for (size_t i = 0; i < unfinished_count; i++)
    count += (unfinished[i].process.dying != 0) == dying;
  return count;
}

/* One of them was only late. */
static void forget_unfinished(struct ptreetime_records *of, pid_t pid) {
  (void)of;
  for (size_t i = 0; i < unfinished_count; i++) {
    if ((pid_t)unfinished[i].process.pid == pid) {
      unfinished[i] = unfinished[--unfinished_count];
      return;
    }
  }
}

/* Take all that is coming from processes that are dying already, the root first of all. */
static void await_last_records(void) {
  uint64_t deadline_ns = ptreetime_now_ns() + LAST_RECORD_NS;
  for (;;) {
    consume();
    collect_unfinished();
    if (count_unfinished(true) == 0 || ptreetime_now_ns() > deadline_ns)
      return;
    usleep(100);
  }
}

static void report_losses(struct ptreetime_recording *recording) {
  volatile struct ptreetime_control *control = program.control;
  uint64_t now_ns = ptreetime_now_ns();
  if (control->lost_records > 0)
    ptreetime_sink_lost(&recording->sink, now_ns, control->lost_records, "records had no room in the ring buffer");
  if (control->lost_processes > 0)
    ptreetime_sink_lost(&recording->sink, now_ns, control->lost_processes,
                        "processes had no room in the table, and their descendants were not seen");
  uint64_t left_out = ptreetime_parts_runs_left_out() - left_out_before;
  if (left_out > 0)
    ptreetime_sink_lost(&recording->sink, now_ns, left_out,
                        "forks, execs or exits were kept from the BPF program by this kernel (ptrace sees them)");
  if (records.damaged > 0)
    ptreetime_sink_lost(&recording->sink, now_ns, records.damaged, "records were damaged or without their arguments");
}

/* Take the last records, and the notes of those processes whose parents are not told. */
static void take_the_rest(void) {
  await_last_records();
  program.control->generation = 0;
  collect_unfinished();
  records.on_exit = forget_unfinished;
  consume();
  records.on_exit = NULL;
  for (size_t i = 0; i < unfinished_count; i++) {
    const struct ptreetime_process *process = &unfinished[i].process;
    if (process->dying)
      ptreetime_records_take(&records, &process->exit, sizeof process->exit);
  }
}

/* Tell whom processes of the tree have connected to. A Unix socket without a file is named as /proc/net/unix does. */
static void report_connections(struct ptreetime_recording *recording) {
  struct ptreetime_peer_key key;
  struct ptreetime_peer peer;
  while (ptreetime_program_take_peer(&program, &key, &peer)) {
    char port[24];
    struct ptreetime_bytes socket = {port, (size_t)snprintf(port, sizeof port, "port %u", key.port)};
    if (key.pid != 0) {
      socket = (struct ptreetime_bytes){peer.path, peer.path_size};
      if (peer.path_size > 0 && peer.path_size <= sizeof peer.path)
        socket.size = peer.path[0] == '\0' ? peer.path_size : strnlen(peer.path, peer.path_size);
      if (socket.size > 0 && peer.path[0] == '\0')
        peer.path[0] = '@';
    }
    if (peer.generation == generation && socket.size <= sizeof peer.path)
      ptreetime_sink_connection(&recording->sink, peer.time_ns, (pid_t)key.pid, socket);
  }
}

/* The end that main.c is told of: everything is in the sink. */
static void end(struct ptreetime_recording *recording) {
  take_the_rest();
  ptreetime_records_finish(&records);
  report_losses(recording);
  report_connections(recording);
  ptreetime_recording_end(recording, ptreetime_now_ns(), count_unfinished(false));
  stop_watching();
  recording->ended = true;
}

/* False where the caller has no right to kill it: it has become somebody else's. */
static bool kill_process(int descriptor) {
  return syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, NULL, 0) == 0 || errno != EPERM;
}

/* SIGKILL to every process of the tree that is not dying; how many those were that it ends. */
static size_t kill_tree(void) {
  size_t alive = 0;
  if (!root_is_dead()) /* it may be at its gate yet, and in no table */
    alive += kill_process(root_fd);
  collect_unfinished();
  for (size_t i = 0; i < unfinished_count; i++) {
    struct ptreetime_process process;
    if (unfinished[i].process.dying)
      continue;
    int descriptor = (int)syscall(SYS_pidfd_open, unfinished[i].process.pid, 0);
    /* The pid is still its own if it is in the table after the descriptor was opened. */
    if (descriptor >= 0 && ptreetime_program_find_process(&program, unfinished[i].key, &process) && !process.dying)
      alive += kill_process(descriptor);
    else
      alive++;
    if (descriptor >= 0)
      close(descriptor);
  }
  return alive;
}

static void ebpf_kill(struct ptreetime_recording *recording) {
  (void)recording;
  program.control->killing = 1; /* from now on who forks is killed by the BPF program */
  kill_tree();
}

static bool is_over(const struct ptreetime_recording *recording) {
  if (!recording->killing)
    return root_is_dead();
  if (root_is_dead())
    epoll_ctl(events, EPOLL_CTL_DEL, root_fd, NULL); /* it would wake us all the time */
  return kill_tree() == 0;
}

static const char *ebpf_step(struct ptreetime_recording *recording) {
  struct epoll_event ready[3];
  for (;;) {
    int count = epoll_wait(events, ready, 3, recording->killing ? KILL_AGAIN_MS : CALIBRATE_AGAIN_MS);
    if (count < 0 && errno != EINTR)
      return ptreetime_format_reason("can't wait for events: %s", strerror(errno));
    if (ptreetime_now_ns() - calibrated_ns >= CALIBRATE_AGAIN_MS * 1000000ull)
      calibrate_clock();
    bool control = false;
    for (int i = 0; i < count; i++) {
      if (ready[i].data.fd == program.records)
        consume();
      control |= ready[i].data.fd == PTREETIME_CONTROL;
    }
    uint64_t created = program.control->created, dead = program.control->dead;
    recording->processes = created > 0 ? created : 1;
    recording->running = created > 0 ? created - dead : 1;
    if (is_over(recording)) {
      end(recording);
      return NULL;
    }
    if (control)
      return NULL;
  }
}

/* Nothing is attached to the processes themselves. */
static void ebpf_detach(struct ptreetime_recording *recording) {
  (void)recording;
  stop_watching();
}

static const char *ebpf_uncounted(void) { return program.why_uncounted; }

const struct ptreetime_backend ptreetime_backend_ebpf = {
    .name = "ebpf",
    .capabilities = PTREETIME_CAP_BPF | PTREETIME_CAP_PERFMON,
    .open = ebpf_open,
    .attach = ebpf_attach,
    .step = ebpf_step,
    .kill = ebpf_kill,
    .collect = consume,
    .detach = ebpf_detach,
    .uncounted = ebpf_uncounted,
};
