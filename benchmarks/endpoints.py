"""Questions a second at one, two and four endpoints, side by side in one run.

    python benchmarks/endpoints.py [--seconds 5] [--delay 0.2] [--json FILE]

Each server has a process of its own and answers after 200 ms (`--delay`), a quarter of the questions in flight at a
time: so four are needed for all that are in flight, and as many times as fast is the most there is. The client is
limen's `openai` observer with pictures of 64x48, encoded already; series of 10 questions each stay at one endpoint.
Beside it stands the client's own CPU a question (`time.process_time`, all threads).
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import time
from importlib.metadata import version
from multiprocessing.connection import Connection

import numpy as np

SERIES = 10  # questions of one
TEXT = 'Is there any noticeable difference in "blur" between these two images? Please return <yes> or <no>.'


def serve(pipe: Connection) -> None:
    """Answer as many requests at a time as the pipe says, each after its delay; send the port back."""
    from aiohttp import web

    answer = {"index": 0, "message": {"role": "assistant", "content": "<no> Both look the same."}}
    body = {
        "object": "chat.completion", "model": "toy", "choices": [answer | {"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 70, "completion_tokens": 7, "total_tokens": 77},
    }  # fmt: skip
    data = json.dumps(body).encode()

    async def main() -> None:
        most, delay = pipe.recv()
        abreast = asyncio.Semaphore(most)

        async def complete(request: web.Request) -> web.Response:
            await request.read()
            async with abreast:
                await asyncio.sleep(delay)
            return web.Response(body=data, content_type="application/json")

        async def models(request: web.Request) -> web.Response:
            return web.json_response({"data": [{"id": "toy"}]})

        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", complete)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def ask(ports: list[int], in_flight: int, seconds: float) -> tuple[float, float]:
    """Return questions a second and CPU seconds a question.

    Args:
        ports: of the servers.
        in_flight: questions at a time, at all of them together.
        seconds: for how long, after a second that opens connections.
    """
    from limen import digest
    from limen.image import Picture
    from limen.observer import Follower, make
    from limen.question import Query
    from limen.trial import Trial

    rng = np.random.default_rng(20261130)
    pictures = [Picture.of(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(8)]
    urls = [f"http://127.0.0.1:{port}/v1" for port in ports]
    at = {"base_url": urls, "concurrency": in_flight // len(ports), "api_key_env": "", "logprobs": False}
    answered = 0
    async with make("openai:toy", at) as observer:
        fingerprint = digest.of(dict(observer.fingerprint()))

        async def one(number: int) -> None:
            nonlocal answered
            pair = pictures[number % 8], pictures[(number + 1) % 8]
            for draw in range(SERIES):
                query = Query((*pair, TEXT), draw=number * SERIES + draw)
                if isinstance(observer, Follower):
                    key = query.key(fingerprint)
                    observer.follow(Trial("toy", "direct", str(number), 0, draw, draw, False, 0, key))
                reply = await observer.answer(query)
                assert reply.answer is not None
                answered += 1

        async def work(first: int) -> None:
            number = first
            while time.perf_counter() < end:
                await one(number)
                number += in_flight

        end = time.perf_counter() + 1 + seconds
        workers = [asyncio.create_task(work(first)) for first in range(in_flight)]
        await asyncio.sleep(1)
        before, cpu, began = answered, time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds - 0.1)
        count, spent, took = answered - before, time.process_time() - cpu, time.perf_counter() - began
        await asyncio.gather(*workers)
    return count / took, spent / count


def measure(servers: int, in_flight: int, seconds: float, delay: float) -> tuple[float, float]:
    """Start servers, ask them, and stop them.

    Args:
        servers: how many.
        in_flight: questions at a time, at all of them together.
        seconds: for how long.
        delay: of an answer, in seconds.
    """
    context = multiprocessing.get_context("spawn")
    started = []
    try:
        ports = []
        for _ in range(servers):
            here, there = multiprocessing.Pipe()
            started.append(context.Process(target=serve, args=(there,), daemon=True))
            started[-1].start()
            here.send((in_flight // 4, delay))
            ports.append(here.recv())
        return asyncio.run(ask(ports, in_flight, seconds))
    finally:
        for process in started:
            process.terminate()
            process.join()


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    chosen = parser.parse_args()
    versions = {"python": platform.python_version()} | {name: version(name) for name in ("aiohttp", "orjson")}
    rows = []
    print(f"Servers that answer after {chosen.delay:g} s, a quarter of what is in flight at a time;")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}")
    columns = ("in flight", "servers", "questions/s", "as fast", "of the most", "CPU ms")
    print(" ".join(f"{column:>11}" for column in columns))
    for in_flight in chosen.in_flight:
        alone = 0.0
        for servers in chosen.servers:
            rate, cpu = measure(servers, in_flight, chosen.seconds, chosen.delay)
            alone = alone or rate
            share = rate / (servers * in_flight / 4 / chosen.delay)
            figures = (str(servers), f"{rate:.0f}", f"{rate / alone:.2f}", f"{share:.2f}", f"{1000 * cpu:.2f}")
            print(" ".join(f"{cell:>11}" for cell in (str(in_flight), *figures)), flush=True)
            rows.append({
                "in_flight": in_flight, "servers": servers, "questions_a_second": rate, "as_fast": rate / alone,
                "of_the_most": share, "cpu_ms": 1000 * cpu,
            })  # fmt: skip
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            about = {"versions": versions, "cores": os.cpu_count(), "delay_s": chosen.delay}
            json.dump(about | {"rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
