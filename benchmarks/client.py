"""CPU a question: limen's `openai` observer, alone and with the store, beside the official `openai` client.

    python benchmarks/client.py [--questions 512] [--json FILE]

A server in a process of its own answers after 200 ms. Each client runs in a process of its own, with pictures that
are already encoded (limen: in its cache; the official client: as data URLs), and reports its own CPU seconds
(`time.process_time`, all threads) divided by the questions. "with store" is the observer driven by a session that
writes every answer to disk before it goes on. They take turns, and the least of the repeats counts: the CPU is shared,
and noise only adds.
"""

import argparse
import asyncio
import base64
import itertools
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

DELAY = 0.2
PICTURES = 8
TEXT = (
    'Is there any noticeable difference in "blur" between these two images? Please return <yes> or <no> with analysis.'
)
KEY = "none-needed"


def serve(pipe: Connection) -> None:
    """Answer every request after the delay, and send the port through the pipe."""
    from aiohttp import web

    content = "<yes> The second image is slightly blurred, most visibly along the edges."
    body = {
        "id": "1", "object": "chat.completion", "created": 0, "model": "toy",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 700, "completion_tokens": 16, "total_tokens": 716},
    }  # fmt: skip
    data = json.dumps(body).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(DELAY)
        return web.Response(body=data, content_type="application/json")

    async def main() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def photographs() -> list[np.ndarray]:
    """Return pictures of 512x384 with the spectrum of photographs (1/f) and a little sensor noise."""
    rng = np.random.default_rng(20250701)
    rows, columns = np.fft.fftfreq(384)[:, None], np.fft.rfftfreq(512)[None, :]
    falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / 512) ** 1.3
    pictures = []
    for _ in range(PICTURES):
        grey = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((384, 512))) * falloff, (384, 512))
        tint = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((3, 384, 512))) * falloff**1.2, (384, 512))
        whole = grey[..., None] / grey.std() + 0.3 * np.moveaxis(tint / tint.std(), 0, -1)
        whole = 128 + 45 * whole + rng.normal(0, 1.5, whole.shape)
        pictures.append(np.clip(np.round(whole), 0, 255).astype(np.uint8))
    return pictures


def ours(port: int, encoding: str, abreast: int, questions: int) -> float:
    """Return limen's CPU seconds for the questions, pictures cached."""
    from limen.image import Picture
    from limen.observer import make
    from limen.question import Query

    options = {
        "base_url": f"http://127.0.0.1:{port}/v1", "concurrency": abreast, "encoding": encoding,
        "logprobs": False, "api_key_env": "",
    }  # fmt: skip
    shown = [Picture.of(pixels) for pixels in photographs()]

    async def run() -> float:
        async with make("openai:toy", options) as observer:

            async def ask(number: int) -> None:
                pair = shown[number % PICTURES], shown[(number + 1) % PICTURES]
                reply = await observer.answer(Query((*pair, TEXT)))
                assert reply.answer is not None
                assert len(reply.attempts) == 1

            return await measure(ask, abreast, questions)

    return asyncio.run(run())


def stored(port: int, encoding: str, abreast: int, questions: int) -> float:
    """Return limen's CPU seconds for the same questions, each answer on disk before the next question."""
    from limen import digest
    from limen.image import Picture
    from limen.observer import make
    from limen.question import Query
    from limen.store import Store
    from limen.study.session import Progress, Session
    from limen.trial import Trial

    options = {
        "base_url": f"http://127.0.0.1:{port}/v1", "concurrency": abreast, "encoding": encoding,
        "logprobs": False, "api_key_env": "",
    }  # fmt: skip
    shown = [Picture.of(pixels) for pixels in photographs()]
    counter = itertools.count()

    async def run(store: Store) -> float:
        async with make("openai:toy", options) as observer:
            fingerprint = digest.of(dict(observer.fingerprint()))
            session = Session(observer, fingerprint, store, Progress(), lambda progress: None, False, 0, False)

            async def ask(number: int) -> None:
                pair = shown[number % PICTURES], shown[(number + 1) % PICTURES]
                query = Query((*pair, TEXT), draw=next(counter))
                await session.answer(
                    query, Trial("o", "direct", "s", 0, 1, query.draw, False, 0, query.key(fingerprint))
                )

            return await measure(ask, abreast, questions)

    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "run", {}) as store:
        return asyncio.run(run(store))


