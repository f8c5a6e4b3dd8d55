"""A service that answers batch files hours later, in any order, and loses, doubles and fails some lines.

    service = Service("openai", threshold=8.0, lost=0.05, doubled=0.01, failed=0.05)
    answers = service.answer(files, tmp_path / "answers")
    service.asked["<digest of a body>"]

What becomes of a line depends on its custom_id alone, so that whole studies in rounds come out the same each time. It
answers as `tests.support.endpoint.compare` does, and reads the files as strictly as the services say they do.
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import orjson
from aiohttp import web

from tests.support import native
from tests.support.endpoint import Endpoint, Request, compare

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MOST_LINES, MOST_BYTES = 50_000, 200_000_000
SHAPES: dict[str, tuple[str, str, set[str]]] = {  # what a line is called by, what it asks, and all that it holds
    "openai": ("custom_id", "body", {"custom_id", "method", "url", "body"}),
    "mistral": ("custom_id", "body", {"custom_id", "body"}),
    "anthropic": ("custom_id", "params", {"custom_id", "params"}),
    "gemini": ("key", "request", {"key", "request"}),
}


class Service:
    """The service.

    Args:
        form: "openai", "mistral", "anthropic" or "gemini".
        threshold: grey levels rms above which it says yes.
        lost: share of lines that nothing comes back for.
        doubled: share of answers that come twice.
        failed: share of lines that fail, half of them by expiring.
    """

    def __init__(
        self, form: str = "openai", threshold: float = 8.0, lost: float = 0.0, doubled: float = 0.0, failed: float = 0.0
    ) -> None:
        self.form, self.lost, self.doubled, self.failed = form, lost, doubled, failed
        self.asked: Counter[str] = Counter()  # bodies, by their digest
        self.came: Counter[str] = Counter()  # lines: "ok", "lost", "doubled", "failed"
        self.again: set[str] = set()  # bodies that may be asked once more: nothing good came of them
        self.twice: set[str] = set()  # bodies that were, although something had
        self._endpoint = Endpoint(threshold)

    def answer(self, files: Iterable[Path], to: Path) -> list[Path]:
        """Answer files, and return what comes back: one file of answers and one of errors, in another order."""
        to.mkdir(parents=True, exist_ok=True)
        answers, errors = list[dict[str, Any]](), list[dict[str, Any]]()
        for file in files:
            for line in self._lines(file):
                self._take(*line, answers, errors)
        written = []
        for name, rows in (("answers", answers), ("errors", errors)):
            rows.sort(key=lambda row: hashlib.sha256(row[SHAPES[self.form][0]].encode()).digest())
            (to / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            written.append(to / f"{name}.jsonl")
        return written

    def _lines(self, file: Path) -> list[tuple[str, dict[str, Any]]]:
        """Return the custom_id and the body of each line, after a look at their shape."""
        data, name, request, shape = file.read_bytes(), *SHAPES[self.form]
        assert len(data) <= MOST_BYTES
        if self.form == "anthropic":
            whole = orjson.loads(data)
            assert whole.keys() == {"requests"}
            lines = whole["requests"]
        else:
            lines = [orjson.loads(line) for line in data.splitlines()]
        names = [line[name] for line in lines]
        assert len(lines) <= MOST_LINES
        assert len(set(names)) == len(names), "custom_id must be unique in a file"
        assert all(CUSTOM_ID.fullmatch(name) for name in names)
        assert len({line[request].get("model") for line in lines}) == 1, "one model a file"
        assert all(line.keys() == shape for line in lines)
        return [(line[name], line[request]) for line in lines]

    def _take(
        self, name: str, payload: dict[str, Any], answers: list[dict[str, Any]], errors: list[dict[str, Any]]
    ) -> None:
        body = orjson.dumps(payload)
        what = hashlib.sha256(body).hexdigest()
        if what in self.asked and what not in self.again:
            self.twice.add(what)
        self.asked[what] += 1
        share = int(hashlib.sha256(f"fate {name}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        if share < self.lost:
            self.came["lost"] += 1
            self.again.add(what)
            return
        if share < self.lost + self.failed:
            self.came["failed"] += 1
            self.again.add(what)
            errors.append(FAILURES[self.form](name, share < self.lost + self.failed / 2))
            return
        self.again.discard(what)
        self.came["ok"] += 1
        answers.append(self.answered(name, payload, body))
        if share > 1 - self.doubled:
            self.came["doubled"] += 1
            answers.append(answers[-1])

    def answered(self, name: str, payload: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Return the line of an answer, as a service writes it."""
        if self.form == "anthropic":
            found = native.message_of(payload, self._endpoint.threshold)
            return {"custom_id": name, "result": {"type": "succeeded", "message": found}}
        if self.form == "gemini":
            return {"key": name, "response": native.response_of(payload, self._endpoint.threshold)}
        seen = Request("/v1/chat/completions", {}, body, payload)
        response = asyncio.run(compare(self._endpoint, seen, cast("web.Request", None)))
        content = orjson.loads(cast("bytes", cast("web.Response", response).body))
        inner = {"status_code": 200, "request_id": f"req_{name[:8]}", "body": content}
        return {"id": f"batch_req_{name[:8]}", "custom_id": name, "response": inner, "error": None}


def _of_anthropic(name: str, expired: bool) -> dict[str, Any]:
    if expired:
        return {"custom_id": name, "result": {"type": "expired"}}
    error = native.anthropic_error("api_error", "Internal server error")
    return {"custom_id": name, "result": {"type": "errored", "error": error}}


def _of_gemini(name: str, expired: bool) -> dict[str, Any]:
    code, status = (4, "DEADLINE_EXCEEDED") if expired else (13, "INTERNAL")
    return {"key": name, "error": {"code": code, "message": f"The request failed ({status}).", "details": []}}


def _of_openai(name: str, expired: bool) -> dict[str, Any]:
    if expired:
        error = {"code": "batch_expired", "message": "This request could not be executed before the completion window."}
        return {"id": f"batch_req_{name[:8]}", "custom_id": name, "response": None, "error": error}
    body = {"error": {"message": "The server had an error processing your request.", "type": "server_error"}}
    inner = {"status_code": 500, "request_id": f"req_{name[:8]}", "body": body}
    return {"id": f"batch_req_{name[:8]}", "custom_id": name, "response": inner, "error": None}


FAILURES = {"openai": _of_openai, "mistral": _of_openai, "anthropic": _of_anthropic, "gemini": _of_gemini}
