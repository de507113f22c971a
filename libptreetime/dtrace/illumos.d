/*
 * illumos: psargs joins the arguments by spaces, at most 79 bytes; their number says whether it can be split again.
 * args[0] of proc:::exit tells exited (1) from killed (2) and dumped (3); the status is the argument of the exit call,
 * the signal is not told here.
 *
 *     args TIMESTAMP PID COUNT SIZE    SIZE is 0: not known
 *     exit TIMESTAMP PID STATUS        STATUS is -1 where it is not known
 */
proc:::exec-success
/member[pid]/
{
        printf("PTREETIME args %d %d %d 0\n", timestamp, pid, curpsinfo->pr_argc);
}

syscall::rexit:entry
/member[pid]/
{
        status[pid] = ((int)arg0 & 255) << 8 | 1 << 16;
}

proc:::exit
/member[pid]/
{
        printf("PTREETIME exit %d %d %d\n", timestamp, pid,
            args[0] == 1 && status[pid] != 0 ? status[pid] & 65535 : -1);
        status[pid] = 0;
        member[pid] = 0;
}

proc:::exit
/pid == $2/
{
        exit(0);
}
