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
 *     used TIMESTAMP PID CPU UTIME STIME      nanoseconds, at the exec or the exit that was told last
 *     dead TIMESTAMP PID CPU UTIME STIME
 */

/* The scheduler counts a thread's time at ticks and at switches, by a clock that was right when it last looked. That
 * clock and ours are as far apart as they are right after a look, as at the birth of any process: the smallest
 * difference seen. They drift apart (100 millionths at most), so an old smallest one may be exceeded by that much. */
long difference;
long difference_since;

BEGIN
{
        difference = 1 << 62;
}

rawtp:sched::sched_wakeup_new
{
        this->difference = (long)(timestamp - ((struct task_struct *)arg0)->se.cfs_rq->rq->clock);
        this->slack = ((long)timestamp - difference_since) / 10000;
        difference_since = this->difference <= difference + this->slack ? timestamp : difference_since;
        difference = this->difference <= difference + this->slack ? this->difference : difference;
}

/* What the scheduler has not counted yet of the current thread; more than any tick is nonsense. */
inline long since_look = (long)(timestamp - difference - curthread->se.cfs_rq->rq->clock);
inline long before_look = (long)(curthread->se.cfs_rq->rq->clock_task - curthread->se.exec_start);
inline long uncounted = (since_look > 0 && since_look < 100000000 ? since_look : 0) +
    (before_look > 0 && before_look < 100000000 ? before_look : 0);

/* All of the current process, of its leader and of its threads that are gone. */
inline long used_cpu = curthread->signal->sum_sched_runtime + curthread->group_leader->se.sum_exec_runtime + uncounted;
inline long used_utime = curthread->signal->utime + curthread->group_leader->utime;
inline long used_stime = curthread->signal->stime + curthread->group_leader->stime;

proc:::exec-success
/member[pid]/
{
        printf("PTREETIME args %d %d %d %d\n", timestamp, pid, *(int *)copyin(curthread->mm->start_stack, 4),
            curthread->mm->arg_end - curthread->mm->arg_start);
        printf("PTREETIME used %d %d %d %d %d\n", timestamp, pid, used_cpu, used_utime, used_stime);
}

proc:::lwp-exit
/member[pid] && curthread->signal->live.counter == 0/
{
        printf("PTREETIME exit %d %d %d\n", timestamp, pid, (curthread->signal->flags & 4) != 0 ?
            curthread->signal->group_exit_code : curthread->group_leader->exit_code);
}

proc:::lwp-exit
/member[pid] && curthread->signal->nr_threads == 1 && curthread == curthread->group_leader/
{
        printf("PTREETIME used %d %d %d %d %d\n", timestamp, pid, used_cpu, used_utime, used_stime);
}

rawtp:signal::signal_generate
/arg0 == 17 && member[pid] && curthread->exit_state != 0/
{
        printf("PTREETIME dead %d %d %d %d %d\n", timestamp, pid, used_cpu, used_utime, used_stime);
        member[pid] = 0;
}

rawtp:signal::signal_generate
/arg0 == 17 && pid == $2 && curthread->exit_state != 0/
{
        exit(0);
}
