#!/bin/sh
# libmemcached 1.1.4 (Debian 12: libmemcached-dev 1.1.4-1, libmemcached11 1.1.4-1, libhashkit-dev, libhashkit2 1.1.4-1) with
# memcached 1.6.18-1, all from Debian.
#
# memcached_version() looks like the cheapest way to see whether a connection works still: a command without a key that
# every server and proxy answers. It is none: the library keeps the version of a server that has answered once, and from
# then on returns SUCCESS from memory, though the server was killed, and sends nothing. memcached_mget of a key that is not
# there does ask.
#
# Seen on 2026-11-28:
#   version, server there: SUCCESS
#   version, server killed: SUCCESS
#   mget, server killed: CONNECTION FAILURE
set -eu
directory=$(mktemp -d)
server=""
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$directory"' EXIT INT TERM
cd "$directory"

apt-get download -qq libmemcached-dev=1.1.4-1 libmemcached11=1.1.4-1 libhashkit-dev=1.1.4-1 libhashkit2=1.1.4-1 \
    memcached=1.6.18-1 libevent-2.1-7 libsasl2-2 >/dev/null 2>&1 || { echo "the packages could not be downloaded"; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libmemcached.so.11*' | head -1)")
export LD_LIBRARY_PATH="$directory/$libraries"

cat >ask.c <<'C'
#include <libmemcached/memcached.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 3) return 2;
    int port = atoi(arguments[1]);
    pid_t server = atoi(arguments[2]);
    memcached_st *handle = memcached_create(NULL);
    memcached_server_add(handle, "127.0.0.1", (in_port_t)port);
    memcached_return_t there = memcached_version(handle);
    printf("version, server there: %s\n", memcached_strerror(handle, there));
    kill(server, SIGKILL);
    usleep(200 * 1000);
    memcached_return_t killed = memcached_version(handle);
    printf("version, server killed: %s\n", memcached_strerror(handle, killed));
    const char *keys[] = {"absent"};
    size_t lengths[] = {6};
    memcached_return_t asked = memcached_mget(handle, keys, lengths, 1);
    if (asked == MEMCACHED_SUCCESS) {
        memcached_result_st result;
        memcached_result_create(handle, &result);
        result.count = 1;
        memcached_fetch_result(handle, &result, &asked);
    }
    printf("mget, server killed: %s\n", memcached_strerror(handle, asked));
    return !(there == MEMCACHED_SUCCESS && killed == MEMCACHED_SUCCESS && asked != MEMCACHED_SUCCESS
             && asked != MEMCACHED_END);
}
C
cc -D_GNU_SOURCE -Iroot/usr/include -o ask ask.c -L"$libraries" -lmemcached -lhashkit

port=23511
user=""
if [ "$(id -u)" -eq 0 ]; then user="-u root"; fi
# shellcheck disable=SC2086
root/usr/bin/memcached $user -l 127.0.0.1 -p "$port" &
server=$!
sleep 1
./ask "$port" "$server"
