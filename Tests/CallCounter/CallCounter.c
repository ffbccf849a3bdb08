// Defined in the executable, these functions take the place of the C library's for all libraries that it loads.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CallCounter.h"

#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#include <stdlib.h>

#if defined(__linux__) && defined(__GLIBC__) && !defined(SANITIZED)

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#include <poll.h>
#include <sys/socket.h>

static atomic_bool is_counting;
static atomic_long allocations, sends, receives, polls;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static inline void count(atomic_long *counter) {
    if (atomic_load_explicit(&is_counting, memory_order_relaxed))
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void *malloc(size_t size) {
    count(&allocations);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(&allocations);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count(&allocations);
    return __libc_realloc(old, size);
}

ssize_t send(int socket, const void *bytes, size_t length, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "send");
    count(&sends);
    return next(socket, bytes, length, flags);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    static ssize_t (*next)(int, const struct msghdr *, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
    count(&sends);
    return next(socket, message, flags);
}

ssize_t recv(int socket, void *bytes, size_t length, int flags) {
    static ssize_t (*next)(int, void *, size_t, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "recv");
    count(&receives);
    return next(socket, bytes, length, flags);
}

int poll(struct pollfd *sockets, nfds_t number, int timeout) {
    static int (*next)(struct pollfd *, nfds_t, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "poll");
    count(&polls);
    return next(sockets, number, timeout);
}

bool call_counter_works(void) { return true; }

void call_counter_start(void) {
    atomic_store(&allocations, 0);
    atomic_store(&sends, 0);
    atomic_store(&receives, 0);
    atomic_store(&polls, 0);
    atomic_store(&is_counting, true);
}

call_counts call_counter_stop(void) {
    atomic_store(&is_counting, false);
    return (call_counts){
        atomic_load(&allocations), atomic_load(&sends), atomic_load(&receives), atomic_load(&polls)};
}

long call_counter_heap_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return (long)(info.uordblks + info.hblkhd);
}

long call_counter_resident(void) {
    malloc_trim(0);
    FILE *statm = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (statm == NULL) return 0;
    if (fscanf(statm, "%*d %ld", &pages) != 1) pages = 0;
    fclose(statm);
    return pages * sysconf(_SC_PAGESIZE);
}

#else

bool call_counter_works(void) { return false; }
void call_counter_start(void) {}
call_counts call_counter_stop(void) { return (call_counts){0, 0, 0, 0}; }
long call_counter_heap_in_use(void) { return 0; }
long call_counter_resident(void) { return 0; }

#endif
