#ifndef CALL_COUNTER_H
#define CALL_COUNTER_H

#include <stdbool.h>

/// What is counted, in all threads of the process, between `call_counter_start` and `call_counter_stop`.
typedef struct {
    /// Allocations: `malloc`, `calloc` and `realloc`.
    long allocations;
    /// `send` and `sendmsg`.
    long sends;
    /// `recv`.
    long receives;
    /// `poll`.
    long polls;
} call_counts;

/// Whether the calls can be counted here: with glibc, and without a sanitizer, which has a `malloc` of its own.
bool call_counter_works(void);

void call_counter_start(void);
call_counts call_counter_stop(void);

/// Bytes that are allocated at this moment; 0 where the calls cannot be counted.
long call_counter_heap_in_use(void);

/// Bytes of this process that are in memory at this moment, after what is free was given back; 0 where the calls cannot be
/// counted.
long call_counter_resident(void);

#endif
