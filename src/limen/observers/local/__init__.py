"""A local model: any image-text-to-text checkpoint that transformers' Auto classes load, in this process.

Pictures and text go into one user message, in the order of the query, through the checkpoint's own chat template.
Pictures reach its processor as PIL images of exactly the pixels; what the processor does to them (scaling, cropping)
is its own, and its class and settings are in the fingerprint. How a checkpoint is loaded, and what is changed about
its decoding: `limen.checkpoint`.

p(yes) is read from the raw softmax, before any temperature, at the first token of the answer that carries a word:
further back the probabilities depend on what has been said (`limen.parsing.token_probability`).
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from limen import digest
from limen.checkpoint import FAILURES, explaining, label, line, locate, outcome
from limen.errors import FatalObserverError, InputError
from limen.image import Picture
from limen.observer import Answer, Attempt, Observer, Query, Reply, observer
from limen.observers.local import arriving, checkpoint
from limen.observers.local.checkpoint import EXAMPLE, Checkpoint, LocalOptions
from limen.parsing import thought
from limen.parsing.token_probability import flag_mass, flag_position, offers_letters
from limen.preflight.model_input import ModelInput

CANDIDATES = 20  # tokens whose probabilities are read at the flag; servers give as many
GATHER = 0.002  # seconds a batch waits for queries that are asked at the same moment


@dataclass(slots=True, eq=False)
class _Ticket:
    """A query that waits for its reply."""

    query: Query
    reply: Reply | None = None


@observer("local", LocalOptions)
class Local(Observer):
    """A checkpoint on this machine or from the Hugging Face hub: local:FOLDER or local:ORGANISATION/MODEL."""

    def __init__(self, model: str, options: LocalOptions) -> None:
        self._source = locate(model, options.trust_remote_code, EXAMPLE)
        self._options = options
        self.batch = 1 if options.temperature > 0 else options.batch
        self._label = label(self._source)
        self._loaded: Checkpoint | None = None
        self._processing: tuple[Any, Any] | None = None
        self._waiting: list[_Ticket] = []
        self.name = f"local:{self._label}"
        self.concurrency = 2 * self.batch
        self.sampled, self.max_tokens = options.temperature > 0, options.max_tokens

    async def __aenter__(self) -> Self:
        self._turn = asyncio.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="limen-local")
        load = asyncio.get_running_loop().run_in_executor(self._pool, checkpoint.load, self._source, self._options)
        try:
            self._loaded = await load
        finally:
            if self._loaded is None:
                self._pool.shutdown(wait=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._loaded = None

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what decides the answers; known once the model is loaded, so inside `async with`.

        A model from the hub is named by id and commit. A folder is known by a digest of the names, sizes and
        contents of its files, not by its own name: files up to 64 MiB whole, larger ones by their first and last
        bytes and 30 samples between. Training, even a little, changes nearly every byte of a weight file and is
        seen; a change of a few bytes made on purpose may not be.
        """
        return {
            **self._held().identity,
            "kind": "local",
            "batch": self.batch,
            "max_tokens": self._options.max_tokens,
            "temperature": self._options.temperature,
        }

    async def answer(self, query: Query) -> Reply:
        """Answer one query, together with up to `batch` - 1 others that wait at the same moment.

        Whoever comes first answers for those behind; the others find their reply when it is their turn.
        """
        self._held()
        ticket = _Ticket(query)
        self._waiting.append(ticket)
        try:
            async with self._turn:
                if ticket.reply is None:
                    await self._serve(ticket)
        finally:
            self._waiting.remove(ticket)
        assert ticket.reply is not None
        return ticket.reply

    def see(self, pictures: Sequence[Picture]) -> tuple[ModelInput, ...]:
        """Return what reaches the model of pictures of one size that are shown together, in its number format.

        Where the model is not loaded, its configuration and its processor are, without the weights.
        """
        config, processor = self._looking()
        with explaining(self.name, "Its processor takes no such pictures"):
            prompt = checkpoint.render(processor, [*pictures, "limen"])
            batch = arriving.process(processor, [prompt], [pictures])
        mark = arriving.image_token(config)
        tokens = None if mark is None else int((batch["input_ids"] == mark).sum()) // len(pictures)
        dtype = self._loaded.model.dtype if self._loaded else checkpoint.stored_dtype(config, self._options)
        batch = {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}
        return arriving.seen(batch, len(pictures), processor.image_processor, tokens, arriving.patch_side(config))

    def _looking(self) -> tuple[Any, Any]:
        """Return the configuration and the processor."""
        if self._loaded is not None:
            return self._loaded.model.config, self._loaded.processor
        if self._processing is None:
            self._processing = checkpoint.load_processor(self._source, self._options)
        return self._processing

    async def _serve(self, first: _Ticket) -> None:
        """Fill in the replies of `first` and of those that wait with it."""
        if self.batch > 1:
            await asyncio.sleep(GATHER)
        others = [ticket for ticket in self._waiting if ticket.reply is None and ticket is not first]
        taken = [first, *others[: self.batch - 1]]
        queries = [ticket.query for ticket in taken]
        replies = await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, queries)
        for ticket, reply in zip(taken, replies, strict=True):
            ticket.reply = reply

    def _ask(self, queries: Sequence[Query], past: tuple[Attempt, ...] = ()) -> list[Reply]:
        """Answer a batch; after a failure, once more in halves (out of memory) or singly (anything else)."""
        began = time.perf_counter()
        try:
            answers = self._generate(queries)
        except FAILURES as error:
            # Not tried again in here: the traceback still holds the tensors of the failed batch.
            failed = Attempt(outcome(error), line(error), time.perf_counter() - began)
        else:
            seconds = time.perf_counter() - began
            return [self._reply(replace(answer, seconds=seconds, model=self._label), past) for answer in answers]
        if failed.outcome == "device-lost":
            raise FatalObserverError("device-lost", f"{self.name}: {failed.detail}. Start the run again.")
        held = self._held()
        if held.model.device.type == "cuda":
            held.torch.cuda.empty_cache()
        if len(queries) == 1 or past:
            return [Reply(None, (*past, failed)) for _ in queries]
        step = (len(queries) + 1) // 2 if failed.outcome == "out-of-memory" else 1
        parts = [queries[start : start + step] for start in range(0, len(queries), step)]
        return [reply for part in parts for reply in self._ask(part, (failed,))]

    def _reply(self, answer: Answer, past: tuple[Attempt, ...]) -> Reply:
        """Return a reply; no text because length ended the generation is no answer."""
        if answer.text.strip() or answer.finish != "length":
            return Reply(answer, (*past, Attempt("ok", "", answer.seconds)))
        what = f"{self.name} wrote {answer.tokens_out} tokens and no text before its length limit."
        return Reply(None, (*past, Attempt("cut-off", f"{what} Set -O max_tokens=N to more.", answer.seconds)))

    def _generate(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer queries in one batch."""
        held = self._held()
        inputs = self._inputs(queries)
        with held.torch.inference_mode(), self._seeded(queries):
            out = held.model.generate(**inputs, return_dict_in_generate=True, output_logits=True)
        rows = out.sequences[:, -len(out.logits) :].tolist()
        return [
            self._read(query, int(inputs["attention_mask"][row].sum()), tokens, [step[row] for step in out.logits])
            for row, (query, tokens) in enumerate(zip(queries, rows, strict=True))
        ]

    def _inputs(self, queries: Sequence[Query]) -> dict[str, Any]:
        """Return what the model takes, padded on the left, on its device."""
        held = self._held()
        prompts = [self._prompt(query) for query in queries]
        batch = arriving.process(held.processor, prompts, [query.pictures for query in queries])
        device, dtype = held.model.device, held.model.dtype
        return {name: value.to(device, dtype if value.is_floating_point() else None) for name, value in batch.items()}

    def _prompt(self, query: Query) -> str:
        """Return one user turn as the chat template writes it."""
        kinds = [isinstance(part, str) for part in query.parts]
        if not self._held().interleaved and kinds != sorted(kinds):
            raise FatalObserverError(
                "order", "the chat template puts all pictures first: ask in an order that ends with the question."
            )
        return checkpoint.render(self._held().processor, query.parts)

    @contextmanager
    def _seeded(self, queries: Sequence[Query]) -> Iterator[None]:
        """Seed torch for one sampled answer and put its generators back: generate() takes no generator of its own."""
        if self._options.temperature == 0:
            yield
            return
        (query,) = queries
        torch, kind = self._held().torch, self._held().model.device.type
        count = 0 if kind == "cpu" else torch.get_device_module(kind).device_count()
        with torch.random.fork_rng(range(count), device_type=kind if count else "cuda"):
            torch.manual_seed(digest.seed("local", query.draw, digest.of(query.shown)) % 2**63)
            yield

    def _read(self, query: Query, length: int, tokens: list[int], logits: Sequence[Any]) -> Answer:
        """Return one row of a batch as an answer."""
        held = self._held()
        words = held.processor.tokenizer
        stop = next((place for place, token in enumerate(tokens) if token in held.ends), None)
        tokens = tokens if stop is None else tokens[: stop + 1]
        text, whole = words.decode(tokens, skip_special_tokens=True), words.decode(tokens)
        if thought.holds(whole) and not thought.holds(text):
            text = whole  # the marks of its thought are special tokens, without which the thought would be read
        place = flag_position((words.decode([token], skip_special_tokens=True) for token in tokens), text)
        mass = None
        if place is not None:
            top = logits[place].float().softmax(-1).topk(min(CANDIDATES, logits[place].shape[-1]))
            texts = (words.decode([token]) for token in top.indices.tolist())
            mass = flag_mass(zip(texts, top.values.tolist(), strict=True), letters=offers_letters(query.text))
        p_yes, p_neither = mass or (None, None)
        return Answer(
            text=text,
            p_yes=p_yes,
            p_neither=p_neither,
            finish="length" if stop is None else "stop",
            tokens_in=length,
            tokens_out=len(tokens),
        )

    def _held(self) -> Checkpoint:
        if self._loaded is None:
            raise InputError(f"{self.name} is not loaded. Use it inside `async with`.")
        return self._loaded
