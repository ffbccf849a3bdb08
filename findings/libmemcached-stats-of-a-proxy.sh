#!/bin/sh
# libmemcached 1.1.4 (Debian 12: libmemcached-dev, libmemcached11, libhashkit-dev, libhashkit2 1.1.4-1) with nutcracker
# (twemproxy) 0.5.0+dfsg-2 and memcached 1.6.18-1, all from Debian.
#
# nutcracker does not know `stats`: it closes the connection without an answer. memcached_stat_execute() returns SUCCESS
# all the same, as it does when a memcached has answered; only the callback, which is never called, tells. `version`, on
# the other hand, nutcracker hands on to one of its servers, so that the answer is the server's and hides the proxy.
#
# Seen on 2026-11-28:
#   memcached: stats SUCCESS, some lines; version 1.6.18
#   nutcracker: stats SUCCESS, no lines; version 1.6.18
set -eu
directory=$(mktemp -d)
children=""
trap 'for child in $children; do kill "$child" 2>/dev/null || true; done; rm -rf "$directory"' EXIT INT TERM
cd "$directory"

apt-get download -qq libmemcached-dev=1.1.4-1 libmemcached11=1.1.4-1 libhashkit-dev=1.1.4-1 libhashkit2=1.1.4-1 \
    memcached=1.6.18-1 nutcracker=0.5.0+dfsg-2 libevent-2.1-7 libsasl2-2 libyaml-0-2 >/dev/null 2>&1 \
    || { echo "the packages could not be downloaded"; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libmemcached.so.11*' | head -1)")
export LD_LIBRARY_PATH="$directory/$libraries"

cat >ask.c <<'C'
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>

static memcached_return_t count(const memcached_instance_st *server, const char *key, size_t key_length,
                                const char *value, size_t value_length, void *lines) {
    (void)server; (void)key; (void)key_length; (void)value; (void)value_length;
    ++*(int *)lines;
    return MEMCACHED_SUCCESS;
}

static int ask(const char *name, int port, int *lines) {
    memcached_st *handle = memcached_create(NULL);
    memcached_server_add(handle, "127.0.0.1", (in_port_t)port);
    *lines = 0;
    memcached_return_t stats = memcached_stat_execute(handle, NULL, count, lines);
    memcached_st *other = memcached_create(NULL);
    memcached_server_add(other, "127.0.0.1", (in_port_t)port);
    memcached_return_t version = memcached_version(other);
    const memcached_instance_st *server = memcached_server_instance_by_position(other, 0);
    printf("%s: stats %s, %s lines; version %u.%u.%u\n", name, memcached_strerror(handle, stats),
           *lines ? "some" : "no", memcached_server_major_version(server), memcached_server_minor_version(server),
           memcached_server_micro_version(server));
    return stats == MEMCACHED_SUCCESS && version == MEMCACHED_SUCCESS;
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    int direct, proxied;
    int isServer = ask("memcached", atoi(arguments[1]), &direct);
    int isProxy = ask("nutcracker", atoi(arguments[2]), &proxied);
    return !(isServer && isProxy && direct > 0 && proxied == 0);
}
C
cc -Iroot/usr/include -o ask ask.c -L"$libraries" -lmemcached -lhashkit

user=""
if [ "$(id -u)" -eq 0 ]; then user="-u root"; fi
# shellcheck disable=SC2086
root/usr/bin/memcached $user -l 127.0.0.1 -p 23521 &
children=$!
cat >proxy.yml <<'Y'
pool:
  listen: 127.0.0.1:23522
  hash: md5
  distribution: ketama
  servers:
   - 127.0.0.1:23521:1
Y
root/usr/sbin/nutcracker -c proxy.yml -a 127.0.0.1 -s 23523 -o log &
children="$children $!"
sleep 1
./ask 23521 23522
