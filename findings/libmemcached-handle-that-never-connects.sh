#!/bin/sh
# libmemcached 1.1.4 (Debian 12: libmemcached-dev 1.1.4-1, libmemcached11 1.1.4-1, libhashkit-dev, libhashkit2 1.1.4-1), from
# Debian.
#
# A handle that only tells which server has a key (memcached_generate_hash on a ketama ring) and never connects looks small: a
# list of names and a table of points. It is not: each server brings the read and the write buffer of its connection, of 8 KB
# each, from memcached_server_add on. A hundred servers take 1.9 MB. Who keeps old rings for a while keeps that.
#
# Seen on 2026-11-29:
#   1 servers: 32 KB, 31.7 KB each
#   10 servers: 186 KB, 18.6 KB each
#   100 servers: 1858 KB, 18.6 KB each
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT INT TERM
cd "$directory"

apt-get download -qq libmemcached-dev=1.1.4-1 libmemcached11=1.1.4-1 libhashkit-dev=1.1.4-1 libhashkit2=1.1.4-1 \
    libsasl2-2 >/dev/null 2>&1 || { echo "the packages could not be downloaded"; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libmemcached.so.11*' | head -1)")
export LD_LIBRARY_PATH="$directory/$libraries"

cat >weigh.c <<'C'
#include <libmemcached/memcached.h>
#include <malloc.h>
#include <stdio.h>

static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int main(void) {
    int is_large = 1;
    for (int servers = 1; servers <= 100; servers *= 10) {
        size_t before = heap();
        memcached_st *handle = memcached_create(NULL);
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
        for (int number = 0; number < servers; number++) {
            char name[32];
            snprintf(name, sizeof name, "10.0.0.%d", number + 1);
            memcached_server_add(handle, name, 11211);
        }
        memcached_generate_hash(handle, "key", 3);
        double kilobytes = (double)(heap() - before) / 1024;
        printf("%d servers: %.0f KB, %.1f KB each\n", servers, kilobytes, kilobytes / servers);
        is_large &= kilobytes / servers >= 16;
        memcached_free(handle);
    }
    return !is_large;
}
C
cc -D_GNU_SOURCE -Iroot/usr/include -o weigh weigh.c -L"$libraries" -lmemcached -lhashkit
./weigh
