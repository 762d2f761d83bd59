/*
 * Counts allocations, and the bytes that are in use: loaded before everything else (LD_PRELOAD) by
 * the runs that ask for it, so that the others are not slowed down. For glibc, whose own functions
 * have these second names.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

/* glibc's own header of each block. */
#define HEADER 8

static long long allocations;
static long long in_use;

long long bench_allocations(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

long long bench_bytes_in_use(void)
{
    return __atomic_load_n(&in_use, __ATOMIC_RELAXED);
}

static void *taken(void *block)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    if (block != NULL) {
        __atomic_fetch_add(&in_use, (long long)malloc_usable_size(block) + HEADER, __ATOMIC_RELAXED);
    }
    return block;
}

static void given_back(void *block)
{
    if (block != NULL) {
        __atomic_fetch_sub(&in_use, (long long)malloc_usable_size(block) + HEADER, __ATOMIC_RELAXED);
    }
}

void *malloc(size_t size)
{
    return taken(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return taken(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    given_back(block);
    return taken(__libc_realloc(block, size));
}

void free(void *block)
{
    given_back(block);
    __libc_free(block);
}

void *memalign(size_t alignment, size_t size)
{
    return taken(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}
