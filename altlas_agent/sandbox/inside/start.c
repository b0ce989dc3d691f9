/* Starts one program inside namespaces of its own with every layer on, in one call.
 *
 * The fork-server calls start() in place of `_fork` and `confine` of zygote.py, which do the same
 * and serve where no C compiler is found: change both. In the fork-server start() answers the
 * program's pid, or -errno; in the program it answers 0, once everything is in place.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Packed by `_plan` of zygote.py: numbers only, in this order. */
struct plan {
    long home;           /* pidfd of the fork-server, the way back from the new pid namespace */
    long stdio[3];
    long cpu_s, address_bytes, file_bytes, open_files, processes;
    long tmp_bytes, tmp_inodes, shm_bytes, shm_inodes;
    struct sock_fprog *filter;
    char *stack_top;
    char *fault;         /* 300 bytes, shared: why a layer could not be put on */
    long guard, guard_pidfd, pidfd; /* answers */
};

static int sleeper(void *unused)
{
    for (;;)
        pause();
    return unused != NULL;
}

static void fail(struct plan *plan, const char *what)
{
    snprintf(plan->fault, 300, "OSError: %s: %s", what, strerror(errno));
    _exit(70);
}

static void limit(struct plan *plan, int kind, long value)
{
    struct rlimit both = {(rlim_t)value, (rlim_t)value};
    if (setrlimit(kind, &both))
        fail(plan, "setrlimit");
}

static void cover(struct plan *plan, const char *where, unsigned long flags, long bytes, long inodes, int mode)
{
    char options[96];
    snprintf(options, sizeof options, "size=%ld,nr_inodes=%ld,mode=%o", bytes, inodes, mode);
    if (mount("tmpfs", where, "tmpfs", flags | MS_NOSUID | MS_NODEV, options))
        fail(plan, where);
}

/* When memory runs out, the kernel must end the program and not the fork-server. */
static void become_victim(struct plan *plan)
{
    int fd;
    /* /proc/self belongs to us only while we may be dumped. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) || (fd = open("/proc/self/oom_score_adj", O_WRONLY)) < 0)
        fail(plan, "oom_score_adj");
    if (write(fd, "1000", 4) != 4 || close(fd) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        fail(plan, "oom_score_adj");
}

static void confine(struct plan *plan)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    for (int fd = 0; fd < 3; fd++)
        if (dup2((int)plan->stdio[fd], fd) < 0)
            fail(plan, "dup2");
    if (syscall(SYS_close_range, 3, ~0U, 0))
        fail(plan, "close_range");
    become_victim(plan);
    cover(plan, "/tmp", 0, plan->tmp_bytes, plan->tmp_inodes, 01777);
    cover(plan, "/dev/shm", 0, plan->shm_bytes, plan->shm_inodes, 01777);
    cover(plan, "/proc", MS_RDONLY, 4096, 1, 0555);
    if (chdir("/tmp"))
        fail(plan, "chdir");
    limit(plan, RLIMIT_CPU, plan->cpu_s);
    limit(plan, RLIMIT_AS, plan->address_bytes);
    limit(plan, RLIMIT_FSIZE, plan->file_bytes);
    limit(plan, RLIMIT_NOFILE, plan->open_files);
    limit(plan, RLIMIT_CORE, 0);
    limit(plan, RLIMIT_NPROC, plan->processes);
    memset(none, 0, sizeof none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || syscall(SYS_capset, &header, none))
        fail(plan, "capset");
    if (plan->filter && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, plan->filter, 0, 0))
        fail(plan, "seccomp");
}

long start(struct plan *plan)
{
    int guard_pidfd = -1, pidfd = -1, guard, number;
    long pid;
    if (unshare(CLONE_NEWPID))
        return -errno;
    guard = clone(sleeper, plan->stack_top, CLONE_VM | CLONE_PIDFD | SIGCHLD, NULL, &guard_pidfd);
    pid = guard < 0 ? -1 : syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
    if (pid == 0) {
        confine(plan);
        return 0;
    }
    number = pid < 0 ? errno : 0;
    if (setns((int)plan->home, CLONE_NEWPID) && !number)
        number = errno;
    plan->guard = guard, plan->guard_pidfd = guard_pidfd, plan->pidfd = pidfd;
    return number ? -number : pid;
}
