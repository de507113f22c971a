/* The records that the BPF program leaves in its ring buffer for the recorder: one definition for both sides.
 *
 * All numbers are in the byte order of the machine. Every record begins with a ptreetime_record; its kind says what
 * follows:
 *
 *   CREATE     nothing
 *   EXEC       ptreetime_record_exec, then the path of the executable, the working directory and the first of the
 *              arguments, exe_size + cwd_size + args_size bytes. A path is its components from the last to the first,
 *              each with a final NUL. Arguments are as the kernel keeps them: one after the other, each with a final
 *              NUL (the last one may have lost it: programs may write there).
 *   ARGUMENTS  size bytes more of the arguments of the EXEC that came before it from the same cpu; the record may be
 *              longer than that
 *   EXIT       ptreetime_record_exit
 */
#ifndef PTREETIME_RECORDS_H
#define PTREETIME_RECORDS_H

/* The fixed-width types without <stdint.h>, which a C library for another target may not provide. */
typedef __UINT8_TYPE__ ptreetime_u8;
typedef __UINT32_TYPE__ ptreetime_u32;
typedef __UINT64_TYPE__ ptreetime_u64;

#define PTREETIME_NO_SYSTEM_CALL (~(ptreetime_u32)0)
#define PTREETIME_UNKNOWN (~(ptreetime_u64)0) /* a number that this kernel does not tell */
#define PTREETIME_NAME_SIZE 16                /* TASK_COMM_LEN */
#define PTREETIME_PATH_LIMIT 4096             /* bytes of one path that are kept: a longer one is unknown */
#define PTREETIME_ARGS_FIRST 16384            /* bytes of arguments in an EXEC record */
#define PTREETIME_ARGS_LIMIT (6 << 20)        /* the kernel's own limit: 3/4 of _STK_LIM */

enum ptreetime_record_kind {
  PTREETIME_RECORD_CREATE = 1,
  PTREETIME_RECORD_EXEC = 2,
  PTREETIME_RECORD_ARGUMENTS = 3,
  PTREETIME_RECORD_EXIT = 4,
};

struct ptreetime_record {
  ptreetime_u32 kind;
  ptreetime_u32 generation; /* of the recording: what is left of an earlier one is not ours */
  ptreetime_u64 time_ns;    /* CLOCK_MONOTONIC */
  ptreetime_u32 pid;        /* as the recorder's PID namespace numbers it, as is parent_pid */
  ptreetime_u32 parent_pid; /* CREATE */
  ptreetime_u32 cpu;        /* EXEC, ARGUMENTS */
  ptreetime_u32 size;       /* ARGUMENTS */
};

/* What a process has used: the fields of Usage in events.py, in their order. This list is the records, the wire and the
 * count of both; a new field comes last. PTREETIME_UNKNOWN is nil on the wire. */
#define PTREETIME_USAGE(FIELD)                                                                                         \
  FIELD(cpu_ns)                                                                                                        \
  FIELD(utime_ns)                                                                                                      \
  FIELD(stime_ns)                                                                                                      \
  FIELD(max_rss_bytes)                                                                                                 \
  FIELD(run_delay_ns)                                                                                                  \
  FIELD(voluntary_switches)                                                                                            \
  FIELD(involuntary_switches)                                                                                          \
  FIELD(minor_faults)                                                                                                  \
  FIELD(major_faults)                                                                                                  \
  FIELD(read_bytes)                                                                                                    \
  FIELD(written_bytes)                                                                                                 \
  FIELD(failed_execs)                                                                                                  \
  FIELD(reads)                                                                                                         \
  FIELD(writes)                                                                                                        \
  FIELD(instructions)

/* Those of them that the kernel adds up for a process only together with its reaped children (signal->ioac), or not at
 * all, so that we add up threads: with the place in task_struct. */
#define PTREETIME_THREAD_COUNTERS(COUNTER)                                                                             \
  COUNTER(run_delay_ns, sched_info.run_delay)                                                                          \
  COUNTER(read_bytes, ioac.rchar)                                                                                      \
  COUNTER(written_bytes, ioac.wchar)                                                                                   \
  COUNTER(reads, ioac.syscr)                                                                                           \
  COUNTER(writes, ioac.syscw)

#define PTREETIME_USAGE_MEMBER(name, ...) ptreetime_u64 name;
#define PTREETIME_USAGE_NIL(name) PTREETIME_UNKNOWN,

struct ptreetime_usage {
  PTREETIME_USAGE(PTREETIME_USAGE_MEMBER)
};

struct ptreetime_thread_counters {
  PTREETIME_THREAD_COUNTERS(PTREETIME_USAGE_MEMBER)
};

#define PTREETIME_USAGE_FIELDS (sizeof(struct ptreetime_usage) / sizeof(ptreetime_u64))
#define PTREETIME_USAGE_UNKNOWN                                                                                        \
  { PTREETIME_USAGE(PTREETIME_USAGE_NIL) }

struct ptreetime_record_exec {
  struct ptreetime_record record;
  struct ptreetime_usage usage;
  char name[PTREETIME_NAME_SIZE];
  ptreetime_u32 exe_size;   /* 0: unknown */
  ptreetime_u32 cwd_size;   /* 0: unknown */
  ptreetime_u32 args_size;  /* in this record */
  ptreetime_u32 args_total; /* in this record and the ARGUMENTS that follow */
  ptreetime_u32 args_known; /* 0: the memory that holds them could not be read */
  ptreetime_u32 reserved;
  ptreetime_u64 loading_ns; /* of the image that ends: from its exec to its first instruction, or unknown */
};

