/*
 * The life of a process tree, as DTrace sees it: the same script on macOS, FreeBSD, illumos and Linux.
 *
 *     dtrace -x argref -x evaltime=exec -s ptreetime.d -s dtrace/SYSTEM.d PID_FIELD ROOT
 *
 * ROOT waits until "begin" is printed; its end ends the script. PID_FIELD is where proc:::create has the child's pid:
 * pr_pid (macOS, illumos, Linux: psinfo_t), p_pid (FreeBSD: struct proc). dtrace/SYSTEM.d has what differs more than
 * that: the exits. Every record is
 *
 *     PTREETIME WORD TIMESTAMP PID ...
 *
 * and one line; strings come last, after their lengths, because they may hold anything. Records of several processors
 * are not in order. What was dropped is on dtrace's standard error. pytest_ptreetime/tracers/dtrace_output.py reads it
 * all.
 */
#pragma D option quiet
#pragma D option bufsize=16m
#pragma D option dynvarsize=16m
#pragma D option strsize=1024
#pragma D option switchrate=10hz

/* The processes of the tree. Filled at their creation: progenyof() would lose those whose parent is dead. */
int member[int];

/* Both clocks at one moment: timestamp counts from where its system likes. */
BEGIN
{
        member[$2] = 1;
        printf("PTREETIME begin %d %d %d\n", timestamp, $2, walltimestamp);
}

/* A thread is "created" by some systems too, with the pid of its own process. */
proc:::create
/member[pid] && args[0]->$1 != pid/
{
        member[args[0]->$1] = 1;
        printf("PTREETIME create %d %d %d\n", timestamp, args[0]->$1, pid);
}

/* A stranger with the pid of one that has ended. */
proc:::create
/!member[pid] && member[args[0]->$1]/
{
        member[args[0]->$1] = 0;
}

proc:::exec-success
/member[pid]/
{
        printf("PTREETIME exec %d %d %d %d %s %s\n", timestamp, pid, strlen(execname), strlen(curpsinfo->pr_psargs),
            execname, curpsinfo->pr_psargs);
}

/* The last record of all. What dtrace does after it (on Linux, 6 s of freeing memory) is of no use to anybody. */
END
{
        printf("PTREETIME end %d\n", timestamp);
}
