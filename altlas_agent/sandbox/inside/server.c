/* The fork-server's way from a request to its reply without touching a Python object, for every page
 * that Python touches while a child exists is copied. zygote.py does the same where no C compiler is
 * found: change both.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

#ifndef PIDFD_GET_MNT_NAMESPACE /* of Linux 6.11 */
#define PIDFD_GET_MNT_NAMESPACE _IO(0xFF, 3)
#endif

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int sleeper(void *unused)
{
    for (;;)
        pause();
    return unused != NULL;
}

_Noreturn void fail(struct server *s, const char *what)
{
    snprintf(s->stage + REASON, REASON_BYTES, "%s: %s", what, strerror(errno));
    _exit(70);
}

static void limit(struct server *s, int kind, int64_t value)
{
    struct rlimit both = {(rlim_t)value, (rlim_t)value};
    if (setrlimit(kind, &both))
        fail(s, "setrlimit");
}

static void cover(struct server *s, const char *where, int64_t bytes, int64_t inodes)
{
    char options[96];
    snprintf(options, sizeof options, "size=%ld,nr_inodes=%ld,mode=1777", (long)bytes, (long)inodes);
    if (mount("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, options))
        fail(s, where);
}

/* When memory runs out, the kernel must end the program and not the fork-server. */
static void become_victim(struct server *s)
{
    int fd;
    /* Our entry in /proc belongs to us only while we may be dumped. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) || (fd = openat((int)s->proc, "self/oom_score_adj", O_WRONLY)) < 0)
        fail(s, "oom_score_adj");
    if (write(fd, "1000", 4) != 4 || close(fd) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        fail(s, "oom_score_adj");
}

static void confine(struct server *s)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    const struct job *job = &s->job;
    for (int fd = 0; fd < 3; fd++)
        if (dup2((int)s->stdio[fd], fd) < 0)
            fail(s, "dup2");
    become_victim(s);
    if (syscall(SYS_close_range, 3, ~0U, 0))
        fail(s, "close_range");
    cover(s, "/tmp", job->tmp_bytes, job->tmp_inodes);
    cover(s, "/dev/shm", job->shm_bytes, job->shm_inodes);
    if (chdir("/tmp"))
        fail(s, "chdir");
    limit(s, RLIMIT_CPU, job->cpu_hard_s);
    limit(s, RLIMIT_AS, s->own_address_bytes + job->address_bytes + job->answer_area);
    limit(s, RLIMIT_FSIZE, job->file_bytes);
    limit(s, RLIMIT_NOFILE, job->open_files);
    limit(s, RLIMIT_CORE, 0);
    limit(s, RLIMIT_NPROC, job->processes + OWN_PROCESSES);
    memset(none, 0, sizeof none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || syscall(SYS_capset, &header, none))
        fail(s, "capset");
    if (s->filter && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, s->filter, 0, 0))
        fail(s, "seccomp");
}

/* A sleeping guard as pid 1, then the program as pid 2, so that signals are exact. 0 or an errno. */
static int start(struct server *s)
{
    int guard_pidfd = -1, pidfd = -1, number = 0;
    if (unshare(CLONE_NEWPID))
        return errno;
    s->guard = clone(sleeper, s->stack_top, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, &guard_pidfd);
    if (s->guard >= 0)
        s->pid = syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
    if (s->pid == 0)
        return 0;
    if (s->pid < 0)
        number = errno;
    s->guard_pidfd = guard_pidfd, s->pidfd = pidfd;
    /* Held until the reply is out: to take mounts apart the kernel waits for every processor. */
    s->mounts = ioctl(pidfd, PIDFD_GET_MNT_NAMESPACE, 0);
    return setns((int)s->home, CLONE_NEWPID) && !number ? errno : number;
}

static int receive(struct server *s, void *into, int64_t size)
{
    return size && recv((int)s->control, into, (size_t)size, MSG_WAITALL) != size;
}

static int next(struct server *s)
{
    const int64_t *numbers = (const int64_t *)&s->job, before = s->body_bytes;
    if (receive(s, &s->job, sizeof s->job))
        return -1;
    for (size_t i = 0; i < sizeof s->job / sizeof *numbers; i++)
        if (numbers[i] < 0 || (i < 4 && numbers[i] > s->max_body_bytes))
            return -1;
    s->body_bytes = s->job.source + s->job.stdin_bytes + s->job.entry + s->job.calls;
    if (s->body_bytes > s->max_body_bytes || receive(s, s->body, s->body_bytes))
        return -1;
    if (before > s->body_bytes) /* what another program was given is nobody else's business */
        memset(s->body + s->body_bytes, 0, (size_t)(before - s->body_bytes));
    return 0;
}

static int prepare(struct server *s)
{
    const struct job *job = &s->job;
    memset(s->stage, 0, REASON + REASON_BYTES);
    s->pid = s->guard = s->pidfd = s->guard_pidfd = s->mounts = -1;
    s->began_us = now_us();
    s->stdio[0] = job->stdin_bytes ? memfd_create("stdin", 0) : s->null;
    s->stdio[1] = memfd_create("out", 0), s->stdio[2] = memfd_create("err", 0), s->answers = NULL;
    if (job->answer_area)
        s->answers = mmap(NULL, (size_t)job->answer_area, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->stdio[0] < 0 || s->stdio[1] < 0 || s->stdio[2] < 0 || s->answers == MAP_FAILED)
        return errno;
    if (job->stdin_bytes && pwrite((int)s->stdio[0], s->body + job->source, (size_t)job->stdin_bytes, 0) < 0)
        return errno;
    return start(s);
}

static void sweep(struct server *s, struct reply *reply)
{
    struct rusage own = {0}, orphans = {0};
    int status = 0;
    syscall(SYS_pidfd_send_signal, (int)s->guard_pidfd, SIGKILL, NULL, 0);
    if (s->pid > 0)
        wait4((pid_t)s->pid, &status, 0, &own);
    wait4((pid_t)s->guard, NULL, 0, &orphans);
    close((int)s->guard_pidfd);
    close((int)s->pidfd);
    reply->status = status;
    reply->max_rss_kb = own.ru_maxrss;
    struct timeval times[4] = {own.ru_utime, own.ru_stime, orphans.ru_utime, orphans.ru_stime};
    for (int i = 0; i < 4; i++)
        reply->cpu_us += times[i].tv_sec * 1000000 + times[i].tv_usec;
    for (int i = 1; i < 4; i += 2)
        reply->system_us += times[i].tv_sec * 1000000 + times[i].tv_usec;
}

static int64_t at_most(int64_t value, int64_t cap)
{
    return value < cap ? value : cap;
}

/* In one piece where it is short, so that the worker wakes up once. */
static int answer(struct server *s, const struct reply *reply, const char *fault)
{
    char *text = s->text;
    const int64_t *sizes = reply->sizes;
    int64_t size = sizeof *reply;
    int out = (int)s->control, bad = 0, is_short = size + sizes[0] + sizes[1] + sizes[2] + sizes[3] <= REPLY_BYTES;
    memcpy(text, reply, (size_t)size);
    memcpy(text + size, fault, (size_t)sizes[0]);
    size += sizes[0];
    for (int i = 1; is_short && i < 3; size += sizes[i++])
        bad |= pread((int)s->stdio[i], text + size, (size_t)sizes[i], 0) != sizes[i];
    if (is_short && sizes[3])
        memcpy(text + size, s->answers, (size_t)sizes[3]), size += sizes[3];
    bad |= send(out, text, (size_t)size, MSG_NOSIGNAL) != size;
    for (int i = 1; !is_short && i < 3; i++)
        for (off_t at = 0; !bad && at < sizes[i];)
            bad = sendfile(out, (int)s->stdio[i], &at, (size_t)(sizes[i] - at)) <= 0;
    for (int64_t at = is_short ? sizes[3] : 0, sent = 0; !bad && at < sizes[3]; at += sent)
        bad = (sent = send(out, s->answers + at, (size_t)(sizes[3] - at), MSG_NOSIGNAL)) <= 0;
    memset(text, 0, (size_t)size);
    for (int i = 0; i < 3; i++)
        if (s->stdio[i] >= 0 && s->stdio[i] != s->null)
            close((int)s->stdio[i]);
    if (s->answers && s->answers != MAP_FAILED)
        munmap(s->answers, (size_t)s->job.answer_area);
    return bad;
}

/* End the program and all that it started, then reply. `number` is the errno that kept it from starting. */
int finish(struct server *s, int number, int broken, int64_t seen_cpu_us)
{
    struct reply reply = {.broken = broken};
    struct stat file;
    char fault[REASON_BYTES + 1] = "";
    if (s->guard_pidfd >= 0)
        sweep(s, &reply);
    reply.wall_us = now_us() - s->began_us;
    /* Whatever dies with its namespace is never waited for: its time is only in the last look at it. */
    reply.cpu_us = reply.cpu_us > seen_cpu_us ? reply.cpu_us : seen_cpu_us;
    if (!reply.broken && reply.max_rss_kb * 1024 - s->own_rss_bytes > s->job.memory_bytes)
        reply.broken = MEMORY;
    if (!reply.broken && reply.cpu_us > s->job.cpu_us)
        reply.broken = CPU;
    reply.stage = (unsigned char)s->stage[0];
    memcpy(fault, s->stage + REASON, REASON_BYTES);
    if (number)
        snprintf(fault, sizeof fault, "the program could not be started: %s", strerror(number));
    if (!fstat((int)s->stdio[1], &file))
        reply.stdout_bytes = file.st_size;
    if (!fstat((int)s->stdio[2], &file))
        reply.stderr_bytes = file.st_size;
    reply.sizes[0] = (int64_t)strlen(fault);
    reply.sizes[1] = at_most(reply.stdout_bytes, s->job.output_bytes);
    reply.sizes[2] = at_most(reply.stderr_bytes, s->job.output_bytes);
    if (s->answers && s->answers != MAP_FAILED)
        reply.sizes[3] = at_most(*(volatile uint32_t *)s->answers, s->job.answer_area);
    int bad = answer(s, &reply, fault);
    if (s->mounts >= 0)
        close((int)s->mounts);
    return bad;
}

/* Answer requests until one takes longer than a tick, or until this is a child that Python has to end. */
int serve(struct server *s)
{
    while (!next(s)) {
        int number = prepare(s);
        if (!number && s->pid == 0) {
            confine(s);
            return run_python(s);
        }
        struct pollfd ended = {.fd = (int)s->pidfd, .events = POLLIN};
        int tick_ms = (int)at_most(TICK_MS, s->job.wall_us / 1000);
        if (!number && poll(&ended, 1, tick_ms) == 0)
            return SLOW;
        if (finish(s, number, NOTHING, 0))
            break;
    }
    return END;
}
