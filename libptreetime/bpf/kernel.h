/* What ptreetime.bpf.c knows of the kernel: the fields that it reads, and nothing else.
 *
 * These are not the kernel's headers. Every field is found by name in the running kernel's own description of itself
 * (BTF) when the program is loaded, so the order here, the offsets and what is left out do not matter. A name that
 * ends in ___something is one of several shapes that kernels have had.
 */
#ifndef PTREETIME_BPF_KERNEL_H
#define PTREETIME_BPF_KERNEL_H

typedef ptreetime_u8 u8;
typedef __UINT16_TYPE__ u16;
typedef ptreetime_u32 u32;
typedef ptreetime_u64 u64;
typedef __INT32_TYPE__ s32;
typedef __INT64_TYPE__ s64;

#define SECTION(name) __attribute__((section(name), used))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define MAP_INTEGER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

typedef struct {
  long counter;
} atomic_long_t;

struct dentry;
struct vfsmount;

struct qstr {
  u32 len;
  const unsigned char *name;
};

struct dentry {
  struct dentry *d_parent;
  struct qstr d_name;
};

struct vfsmount {
  struct dentry *mnt_root;
};

struct mount {
  struct mount *mnt_parent;
  struct dentry *mnt_mountpoint;
  struct vfsmount mnt;
};

struct path {
  struct vfsmount *mnt;
  struct dentry *dentry;
};

struct file {
  struct path f_path;
  void *private_data;
};

struct fdtable {
  unsigned int max_fds;
  struct file **fd;
};

struct files_struct {
  struct fdtable *fdt;
};

struct fs_struct {
  struct path root;
  struct path pwd;
};

struct percpu_counter {
  s64 count;
};

struct mm_struct {
  unsigned long hiwater_rss;
  unsigned long arg_start;
  unsigned long arg_end;
  unsigned long env_end;
  struct file *exe_file;
  unsigned long saved_auxv[2];
  struct percpu_counter rss_stat[4];
};

struct mm_rss_stat {
  atomic_long_t count[4];
};

struct mm_struct___before_6_2 {
  struct mm_rss_stat rss_stat;
};

struct task_io_accounting {
  u64 rchar;
  u64 wchar;
  u64 syscr;
  u64 syscw;
};

struct signal_struct {
  atomic_t live;
  int nr_threads;
  int group_exit_code;
  unsigned int flags;
  u64 utime;
  u64 stime;
  unsigned long nvcsw;
  unsigned long nivcsw;
  unsigned long min_flt;
  unsigned long maj_flt;
  unsigned long maxrss;
  unsigned long long sum_sched_runtime;
};

struct rq {
  u64 clock;      /* the scheduler's clock when it last looked */
  u64 clock_task; /* without the time that interrupts and other virtual machines took */
};

struct cfs_rq {
  struct rq *rq;
};

struct sched_entity {
  u64 exec_start; /* clock_task when sum_exec_runtime was last counted */
  u64 sum_exec_runtime;
  struct cfs_rq *cfs_rq;
};

struct sched_info {
  unsigned long long run_delay;
};

struct ns_common {
  unsigned int inum;
};

struct pid_namespace {
  struct ns_common ns;
};

struct upid {
  int nr;
  struct pid_namespace *ns;
};

struct pid {
  unsigned int level;
  struct upid numbers[1];
};

struct net {
  struct ns_common ns;
};

struct possible_net {
  struct net *net;
};

struct in6_addr {
  char bytes[16]; /* not what the kernel calls it: read it as a whole */
};

struct sock_common {
  u32 skc_daddr; /* in the network's order of bytes, as is the port */
  u32 skc_rcv_saddr;
  u16 skc_dport;
  u16 skc_family;
  struct possible_net skc_net;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
  struct sock_common __sk_common;
  struct pid *sk_peer_pid; /* of a connected Unix socket: who called listen */
};

struct socket {
  short type;
  struct sock *sk;
};

struct sockaddr_un {
  char sun_path[108];
};

struct unix_address {
  int len; /* of the name, its family included */
  struct sockaddr_un name[1];
};

struct unix_sock {
  struct unix_address *addr;
  struct sock *peer;
};

struct sigaction {
  void *sa_handler;
};

struct k_sigaction {
  struct sigaction sa;
};

struct sighand_struct {
  struct k_sigaction action[64];
};

struct thread_info {
  u32 status; /* x86 */
};

