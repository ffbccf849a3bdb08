"""Hits of one client on the keys that the whole run reads, one key for each call, or a hundred for a CLIENT that ends in
"-many".

Usage: hits.py CLIENT HOST:PORT CALLERS SECONDS. Prints operations, seconds and sampled latencies in nanoseconds, as JSON.
"""

import asyncio
import json
import sys
import threading
import time

COUNT = 10_000
# In the order in which all clients read them, which is not the one that they were stored in.
KEYS = [f"bench:value:{1_000_000 + place * 7919 % COUNT}" for place in range(COUNT)]
VALUE = "x" * 100
BATCH = 100
BATCHES = [KEYS[first : first + BATCH] for first in range(0, COUNT, BATCH)]


def blocking_get(client, server):
    """A function that gets one key, or a list of them, with a connection of its own."""
    host, port = server.split(":")
    if client == "pylibmc":
        import pylibmc

        connection = pylibmc.Client([server], binary=False, behaviors={"tcp_nodelay": True})
        return connection.get
    if client == "pylibmc-many":
        import pylibmc

        connection = pylibmc.Client([server], binary=False, behaviors={"tcp_nodelay": True})

        def get_multi(keys):
            values = connection.get_multi(keys)
            return values if len(values) == len(keys) else None

        return get_multi
    if client == "pymemcache":
        from pymemcache.client.base import Client

        return Client((host, int(port)), no_delay=True).get
    from dogpile.cache import make_region

    region = make_region().configure(
        "dogpile.cache.pylibmc", expiration_time=3600, arguments={"url": [server], "behaviors": {"tcp_nodelay": True}}
    )
    # Its values have a format of their own, and so keys of their own.
    if not region.get("dogpile:" + KEYS[-1]):
        for key in KEYS:
            region.set("dogpile:" + key, VALUE)
    if client == "dogpile-many":
        return lambda keys: region.get_or_create_multi(
            ["dogpile:" + key for key in keys], lambda *missing: [VALUE] * len(missing)
        )
    return lambda key: region.get_or_create("dogpile:" + key, lambda: VALUE)


def loop(get, lists, each, caller, end, results):
    rounds, latencies, number = 0, [], caller * 997
    while True:
        sampled = rounds & 15 == 0
        if sampled:
            began = time.monotonic_ns()
            if began >= end:
                break
        if get(lists[number % len(lists)]) is None:
            raise SystemExit("a value was gone")
        if sampled:
            latencies.append(time.monotonic_ns() - began)
        rounds += 1
        number += 1
    results.append((rounds * each, latencies))


def run_threads(client, server, callers, seconds):
    gets = [blocking_get(client, server) for _ in range(callers)]
    lists, each = (BATCHES, BATCH) if client.endswith("-many") else (KEYS, 1)
    results = []
    began = time.monotonic_ns()
    end = began + int(seconds * 1e9)
    threads = [
        threading.Thread(target=loop, args=(get, lists, each, caller, end, results)) for caller, get in enumerate(gets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, (time.monotonic_ns() - began) / 1e9


async def run_tasks(server, callers, seconds):
    import aiomcache

    host, port = server.split(":")
    client = aiomcache.Client(host, int(port), pool_size=callers)
    keys = [key.encode() for key in KEYS]
    results = []
    began = time.monotonic_ns()
    end = began + int(seconds * 1e9)

    async def task(caller):
        operations, latencies, number = 0, [], caller * 997
        while (start := time.monotonic_ns()) < end:
            if await client.get(keys[number % len(keys)]) is None:
                raise SystemExit("a value was gone")
            if operations & 15 == 0:
                latencies.append(time.monotonic_ns() - start)
            operations += 1
            number += 1
        results.append((operations, latencies))

    await asyncio.gather(*(task(caller) for caller in range(callers)))
    return results, (time.monotonic_ns() - began) / 1e9


def main():
    client, server, callers, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if client == "aiomcache":
        results, took = asyncio.run(run_tasks(server, callers, seconds))
    else:
        results, took = run_threads(client, server, callers, seconds)
    print(
        json.dumps(
            {
                "operations": sum(operations for operations, _ in results),
                "seconds": took,
                "latencies": [latency for _, latencies in results for latency in latencies],
            }
        )
    )


main()
