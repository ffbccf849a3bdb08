#!/bin/sh
# memcached 1.6.18-1 (Debian 12).
#
# `memcached -h` says of -I, the largest item: "min: 1k". So `-I 2k` looks like a server for small items, and is the obvious
# way to test what a client does with a value over the limit. The server does not start: large items are made of
# chunks, whose size (slab_chunk_max, 512 KB unless it is set) may not be over -I. Everything from 1k to 511k wants
# `-o slab_chunk_max` beside it. 512k does not.
#
# Seen on 2026-11-28:
#   -I 2k: exit 64, slab_chunk_max (bytes: 524288) cannot be larger than -I (item_size_max 2048)
#   -I 2k -o slab_chunk_max=1024: runs
#   -I 512k: runs
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT INT TERM
cd "$directory"

apt-get download -qq memcached=1.6.18-1 libevent-2.1-7 libsasl2-2 >/dev/null 2>&1 ||
    { echo "the packages could not be downloaded"; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find root -name 'libevent-2.1.so.7*' | head -1)")
export LD_LIBRARY_PATH="$directory/$libraries"

port=23621
user=""
if [ "$(id -u)" -eq 0 ]; then user="-u root"; fi
# try OPTIONS: says whether the server runs with them, for a second; 124 is what `timeout` says of one that does.
try() {
    code=0
    # shellcheck disable=SC2086
    timeout 1 root/usr/bin/memcached $user -l 127.0.0.1 -p "$port" "$@" 2>error || code=$?
    port=$((port + 1))
    if [ "$code" -eq 124 ]; then echo "$*: runs"; else echo "$*: exit $code, $(head -1 error)"; fi
}

try -I 2k
refused=$code
try -I 2k -o slab_chunk_max=1024
small=$code
try -I 512k
[ "$refused" -eq 64 ] && [ "$small" -eq 124 ] && [ "$code" -eq 124 ]
