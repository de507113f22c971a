/*
 * macOS: args[0] of proc:::exit is always 1. The status is the argument of the exit call; a process that did not call
 * it was killed, by a signal that is not told here.
 *
 *     exit TIMESTAMP PID STATUS        STATUS is -1 where it is not known
 */
syscall::exit:entry
/member[pid]/
{
        status[pid] = ((int)arg0 & 255) << 8 | 1 << 16;
}

proc:::exit
/member[pid]/
{
        printf("PTREETIME exit %d %d %d\n", timestamp, pid, status[pid] != 0 ? status[pid] & 65535 : -1);
        status[pid] = 0;
        member[pid] = 0;
}

proc:::exit
/pid == $2/
{
        exit(0);
}
