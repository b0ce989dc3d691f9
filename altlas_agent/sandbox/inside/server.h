/* What the parts of the helper share, and native.py with them. */
#ifndef ALTLAS_SERVER_H
#define ALTLAS_SERVER_H
#include <linux/filter.h>
#include <stdint.h>

enum outcome { FAILED = -1, SLOW, CALLS, FINISH, END };
enum broken { NOTHING, WALL, CPU, MEMORY };
enum { TICK_MS = 20, REASON = 16, REASON_BYTES = 300, OWN_PROCESSES = 3, REPLY_BYTES = 1 << 14 };

/* NUMBERS of program.py; behind it come source, standard input, entry and calls. */
struct job {
    int64_t source, stdin_bytes, entry, calls, answer_area;
    int64_t cpu_us, cpu_hard_s, wall_us, memory_bytes, address_bytes, output_bytes, file_bytes;
    int64_t processes, open_files, tmp_bytes, tmp_inodes, shm_bytes, shm_inodes;
};

/* REPLY of zygote.py; behind it come fault, standard output and error, answers. */
struct reply {
    int64_t stage, status, broken, wall_us, cpu_us, system_us, max_rss_kb, stdout_bytes, stderr_bytes, sizes[4];
};

/* Python objects that are kept for us. */
struct python {
    void *main, *program, *reseed, *count_threads, *count_exits, *out, *err;
};

/* _SERVER of native.py, which fills it, and reads pidfd and began while it watches a slow program. */
struct server {
    int64_t control, home, null, proc, own_address_bytes, own_rss_bytes, max_body_bytes;
    struct sock_fprog *filter;
    char *stack_top, *stage, *body;
    struct python python;
    int64_t pidfd, began_us, body_bytes, pid, guard, guard_pidfd, mounts, stdio[3];
    char *answers;
    struct job job;
    char text[REPLY_BYTES];
};

/* Compile and run the program of a child that is confined. FAILED: a Python exception is set. */
enum outcome run_python(struct server *s);

/* End a child whose layers are not complete. */
_Noreturn void fail(struct server *s, const char *what);
#endif
