/*
 * FreeBSD: the status is in the dying process. The order of wait(2): the exit code, or else the signal.
 *
 *     exit TIMESTAMP PID STATUS
 */
proc:::exit
/member[pid]/
{
        printf("PTREETIME exit %d %d %d\n", timestamp, pid, args[0] == 1 ?
            (curthread->td_proc->p_xexit & 255) << 8 : curthread->td_proc->p_xsig | (args[0] == 3 ? 128 : 0));
        member[pid] = 0;
}

proc:::exit
/pid == $2/
{
        exit(0);
}
