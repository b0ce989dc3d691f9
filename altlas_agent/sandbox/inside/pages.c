/* Moves what the fork-server weighs onto huge pages, at the same addresses.
 *
 * A fork copies an entry for every page of its parent, and the end of the child takes them all away again:
 * for an interpreter some four thousand, which is a third of what a small program costs. Behind one entry for
 * two megabytes there are a dozen. Program text becomes private memory that way, and one mapping takes the
 * place of many, so everything in it can be read, written and executed: no wall rests on that, for a
 * program may map such memory itself.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HUGE_BYTES (2ul << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
enum { MOST_PIECES = 1024, MAPS_BYTES = 1 << 18, MOST_STRETCHES = 32 };

/* A line of /proc/self/maps. */
struct piece {
    unsigned long begin, end;
    int is_movable;
};

static struct piece pieces[MOST_PIECES], stretches[MOST_STRETCHES];
static int stretch_count;
static char maps[MAPS_BYTES];

static unsigned long up(unsigned long at)
{
    return (at + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

static unsigned long hexadecimal(char **at)
{
    unsigned long number = 0;
    for (;; ++*at) {
        if (**at >= '0' && **at <= '9')
            number = number * 16 + (unsigned long)(**at - '0');
        else if (**at >= 'a' && **at <= 'f')
            number = number * 16 + (unsigned long)(**at - 'a' + 10);
        else
            return number;
    }
}

/* Memory that is only ours, or that nobody changes; neither the stack nor what the kernel keeps up to date. */
static int is_movable(const char *flags)
{
    int is_constant = flags[3] == 'p' || flags[1] == '-';
    return flags[0] == 'r' && is_constant && !strstr(flags, "[v") && !strstr(flags, "[stack");
}

/* How many pieces there are; 0 where they cannot be told. */
static int read_pieces(void)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), count = 0;
    size_t used = 0;
    ssize_t got = 1;
    while (fd >= 0 && got > 0 && used < sizeof maps - 1)
        if ((got = read(fd, maps + used, sizeof maps - 1 - used)) > 0)
            used += (size_t)got;
    if (fd < 0 || close(fd) || got)
        return 0;
    maps[used] = 0;
    for (char *at = maps, *end; (end = strchr(at, '\n')); at = end + 1) {
        if (count == MOST_PIECES)
            return 0;
        *end = 0;
        struct piece *piece = &pieces[count++];
        piece->begin = hexadecimal(&at), at++;
        piece->end = hexadecimal(&at), at++;
        piece->is_movable = is_movable(at);
    }
    return count;
}

/* Empty huge pages, aligned; NULL where there are none. */
static char *huge_room(unsigned long size)
{
    char *room = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    char *place = (char *)up((unsigned long)room);
    if (place > room)
        munmap(room, (size_t)(place - room));
    munmap(place + size, (size_t)(room + HUGE_BYTES - place));
    int failed = madvise(place, size, MADV_HUGEPAGE);
    for (unsigned long at = 0; !failed && at < size; at += HUGE_BYTES)
        place[at] = 0;
    if (!failed && !madvise(place, size, MADV_COLLAPSE))
        return place;
    munmap(place, size);
    return NULL;
}

/* Whether what lies between two addresses is on huge pages now; the last of them may be used in part. */
static int move(int count, unsigned long begin, unsigned long end)
{
    unsigned long size = up(end - begin);
    char *place = huge_room(size);
    if (!place)
        return 0;
    if (stretch_count < MOST_STRETCHES)
        stretches[stretch_count++] = (struct piece){begin, end, 1};
    for (int i = 0; i < count; i++) {
        unsigned long from = pieces[i].begin > begin ? pieces[i].begin : begin;
        unsigned long to = pieces[i].end < end ? pieces[i].end : end;
        if (from < to)
            memcpy(place + (from - begin), (const void *)from, to - from);
    }
    /* Nothing but registers and the stack may change between the copy and this. */
    int is_moved = syscall(SYS_mremap, place, end - begin, end - begin, MREMAP_MAYMOVE | MREMAP_FIXED, begin) == (long)begin;
    if (!is_moved)
        munmap(place, size);
    else if (size > end - begin)
        munmap(place + (end - begin), size - (end - begin));
    return is_moved;
}

/* Where the first thing that has to stay in a block begins, or where the block ends. */
static unsigned long movable_end(int count, unsigned long block)
{
    unsigned long end = block + HUGE_BYTES;
    for (int i = count - 1; i >= 0; i--)
        if (!pieces[i].is_movable && pieces[i].begin < end && pieces[i].end > block)
            end = pieces[i].begin > block ? pieces[i].begin : block;
    return end;
}

/* How many stretches of our memory lie on huge pages now. Call it in a process of one thread, when all is loaded. */
int gather_pages(void)
{
    unsigned long heap_end = (unsigned long)sbrk(0), begin = 0, end = 0;
    sbrk((intptr_t)(up(heap_end) - heap_end)); /* so that the heap does not grow into what is moved */
    int count = read_pieces(), moved = 0;
    for (int i = 0; i < count; i++)
        for (unsigned long block = pieces[i].begin / HUGE_BYTES * HUGE_BYTES; block < pieces[i].end; block += HUGE_BYTES) {
            if (!pieces[i].is_movable)
                break;
            unsigned long stop = movable_end(count, block);
            if (block + HUGE_BYTES <= up(end) || stop == block)
                continue;
            if (block != end) {
                moved += end > begin && move(count, begin, end);
                begin = block;
            }
            end = stop;
        }
    return moved + (end > begin && move(count, begin, end));
}

/* A page that was written to between two forks has split the huge one that it was part of: put them together. */
void collapse_pages(void)
{
    for (int i = 0; i < stretch_count; i++)
        madvise((void *)stretches[i].begin, stretches[i].end - stretches[i].begin, MADV_COLLAPSE);
}
