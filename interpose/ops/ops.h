// What the blocking system calls mean on a fiber: the handlers of interpose/syscalls.def.
//
// Each takes the call's six arguments and answers as the kernel does (-errno), or sys::kRestart
// when a signal interrupted it and the call may be restarted (man 7 signal).  Each tries without
// blocking first, and parks the calling fiber where the call would block.  None changes a file
// description, and none touches errno.  Only on a fiber.
#pragma once

namespace ramie::ops {

// io.cc: man 2 read, readv
long read(const long* a);
long write(const long* a);
long readv(const long* a);
long writev(const long* a);
long pread64(const long* a);
long preadv(const long* a);
long preadv2(const long* a);
long pwritev2(const long* a);

// splice.cc: man 2 sendfile, splice, tee, vmsplice
long sendfile(const long* a);
long splice(const long* a);
long tee(const long* a);
long vmsplice(const long* a);

// receive.cc, send.cc, connect.cc: man 2 recv, send, recvmmsg, sendmmsg, accept, connect
long recvfrom(const long* a);
long recvmsg(const long* a);
long recvmmsg(const long* a);
long sendto(const long* a);
long sendmsg(const long* a);
long sendmmsg(const long* a);
long accept(const long* a);
long accept4(const long* a);
long connect(const long* a);

// settings.cc: man 2 socket, setsockopt.  Any thread.
long socket(const long* a);
long setsockopt(const long* a);

// poll.cc, select.cc, epoll.cc: man 2 poll, select, epoll_wait
long poll(const long* a);
long ppoll(const long* a);
long select(const long* a);
long pselect6(const long* a);
long epoll_wait(const long* a);
long epoll_pwait(const long* a);
long epoll_pwait2(const long* a);

// ring.cc: man 2 io_uring_setup, io_uring_enter, io_uring_register.  The last two answer
// sys::kPassOn where the kernel shall make the call.
long io_uring_setup(const long* a);
long io_uring_enter(const long* a);
long io_uring_register(const long* a);

// time.cc: man 2 nanosleep, clock_nanosleep, sched_yield, pause
long nanosleep(const long* a);
long clock_nanosleep(const long* a);
long sched_yield(const long* a);
long pause(const long* a);

// process.cc: man 2 wait4, waitid
long wait4(const long* a);
long waitid(const long* a);

// descriptor.cc: man 2 close, dup, close_range.  Before a descriptor's number means something else,
// whoever waits for it is told, and what was known of it is forgotten.
long close(const long* a);
long dup2(const long* a);
long dup3(const long* a);
long close_range(const long* a);

// open.cc: man 2 open, openat, openat2, creat, open_by_handle_at
long open(const long* a);
long openat(const long* a);
long openat2(const long* a);
long creat(const long* a);
long open_by_handle_at(const long* a);
// Whether such a call opens a FIFO, and so may wait.
[[nodiscard]] bool waits_to_open(long number, const long* a);

// offloaded.cc: a call made by a helper thread, which a signal interrupts and which may be
// restarted.
long offload_and_restart(long number, const long* a);

// ipc.cc: man 2 semop, msgop, mq_timedsend, mq_timedreceive
long semop(const long* a);
long semtimedop(const long* a);
long msgsnd(const long* a);
long msgrcv(const long* a);
long mq_timedsend(const long* a);
long mq_timedreceive(const long* a);

// offloaded.cc: man 2 fsync, sync, msync, sync_file_range, syslog
long fsync(const long* a);
long fdatasync(const long* a);
long sync(const long* a);
long syncfs(const long* a);
long msync(const long* a);
long sync_file_range(const long* a);
long syslog(const long* a);

// lock.cc: man 2 flock, fcntl
long flock(const long* a);
long fcntl(const long* a);

}  // namespace ramie::ops
