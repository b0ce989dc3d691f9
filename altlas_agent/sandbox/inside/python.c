/* What a child does of a program's life without a line of Python of ours, for every object that those touch is
 * a page to copy: run_program and finish of program.py do the same, change both.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server.h"

enum { CONFINED = 1, COMPILED = 2, FILE_INPUT = 257, PAGE_BYTES = 4096 };

/* Of the stable interface of CPython, whose headers are seldom installed. */
void *Py_CompileStringExFlags(const char *source, const char *file, int start, void *flags, int optimize);
void *PyEval_EvalCode(void *code, void *globals, void *locals);
void *PyObject_CallNoArgs(void *callable);
void *PyObject_CallMethod(void *object, const char *name, const char *format, ...);
void *PyModule_GetDict(void *module);
void *PyImport_GetModuleDict(void);
void *PySys_GetObject(const char *name);
int PyDict_SetItemString(void *dict, const char *key, void *value);
int PyGC_Enable(void);
long PyLong_AsLong(void *number);
void PyErr_Clear(void);

static struct sigaction interrupt;

/* SIGINT is the kernel's, for a guard that shares our memory may never run a handler. */
void keep_interrupt(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(SIGINT, &plain, &interrupt);
}

static int is_zero(void *count)
{
    void *number = PyObject_CallNoArgs(count);
    return number && !PyLong_AsLong(number);
}

/* Threads, exit functions and streams that are not as they were are left to Python. */
static enum outcome end(const struct python *p)
{
    if (is_zero(p->count_threads) && is_zero(p->count_exits) && PySys_GetObject("stdout") == p->out &&
        PySys_GetObject("stderr") == p->err && PyObject_CallMethod(p->out, "flush", NULL) &&
        PyObject_CallMethod(p->err, "flush", NULL))
        _exit(0);
    PyErr_Clear();
    return FINISH;
}

static void *compile(struct server *s)
{
    char *end = s->body + s->job.source, next = *end;
    *end = 0;
    void *code = Py_CompileStringExFlags(s->body, "program.py", FILE_INPUT, NULL, -1);
    *end = next;
    return code;
}

enum outcome run_python(struct server *s)
{
    const struct python *p = &s->python;
    void *code, *module = s->job.entry ? p->program : p->main, *modules = PyImport_GetModuleDict();
    if (memchr(s->body, 0, (size_t)s->job.source))
        fail(s, "the source holds a NUL byte");
    s->stage[0] = CONFINED;
    sigaction(SIGINT, &interrupt, NULL);
    PyGC_Enable();
    if (!PyObject_CallNoArgs(p->reseed) || !(code = compile(s)))
        return FAILED;
    s->stage[0] = COMPILED;
    /* Not unmapped, for Python has an object that a program can find and read. */
    if (mmap(s->stage, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        fail(s, "the page of stages");
    if (s->job.entry && (PyDict_SetItemString(modules, "program", module) || PyDict_SetItemString(modules, "__main__", module)))
        return FAILED;
    if (!PyEval_EvalCode(code, PyModule_GetDict(module), PyModule_GetDict(module)))
        return FAILED;
    return s->answers ? CALLS : end(p);
}