struct ptreetime_record_exit {
  struct ptreetime_record record;
  struct ptreetime_usage usage;
  char name[PTREETIME_NAME_SIZE];
  ptreetime_u32 status; /* as wait(2) gives it */
  ptreetime_u32 reserved;
  ptreetime_u64 loading_ns; /* of the last image */
  ptreetime_u64 leaving_ns; /* from the last call of the process to its death, or unknown */
};

enum ptreetime_counts_execs {
  PTREETIME_EXECS_UNCOUNTED = 0,
  PTREETIME_EXECS_COUNTED = 1,      /* those of programs of 64 bits: the others come by other functions */
  PTREETIME_EXECS_COUNTED_FULLY = 2 /* those of programs of 32 bits too */
};

/* What the recorder and the BPF program tell each other without system calls: the program's .bss, mapped. */
struct ptreetime_control {
  ptreetime_u32 generation;   /* 0: nothing is recorded */
  ptreetime_u32 root_pid;     /* its next exec begins the tree; 0 once that has happened */
  ptreetime_u32 pid_ns_inode; /* of the recorder's PID namespace */
  ptreetime_u32 wake_bytes;   /* the recorder sleeps until so many bytes wait for it */
  ptreetime_u32 waking;       /* it has been woken and has not looked yet */
  ptreetime_u32 killing;      /* who forks is to die, where the caller may kill it */
  ptreetime_u32 counts_execs; /* what counts failed execs is attached: enum ptreetime_counts_execs */
  ptreetime_u32 calibrating;  /* the recorder sends itself signals: see clock_offset_ns */
  ptreetime_u64 created;      /* processes of this recording, its root included */
  ptreetime_u64 dead;
  ptreetime_u64 lost_records;   /* the ring buffer was full, or two programs wanted one cpu's buffer */
  ptreetime_u64 lost_processes; /* the table of processes was full: these and all below them were not seen */
  ptreetime_u64 root_dentry;    /* the root directory of the command, where paths begin */
  ptreetime_u64 root_mount;
  /* CLOCK_MONOTONIC minus the scheduler's clock, as the recorder found it out: the smallest difference between now and
   * the scheduler's last look at its clock, over several looks that it provoked. 0: not known. */
  ptreetime_u64 clock_offset_ns;
  ptreetime_u64 calibration_ns;      /* the smallest so far */
  ptreetime_u64 calibrated_ns;       /* when that was looked for last, by CLOCK_MONOTONIC of no time namespace */
  ptreetime_u64 root_seen_ns;        /* by that clock: the root had its number then, and was the caller's */
  ptreetime_u64 page_size;           /* in bytes */
  ptreetime_u32 exec_numbers[2];     /* of the system calls execve and execveat */
  ptreetime_u32 exec_numbers_32[2];  /* for programs of 32 bits */
  ptreetime_u32 caller_uid;          /* whose processes may be roots, or killed: this real user's; UINT32_MAX: all */
  ptreetime_u32 net_ns_inode;        /* of the recorder's network */
  ptreetime_u32 counts_instructions; /* each CPU has a counter of them */
  ptreetime_u32 reserved;
};

/* Whom the processes of the tree connect to, in the table "peers": who listens to a Unix socket, or the TCP port. */
struct ptreetime_peer_key {
  ptreetime_u32 pid;
  ptreetime_u32 port;
};

struct ptreetime_peer {
  ptreetime_u64 time_ns; /* of the first connection */
  ptreetime_u32 generation;
  ptreetime_u32 path_size;
  char path[108]; /* that the Unix socket is bound to; of one without a file the first byte is NUL */
  ptreetime_u32 reserved;
};

/* A process of the tree, in the table "processes" under the kernel's own number for it. */
struct ptreetime_process {
  ptreetime_u32 pid;
  ptreetime_u32 generation;
  ptreetime_u32 dying;  /* its last thread has come to its end, and nobody has been told yet */
  ptreetime_u32 untold; /* its parent ignores SIGCHLD: nobody will be told */
  ptreetime_u32 failed_execs;
  ptreetime_u32 short_image; /* its current program is one of 32 bits */
  ptreetime_u32 was_short;   /* one of its programs was, or the one that it was forked with */
  ptreetime_u32 connecting;  /* the descriptor of its last call of connect */
  ptreetime_u32 uncounted;   /* its instructions have not been counted all the time */
  ptreetime_u32 reserved;
  ptreetime_u64 instructions;              /* in user space, since its first exec if it has had one */
  ptreetime_u64 begin_ns;                  /* its leader's start_time: the number alone may have become another's */
  struct ptreetime_thread_counters ended;  /* of its threads that have ended, the leader apart */
  struct ptreetime_thread_counters leader; /* at the leader's end: an exec in another thread takes its place */
  ptreetime_u64 max_rss_bytes;             /* of the current image, read before its memory went; else unknown */
  ptreetime_u64 earlier_max_rss_pages;     /* signal->maxrss when the current image began */
  ptreetime_u64 entry;                     /* the address of its first instruction, until that has run; 0: not known */
  ptreetime_u64 exec_ns;
  ptreetime_u64 loading_ns;
  ptreetime_u64 mailbox;      /* where our library leaves the time at which it was loaded (mailbox_linux.c), or 0 */
  ptreetime_u64 last_call_ns; /* when the process began to end; 0: it has not, as far as is known */
  struct ptreetime_record_exit exit; /* what is known while dying */
};

#endif
