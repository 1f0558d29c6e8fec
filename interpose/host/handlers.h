// The operations of the table that concern threads themselves (syscalls.def, host::*).
#pragma once

namespace ramie::host {

// clone.cc, fork.cc
long clone3(const long* a);
long clone(const long* a);
long fork(const long* a);
long exit_thread(const long* a);
long exit_process(const long* a);
long execve(const long* a);
long execveat(const long* a);

// identity.cc
long gettid(const long* a);
long set_tid_address(const long* a);
long set_robust_list(const long* a);
long get_robust_list(const long* a);
long rseq(const long* a);
long prctl(const long* a);
long sched_setparam(const long* a);
long sched_getparam(const long* a);
long sched_setscheduler(const long* a);
long sched_getscheduler(const long* a);
long sched_rr_get_interval(const long* a);
long sched_setaffinity(const long* a);
long sched_getaffinity(const long* a);
long sched_setattr(const long* a);
long sched_getattr(const long* a);
long setpriority(const long* a);
long getpriority(const long* a);
long ioprio_set(const long* a);
long ioprio_get(const long* a);

// kernel_state.cc
long unshare(const long* a);
long setns(const long* a);
long capset(const long* a);
long setfsuid(const long* a);
long setfsgid(const long* a);
long ioperm(const long* a);
long iopl(const long* a);
long landlock_restrict_self(const long* a);
long seccomp(const long* a);
long personality(const long* a);
long set_mempolicy(const long* a);
long arch_prctl(const long* a);
// prctl, but for what identity.cc answers.
long change_setting(const long* a);

// cpu_clocks.cc
long clock_gettime(const long* a);
long clock_getres(const long* a);
long getrusage(const long* a);

// tracing.cc
long ptrace(const long* a);

// send_signal.cc
long tgkill(const long* a);
long tkill(const long* a);
long rt_tgsigqueueinfo(const long* a);
long kill(const long* a);
long rt_sigqueueinfo(const long* a);

// thread_timers.cc
long timer_create(const long* a);
long timer_settime(const long* a);
long timer_gettime(const long* a);
long timer_delete(const long* a);
long timer_getoverrun(const long* a);

// credentials.cc
long setuid(const long* a);
long setgid(const long* a);
long setreuid(const long* a);
long setregid(const long* a);
long setresuid(const long* a);
long setresgid(const long* a);
long setgroups(const long* a);

// stack_map.cc
long mmap(const long* a);
long munmap(const long* a);
long mprotect(const long* a);
long madvise(const long* a);

// signal_calls.cc
long rt_sigaction(const long* a);
long rt_sigprocmask(const long* a);
long rt_sigpending(const long* a);
long signalfd(const long* a);
long signalfd4(const long* a);
long rt_sigsuspend(const long* a);
long rt_sigtimedwait(const long* a);
long sigaltstack(const long* a);

}  // namespace ramie::host
