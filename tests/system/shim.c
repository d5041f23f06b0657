/* shim.so, preloaded into one process under test: steps its wall clock and refuses one of its allocations.
 *
 * SHIM_FILE names a file of two 64-bit numbers that the test changes while the process runs: nanoseconds added to the wall clock, and how many
 * allocations are left until one is refused (0: none; -1: it was). Memory only with -DSHIM_MEMORY: Redis has an allocator of its own. */
#ifndef _GNU_SOURCE /* the test compiles it by itself, the build with the rest */
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static struct {
    _Atomic int64_t clock_ns;
    _Atomic int64_t until_refusal;
} * shared;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("SHIM_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (memory != MAP_FAILED)
        shared = memory;
}

/* ---- the clock: only the wall clock; the system call, because the function that is replaced cannot be asked ---- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result != 0 || shared == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return result;
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + shared->clock_ns;
    *now = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    return 0;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec fine;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &fine);
    *now = (struct timeval){ .tv_sec = fine.tv_sec, .tv_usec = fine.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *where)
{
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (where != NULL)
        *where = fine.tv_sec;
    return fine.tv_sec;
}

#ifdef SHIM_MEMORY
/* ---- memory ---- */

static int is_refused(void)
{
    if (shared == NULL || shared->until_refusal <= 0)
        return 0;
    int64_t left = atomic_fetch_sub(&shared->until_refusal, 1);
    if (left != 1)
        return 0;
    shared->until_refusal = -1;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __libc_realloc(memory, size);
}
#endif
