/*
 * Linux. psargs joins the arguments by spaces; their number (at the top of the new stack) and their size in memory say
 * whether it can be split again.
 *
 * proc:::exit fires for the leader, whose threads may live on: a process ends with its last thread. Since Linux 6.16
 * that is before its memory is given back. Its parent can see it dead when the dying thread itself sends SIGCHLD (not
 * where the parent ignores it); by then all threads but the leader have added their times to those of the process.
 *
 *     args TIMESTAMP PID COUNT SIZE
 *     exit TIMESTAMP PID STATUS               STATUS as wait(2) gives it
 *     dead TIMESTAMP PID CPU UTIME STIME      nanoseconds
 */
proc:::exec-success
/member[pid]/
{
        printf("PTREETIME args %d %d %d %d\n", timestamp, pid, *(int *)copyin(curthread->mm->start_stack, 4),
            curthread->mm->arg_end - curthread->mm->arg_start);
}

proc:::lwp-exit
/member[pid] && curthread->signal->live.counter == 0/
{
        printf("PTREETIME exit %d %d %d\n", timestamp, pid, (curthread->signal->flags & 4) != 0 ?
            curthread->signal->group_exit_code : curthread->group_leader->exit_code);
}

rawtp:signal::signal_generate
/arg0 == 17 && member[pid] && curthread->exit_state != 0/
{
        printf("PTREETIME dead %d %d %d %d %d\n", timestamp, pid,
            curthread->signal->sum_sched_runtime + curthread->group_leader->se.sum_exec_runtime,
            curthread->signal->utime + curthread->group_leader->utime,
            curthread->signal->stime + curthread->group_leader->stime);
        member[pid] = 0;
}

rawtp:signal::signal_generate
/arg0 == 17 && pid == $2 && curthread->exit_state != 0/
{
        exit(0);
}
