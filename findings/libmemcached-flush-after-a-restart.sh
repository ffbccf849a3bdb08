#!/bin/sh
# libmemcached 1.1.4 (Debian 12: libmemcached-dev 1.1.4-1, libmemcached11 1.1.4-1, libhashkit2 1.1.4-1) and memcached 1.6.18
# (memcached 1.6.18-1), from Debian.
#
# On a connection whose server was restarted, get, set and delete return MEMCACHED_CONNECTION_FAILURE (3), after which one
# would connect again. memcached_flush returns MEMCACHED_SOME_ERRORS (19), also with one server, and memcached_success() is
# false for both alike: what it was has to be asked of memcached_last_error. Who repeats what failed with 3 does not repeat a
# flush.
#
# Seen on 2026-11-29:
#   get: CONNECTION FAILURE; last error: CONNECTION FAILURE
#   set: CONNECTION FAILURE; last error: CONNECTION FAILURE
#   delete: CONNECTION FAILURE; last error: CONNECTION FAILURE
#   flush: SOME ERRORS WERE REPORTED; last error: CONNECTION FAILURE
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT INT TERM
cd "$directory"

apt-get download -qq libmemcached-dev=1.1.4-1 libmemcached11=1.1.4-1 libhashkit-dev=1.1.4-1 libhashkit2=1.1.4-1 \
    memcached=1.6.18-1 libevent-2.1-7 libsasl2-2 >/dev/null 2>&1 || { echo "the packages could not be downloaded"; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libmemcached.so.11*' | head -1)")
export LD_LIBRARY_PATH="$directory/$libraries" PATH="$directory/root/usr/bin:$PATH"

cat >restart.c <<'C'
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>

static pid_t server;
static void start(const char *port) {
    server = fork();
    if (server == 0) {
        execlp("memcached", "memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, (char *)NULL);
        _exit(1);
    }
    usleep(500000);
}
static void stop(void) { kill(server, SIGKILL); waitpid(server, NULL, 0); }

int main(int argc, char **argv) {
    int is_same = 1;
    const char *names[] = {"get", "set", "delete", "flush"};
    for (int operation = 0; operation < 4; operation++) {
        start(argv[1]);
        memcached_st *handle = memcached_create(NULL);
        memcached_server_add(handle, "127.0.0.1", atoi(argv[1]));
        memcached_return_t code = memcached_set(handle, "k", 1, "v", 1, 0, 0);
        stop();
        start(argv[1]);
        size_t length; uint32_t flags;
        if (operation == 0) free(memcached_get(handle, "k", 1, &length, &flags, &code));
        if (operation == 1) code = memcached_set(handle, "k", 1, "v", 1, 0, 0);
        if (operation == 2) code = memcached_delete(handle, "k", 1, 0);
        if (operation == 3) code = memcached_flush(handle, 0);
        printf("%s: %s; last error: %s\n", names[operation], memcached_strerror(NULL, code),
               memcached_strerror(NULL, memcached_last_error(handle)));
        is_same &= code == (operation == 3 ? MEMCACHED_SOME_ERRORS : MEMCACHED_CONNECTION_FAILURE);
        is_same &= memcached_last_error(handle) == MEMCACHED_CONNECTION_FAILURE;
        memcached_free(handle);
        stop();
    }
    return !is_same;
}
C
cc -D_GNU_SOURCE -Iroot/usr/include -o restart restart.c -L"$libraries" -lmemcached -lhashkit
port=$((20000 + $$ % 10000))
./restart "$port"