struct pt_regs;

struct pt_regs___x86 {
  unsigned long di;      /* its first argument */
  unsigned long orig_ax; /* the number of the system call */
};

struct pt_regs___arm64 {
  u64 regs[31];
  u64 pstate;
  s32 syscallno;
};

struct task_struct {
  struct thread_info thread_info;
  int pid;
  int tgid;
  unsigned int flags;
  int exit_state;
  int exit_code;
  int exit_signal;
  struct task_struct *parent;
  struct task_struct *group_leader;
  struct pid *thread_pid;
  struct mm_struct *mm;
  struct fs_struct *fs;
  struct files_struct *files;
  struct signal_struct *signal;
  struct sighand_struct *sighand;
  struct sched_entity se;
  struct sched_info sched_info;
  u64 start_time; /* CLOCK_MONOTONIC */
  struct task_io_accounting ioac;
  u64 utime;
  u64 stime;
  unsigned long nvcsw;
  unsigned long nivcsw;
  unsigned long min_flt;
  unsigned long maj_flt;
  char comm[PTREETIME_NAME_SIZE];
};

struct task_rss_stat {
  int count[4];
};

struct task_struct___before_6_2 {
  struct task_rss_stat rss_stat;
};

struct trace_event_raw_sched_process_exec {
  int old_pid;
};

#pragma clang attribute pop

#define SIGKILL 9
#define SIGCHLD 17
#define SIG_IGN 1
#define TS_COMPAT 0x2                 /* thread_info.status on x86: in a system call of 32 bits */
#define PSR_MODE32_BIT 0x10           /* pstate on arm64: a program of 32 bits */
#define PID_NS_INIT_INODE 0xeffffffcu /* of the PID namespace that all others are in */
#define PF_EXITING 0x4                /* a task on its way out */
#define SIGNAL_GROUP_EXIT 0x4         /* the whole group ends with group_exit_code */
#define X86_PF_INSTR 0x10             /* a fault's error code on x86: an instruction was to be fetched */
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define LOOPBACK_NET 127
#define EINPROGRESS 115
#define AT_ENTRY 9 /* in the auxiliary vector: where the program begins */

/* The helper functions of the kernel, by their numbers in include/uapi/linux/bpf.h. */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static struct task_struct *(*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_send_signal)(u32 signal) = (void *)109;
static u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
struct bpf_perf_event_value {
  u64 counter, enabled, running;
};
static long (*const bpf_perf_event_read_value)(void *map, u64 flags, struct bpf_perf_event_value *value,
                                               u32 size) = (void *)55;
static long (*const bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
/* Linux 5.11 and later; its result can be read from directly, see GET. */
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static long (*const bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static u64 (*const bpf_ringbuf_query)(void *ring, u64 what) = (void *)134;

enum {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_RINGBUF = 27
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };
#define BPF_F_CURRENT_CPU 0xffffffffu

/* The value of a field of something in the kernel; zero where it can't be read. */
#define READ(field)                                                                                                    \
  ({                                                                                                                   \
    __typeof__(field) value_;                                                                                          \
    bpf_probe_read_kernel(&value_, sizeof value_, __builtin_preserve_access_index(&(field)));                          \
    value_;                                                                                                            \
  })
/* The same where the kernel may know the type of what is pointed to: what a tracepoint was called with, and what that
 * leads to. Then (direct: a constant) the field is loaded like any memory, a tenth of what the helper costs; the kernel
 * makes of a bad pointer a zero here too. Loading a pointer so costs the verifier a search through all types, most of a
 * millisecond of the start: READ is better for one that leads to one field. */
#define GET(direct, field)                                                                                             \
  ({                                                                                                                   \
    __typeof__(field) got_;                                                                                            \
    if (direct)                                                                                                        \
      got_ = (field);                                                                                                  \
    else                                                                                                               \
      got_ = READ(field);                                                                                              \
    got_;                                                                                                              \
  })
/* Whether the running kernel has bpf_get_current_task_btf. */
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158 };
#ifndef HAS_CURRENT_TASK_BTF
#define HAS_CURRENT_TASK_BTF __builtin_preserve_enum_value(*(enum bpf_func_id *)BPF_FUNC_get_current_task_btf, 0)
#endif
#define FIELD_EXISTS(field) __builtin_preserve_field_info(field, 2)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define FIELD_OFFSET(field) __builtin_preserve_field_info(field, 0)

#endif