def official(port: int, encoding: str, abreast: int, questions: int) -> float:
    """Return the official client's CPU seconds for the same questions, data URLs ready."""
    import openai

    from limen.image import encode

    mime = "image/jpeg" if encoding.startswith("jpeg") else "image/png"
    urls = [f"data:{mime};base64,{base64.b64encode(encode(pixels, encoding)).decode()}" for pixels in photographs()]

    async def run() -> float:
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0) as client:

            async def ask(number: int) -> None:
                pair = urls[number % PICTURES], urls[(number + 1) % PICTURES]
                content = [{"type": "image_url", "image_url": {"url": url}} for url in pair]
                reply = await client.chat.completions.create(
                    model="toy", max_tokens=256, temperature=0,
                    messages=[{"role": "user", "content": [*content, {"type": "text", "text": TEXT}]}],
                )  # fmt: skip
                assert reply.choices[0].message.content

            return await measure(ask, abreast, questions)

    return asyncio.run(run())


async def measure(ask: Callable[[int], Awaitable[None]], abreast: int, questions: int) -> float:
    """Return the CPU seconds of the questions, after one round that opens connections and fills caches."""

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            await ask(number)

    async def all_of(count: int) -> None:
        numbers = iter(range(count))
        await asyncio.gather(*(work(numbers) for _ in range(abreast)))

    await all_of(max(abreast, PICTURES))
    started = time.process_time()
    await all_of(questions)
    return time.process_time() - started


def child(pipe: Connection, client: str, *job: Any) -> None:
    """Measure one client in this process."""
    pipe.send({"limen": ours, "stored": stored, "official": official}[client](*job))


def apart(client: str, *job: Any) -> float:
    """Measure one client in a fresh process."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=child, args=(there, client, *job))
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--questions", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--abreast", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--encodings", nargs="+", default=["png", "jpeg:95"])
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    chosen = parser.parse_args()

    from limen.image import encode

    context = multiprocessing.get_context("spawn")
    here, there = multiprocessing.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    names = ("python", "aiohttp", "orjson", "openai")
    versions = {name: platform.python_version() if name == "python" else version(name) for name in names}
    rows = []
    print(
        f"CPU a question, two pictures of 512x384, least of {chosen.repeats} runs; {os.cpu_count()} cores; {versions}"
    )
    columns = ("encoding", "kB sent", "in flight", "limen ms", "with store", "official ms", "ratio")
    print(" ".join(f"{column:>11}" for column in columns))
    try:
        for encoding in chosen.encodings:
            kilobytes = 2 * np.mean([len(encode(one, encoding)) for one in photographs()]) * 4 / 3 / 1000
            for abreast in chosen.abreast:
                job = (port, encoding, abreast, max(chosen.questions, 4 * abreast))
                runs = [
                    [apart(client, *job) / job[3] for client in ("limen", "stored", "official")]
                    for _ in range(chosen.repeats)
                ]
                mine, kept, theirs = (min(column) * 1000 for column in zip(*runs, strict=True))
                ratio = theirs / kept
                figures = [
                    f"{kilobytes:.0f}",
                    str(abreast),
                    *(f"{x:.2f}" for x in (mine, kept, theirs)),
                    f"{ratio:.1f}",
                ]
                print(" ".join(f"{cell:>11}" for cell in (encoding, *figures)), flush=True)
                rows.append({
                    "encoding": encoding, "kilobytes": kilobytes, "in_flight": abreast, "questions": job[3],
                    "limen_ms": mine, "limen_stored_ms": kept, "official_ms": theirs, "ratio": ratio, "runs_s": runs,
                })  # fmt: skip
    finally:
        server.terminate()
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "cores": os.cpu_count(), "delay_s": DELAY, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
