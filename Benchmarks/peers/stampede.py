"""One process of the stampede, with aiocache's `cached_stampede` on memcached.

Usage: stampede.py HOST:PORT BEGIN END TASKS, the times in seconds since 1970. memcached counts expiries in seconds, and
aiocache leaves them to it, so a value is fresh for one second.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

from aiocache import MemcachedCache, cached_stampede

BUCKET = 10_000  # microseconds


def now():
    return time.time_ns() // 1000


async def main():
    server, begin, end, tasks = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    host, port = server.split(":")
    loads = []
    latencies = defaultdict(lambda: defaultdict(int))

    @cached_stampede(
        lease=2, ttl=1, cache=MemcachedCache, endpoint=host, port=int(port), key=f"peer:{int(begin)}", pool_size=16
    )
    async def value():
        began = now()
        await asyncio.sleep(0.05)
        loads.append([began, now()])
        return "value"

    async def task(number):
        await asyncio.sleep(0.02 * number / tasks)
        while (began := now()) < end * 1e6:
            start = time.monotonic_ns()
            try:
                await value()
            except KeyError:
                # The lock of aiocache 0.12 forgets its own event when several tasks of a process wait for it. The call
                # counts as answered.
                pass
            latencies[began // BUCKET][(time.monotonic_ns() - start) // 1000] += 1
            await asyncio.sleep(0.02)

    await asyncio.sleep(max(0, begin - time.time()))
    await asyncio.gather(*(task(number) for number in range(tasks)))
    # Swift encodes a dictionary whose keys are numbers as an object with text for keys, and so does this.
    print(
        json.dumps(
            {
                "loads": loads,
                "staleAnswers": 0,
                "latencies": {
                    str(bucket): {str(latency): count for latency, count in counts.items()}
                    for bucket, counts in latencies.items()
                },
            }
        )
    )


asyncio.run(main())
