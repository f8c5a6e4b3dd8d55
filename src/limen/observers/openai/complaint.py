"""What servers say when they do not answer: error bodies of every shape, what they mean, and how long they ask to wait.

Servers agree on little: one and the same trouble comes with 400, 404, 422 or 500, as an object, a list, a text with
JSON inside or a page. So the wording decides as well as the status, and before anything was answered more strictly
than after: what refuses the first question refuses them all, what refuses the thousandth is about that one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from limen.observers.openai import lenient, waiting
from limen.observers.openai.remedies import SERVER, Remedies

Fate = Literal["again", "free", "suspect", "never", "fatal"]

LONG = 900.0  # seconds: who asks to wait longer means another day, or another hour
MOST = 20_000  # characters of an error body that are looked at
DEEPEST = 8  # levels of an error body that are looked at, texts with JSON inside among them
SHARED = 150  # characters of a server's sentence that stand in one of limen's


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt, and what follows.

    Attributes:
        kind: what to call it.
        detail: a sentence that stands alone.
        fate: "again"; "free": again, without counting; "suspect": as again, and log probabilities may be why; "never":
            this query would fail again; "fatal": every query would.
        after: seconds the server asks to wait.
        out: whether the server itself seems to be away.
    """

    kind: str
    detail: str
    fate: Fate = "again"
    after: float | None = None
    out: bool = False


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What was asked of whom, as far as it explains a failure.

    Attributes:
        host, model: as the user names them.
        variable: the environment variable of the key.
        max_tokens, max_tokens_name: the limit, and what it was called.
        patience: the longest wait that is no reason to stop, in seconds.
        candidates: log probabilities asked for at each position.
        answered: whether this host has answered any question.
        versioned: whether the path of the base URL names a version, as in /v1.
        remedies: of the service.
    """

    host: str
    model: str
    variable: str = ""
    max_tokens: int = 256
    max_tokens_name: str = "max_tokens"
    patience: float = LONG
    candidates: int = 0
    answered: bool = False
    versioned: bool = True
    remedies: Remedies = SERVER


def _any(*wordings: str) -> re.Pattern[str]:
    """Return what finds any of these wordings; spans are bounded, so that no text takes long."""
    return re.compile("|".join(wordings))


_KEY = _any(
    r"(?:invalid|incorrect|wrong|missing|expired|bad|unknown|malformed|revoked|disabled"
    r"|no)[ _-]{1,2}(?:api[ _-]?keys?|x-api-key|access[ _-]?token|auth(?:entication"
    r"|orization)?[ _-]?(?:token|key|header|credentials)|(?:cookie )?auth\b|bearer|credentials)",
    r"api[ _-]?key[^.]{0,40}(?:(?:not|isn't|is not|in)[ -]?valid|expired|incorrect|missing|revoked"
    r"|not found|required|not provided|disabled|does not exist)",
    r"(?:not|n't) provided? an api key", r"api_key_invalid", r"unauthenticated",
    r"authentication[ _-]?(?:failed|required|fails|error)", r"unauthorized", r"invalid token",
    r"token (?:is |has )?(?:invalid|expired)",
)  # fmt: skip
_UNPAID = _any(
    r"insufficient[_ ](?:quota|balance|funds|credits?)", r"credit balance", r"billing_(?:hard_limit|not_active)",
    r"arrearage", r"(?:out of|no|exhausted|depleted|not enough|used up) (?:\w+ ){0,3}credits?",
    r"payment required", r"account is not active", r"欠费", r"余额不足",
)  # fmt: skip
_DAY = _any(
    r"per[ _-]?day", r"daily", r"\b[rt]pd\b", r"perday", r"day'?s (?:limit|quota)", r"per 24", r"24[ -]?hours",
    r"for today", r"monthly", r"per[ _-]month",
)  # fmt: skip
_FILTERED = _any(
    r"content_filter", r"content_policy", r"data_inspection_failed", r"responsibleai", r"moderation_blocked",
    r"flagged_input", r"prohibited_content", r"content_blocked", r"\b1301\b",
)  # fmt: skip
_RISK = re.compile(r"content exists risk")
_MINUTE = re.compile(r"per[ _-]?(?:min|sec)|\b[rt]pm\b")
_BUSY = _any(
    r"loading", r"overload", r"busy", r"capacity", r"temporar", r"try again", r"retry", r"starting", r"warming",
    r"unavailable", r"rate limit",
)  # fmt: skip
_MODEL = _any(
    r"model[ _]?not[ _]?(?:found|exist)", r"(?:unknown|invalid|no such|unrecognized)[ _]model",
    r"not a valid model",
    r"models? [^.]{0,120}(?:does not exist|doesn't exist|(?:was |is |be )?not (?:be )?(?:found|known"
    r"|available|loaded|served)|has been (?:retired|removed|deprecated|shut ?down)|is no longer)",
    r"no endpoints found", r"not work with the specified model", r"模型不存在",
)  # fmt: skip
_VISION = _any(
    r"(?:image|vision|picture|multi-?modal|visual)s?[^.]{0,60}(?:not|n't|only"
    r"|un)[ -]?\w{0,12} ?(?:support|accept|allow|enabl|configur)",
    r"(?:not|n't|cannot|unable to|never)\b[^.]{0,60}(?:image|vision|picture|multi-?modal|visual)(?: input"
    r"|s|_url|\b)",
    r"no (?:vision|image|multimodal)", r"mmproj", r"text[- ]only", r"only (?:supports? |accepts? |takes? )?text",
    r"text (?:input )?only", r"unknown variant `?image_url",
    r"unsupported (?:content|message|part|modalit)", r"content must be a string", r"expected a string",
    r"str type expected", r"valid string", r"image input", r"'content' field that is a string",
    r"unknown (?:content|message)?[ _]?part type", r"did not match any variant of untagged enum \w*content",
    r"不支持[^。.]{0,12}(?:图片|图像|视觉|多模态)", r"(?:图片|图像|视觉|多模态)[^。.]{0,12}不支持",
)  # fmt: skip
_UNSUPPORTED = _any(
    r"unsupported", r"(?:not|n't)(?: be| currently| yet| longer)? support", r"(?:is|are|was|been) deprecated",
    r"deprecated for", r"(?:not|n't) allowed", r"not permitted",
    r"(?:un(?:known|recogni[sz]ed|expected)|invalid|illegal|extra) (?:request )?(?:parameter|field"
    r"|argument|inputs|property|key)",
    r"extra_forbidden", r"additional properties", r"only (?:the )?default", r"不支持",
)  # fmt: skip
_OPTION = _any(r"temperature", r"\bseed\b", r"max_(?:completion_)?tokens", r"\bstream\b")  # sent with every question
_COUNT = _any(
    r"at most [01] image",
    r"number of images",
    r"(?:only|than|exactly) (?:one|1|a single) image",
    r"multiple images",
    r"too many images",
    r"single[- ]image input",
    r"\d images but only \d",
)
_SHORT = _any(
    r"max(?:imum)?[ _](?:completion[ _]|output[ _]|new[ _])?tokens\b[^.]{0,40}(?:must|should|has to|needs? to)"
    r"(?: be)? (?:(?:strictly )?(?:greater|larger|higher|more) than|at least)",
)
_LIMIT = _any(
    r"max(?:imum)?[ _](?:completion[ _]|output[ _]|new[ _])?tokens\b[^.]{0,90}(?:at most|less than"
    r"|too (?:large|high|big|long)|exceed|cannot be|must be|should be|greater than|larger than|more than"
    r"|<=|>|smaller|range|maximum allowed)",
    r"range of max_tokens",
)  # fmt: skip
_CONTEXT = _any(
    r"context[ _](?:length|window|size)", r"max_model_len", r"max[ _]seq(?:uence)?[ _]len",
    r"(?:prompt|input)s? (?:is|are)? ?too (?:long|large)", r"too many (?:input )?tokens",
    r"maximum (?:number of |input )tokens", r"exceeds? [^.]{0,30}(?:token|context)",
)  # fmt: skip
_LARGE = _any(
    r"(?:image|picture|photo|media|file|payload|body|entity|request)[^.]{0,60}(?:too (?:large|big)"
    r"|(?<!deadline[_ ])exceed|larger than|over the limit)",
    r"exceeds? [^.]{0,20}\d ?[mk]i?b\b",
    r"(?:max(?:imum)?|allowed) (?:\w+ ){0,2}(?:pixels|resolution|dimensions?|body)",
    r"(?:dimensions?|pixels|resolution)[^.]{0,60}(?:exceed|too|max|at most|less than)", r"too many pixels",
    r"decompression bomb", r"entity_too_large", r"client_max_body_size",
)  # fmt: skip
_ABOUT_SIZE = _any(
    r"aspect", r"dimension", r"pixel", r"resolution", r"corrupt", r"decode", r"could not (?:be )?process",
    r"(?:represent an?|no|not an?|in)[ -]?valid image(?![ _]?(?:input|url))", r"an unsupported image\b(?! input)",
    r"image data",
)  # fmt: skip
_NUMBERS = re.compile(r"json compliant|out of range float|\bnan\b|infinity")
_SKIPPED = frozenset({"input", "ctx", "url", "request", "messages", "headers", "prompt", "body", "documentation_url"})
_SENTENCES = (
    "message", "detail", "msg", "error", "error_message", "errormessage", "error_msg", "error_description",
    "description", "reason", "title", "raw", "errors", "cause", "hint", "text", "status_msg", "errmsg", "err_msg", "",
)  # fmt: skip
_CODES = frozenset({"code", "type", "status", "reason", "error_code", "errorcode", "finish_reason"})


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says.

    Attributes:
        message: for a person; not yet scrubbed.
        whole: all of it, in lower case.
        code: codes, types and states alone, in lower case.
        wait: seconds it asks to wait, where it says so.
        said: whether it holds a sentence.
    """

    message: str
    whole: str
    code: str = ""
    wait: float | None = None
    said: bool = False

    @property
    def about_logprobs(self) -> bool:
        """Whether the service will not give log probabilities, or not so many."""
        return "logprob" in self.whole

    @property
    def filtered(self) -> bool:
        """Whether a content filter refused to answer: an answer of its kind."""
        return bool(_FILTERED.search(self.code) or _RISK.search(self.whole))


def read(data: bytes) -> ErrorBody:
    """Read an error body, in any of the forms servers use."""
    try:
        body = lenient.parse(data)
    except (ValueError, RecursionError):
        text = data[: 4 * MOST].decode(errors="replace")
        if text.lstrip()[:1] == "<":
            text = re.sub(
                r"<(script|style)\b.{0,20000}?</\1>|<[^<>]{0,2000}>", " ", text, flags=re.DOTALL | re.IGNORECASE
            )
            text = f"HTML instead of JSON: {' '.join(text.split())[:SHARED]}"
        text = text[:MOST].strip() or "no reason given"
        return ErrorBody(text, text.lower(), wait=waiting.in_words(text.lower()))
    pairs = list(_pairs("", body, 0))
    sentences: list[str] = []
    for name, said in pairs:
        if name in _SENTENCES and isinstance(said, str) and said.strip():
            sentences += [said.strip()] if not any(said.strip() in one for one in sentences) else []
    told = [f"{said}" for _, said in pairs if isinstance(said, str | int) and not isinstance(said, bool)]
    code = " ".join(str(said) for name, said in pairs if name in _CODES or name == "flagged_input").lower()
    code += " flagged_input" * any(name == "flagged_input" for name, _ in pairs)
    message = ": ".join(sentences[:3]) or code or "no reason given"
    whole = " ".join([*sentences, *told])[:MOST].lower()
    waits = [wait for name, said in pairs if (wait := waiting.named(name, said)) is not None]
    return ErrorBody(message, whole, code[:MOST], max(waits) if waits else waiting.in_words(whole), bool(sentences))


def _pairs(name: str, said: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield names and what they say, outermost first, never the request a server quotes."""
    if depth > DEEPEST:
        return
    if isinstance(said, dict):
        if isinstance(said.get("msg"), str) and "loc" in said:  # a fault of a request, with its place in it
            yield "msg", f"{_place(said['loc'])}: {said['msg']} ({said.get('type', '')})"
            return
        inner = [(str(key), value) for key, value in said.items() if str(key).lower() not in _SKIPPED]
        if "flagged_input" in said:
            yield "flagged_input", ""
        for key, value in sorted(inner, key=lambda pair: isinstance(pair[1], dict | list)):
            yield from _pairs(key.lower(), value, depth + 1)
    elif isinstance(said, list):
        for one in said[:20]:
            yield from _pairs(name, one, depth + 1)
    elif isinstance(said, str) and said.lstrip()[:1] in ("{", "["):
        try:
            yield from _pairs(name, orjson.loads(said), depth + 1)
        except orjson.JSONDecodeError:
            yield name, said[:MOST]
    elif said is not None:
        yield name, said[:MOST] if isinstance(said, str) else said


def _place(where: object) -> str:
    return ".".join(map(str, where)) if isinstance(where, list) else str(where or "")


def judge(status: int, headers: Mapping[str, str], said: ErrorBody, asked: RequestContext) -> Failure:
    """Return what a failure means: of the moment, of this query, or of all of them.

    Args:
        status: HTTP status, 100 to 599.
        headers: of the reply.
        said: what its body says.
        asked: what was asked, and of whom.
    """
    whole, busy = said.whole, bool(_BUSY.search(said.whole))
    host, sentence = asked.host, _ended(said.message, SHARED)
    after = waiting.asked(headers, said.wait)
    passing = status in (408, 409, 425, 429, 503, 529)
    if asked.candidates and said.about_logprobs and not passing and status not in (401, 402, 407):
        return Failure("logprobs-refused", f"{status}: {said.message}", "free")
    if status == 407:
        return Failure("proxy", f"The proxy on the way to {host} wants a login (407). Put it into its URL.", "fatal")
    if status == 401 or (_KEY.search(whole) and not passing):
        variable = asked.variable or "the variable that api_key_env names"
        what = f"{host} refuses the key ({status}): {sentence} Set {variable} to a valid one."
        return Failure("key", what, "fatal")
    if status == 402 or _UNPAID.search(whole):
        return Failure("payment", f"{host} wants payment ({status}): {sentence} Add credit and start again.", "fatal")
    day = status == 429 and _DAY.search(whole) and (after is None or not _MINUTE.search(whole))
    if status in (429, 503, 529) and (day or (after or 0) > asked.patience):
        wait = f" It asks to wait {waiting.spoken(after)}." if after else ""
        what = f"{host} answers no more for now ({status}): {sentence}{wait} What was answered is kept: run the same"
        return Failure("limit" if status == 429 else "overloaded", f"{what} command again later.", "fatal")
    if status == 429:
        return Failure("rate-limited", f"{host} limits the rate ({status}): {said.message}", "again", after)
    if not (busy and passing) and (refused := _refusal(status, said, asked, sentence)):
        return refused
    if status < 500 and status not in (408, 409, 425):
        what = f"{host} refuses this question ({status}): {sentence}"
        return Failure("rejected", f"{what} {_advice(whole, asked)}".strip(), "never")
    kind = "overloaded" if status in (503, 529) else "server-error"
    suspect = asked.candidates and (status in (500, 501, 502, 520) or _NUMBERS.search(whole))
    fate: Fate = "suspect" if suspect else "again"
    return Failure(kind, f"{host} fails ({status}): {said.message}", fate, after, out=status in (502, 503, 504))


def _refusal(status: int, said: ErrorBody, asked: RequestContext, sentence: str) -> Failure | None:
    """Return a refusal whose words or status say whom it concerns, None where they do not."""
    whole, host = said.whole, asked.host
    count, vision = _COUNT.search(whole), _VISION.search(whole)
    if (status in (404, 405, 410) or _MODEL.search(whole)) and not vision and not count:
        what = f"{host} does not know model {asked.model[:60]!r} or this path ({status}): {sentence}"
        meant = "" if asked.versioned else " The base URL has no /v1: did you mean one that ends in /v1?"
        return Failure("not-found", f"{what} Check the model's name and base_url.{meant}", "fatal")
    if _SHORT.search(whole):
        what = f"{host} wants an answer of more than {asked.max_tokens} tokens ({status}): {sentence} Set -O "
        what += f"max_tokens=N to more, or less thought: {asked.remedies.little_thought}."
        return Failure("rejected", what, "never") if asked.answered else Failure("unsupported", what, "fatal")
    if _LIMIT.search(whole) or (_CONTEXT.search(whole) and _no_room(whole, asked)):
        what = f"{host} allows no answer of {asked.max_tokens} tokens ({status}): {sentence}"
        what += f" Set -O max_tokens=N to less{asked.remedies.longer}."
        return Failure("rejected", what, "never") if asked.answered else Failure("unsupported", what, "fatal")
    if _CONTEXT.search(whole):
        what = f"{host} finds the question too long ({status}): {sentence} Set --max-side or -O max_tokens=N to less"
        return Failure("rejected", f"{what}{asked.remedies.longer}.", "never")
    if status == 413 or (_LARGE.search(whole) and not _UNSUPPORTED.search(whole) and not count):
        what = f"{host} finds the pictures too large ({status}): {sentence}"
        return Failure("rejected", f"{what} Set -O encoding=jpeg:95 (with losses), or --max-side.", "never")
    if status == 403 and not asked.answered:
        return Failure("forbidden", f"{host} forbids the request (403): {sentence} Check what the key may do.", "fatal")
    shape = vision or _UNSUPPORTED.search(whole) or (status in (400, 422) and _OPTION.search(whole))
    if count or (shape and not _ABOUT_SIZE.search(whole)):
        what = f"{host} takes no such requests ({status}): {sentence} {_advice(whole, asked)}"
        return Failure("unsupported", what, "fatal") if not asked.answered else Failure("rejected", what, "never")
    return None


def _no_room(whole: str, asked: RequestContext) -> bool:
    """Say whether the context a server names holds no more than the answer it was asked for."""
    named = re.search(r"context[ _](?:length|window|size)[^\d]{0,40}(\d{1,9})", whole)
    return named is not None and int(named[1]) <= asked.max_tokens


def _advice(whole: str, asked: RequestContext) -> str:
    """Return which option to set, going by the words of a refusal."""
    other = "max_tokens" if asked.max_tokens_name == "max_completion_tokens" else "max_completion_tokens"
    if _ABOUT_SIZE.search(whole):
        return ""
    for words, what in (
        (r"max_(?:completion_)?tokens", asked.remedies.limit.format(other=other)),
        (r"temperature", "Set -O temperature=none to leave it out."),
        (r"logprob", "Set -O logprobs=false."),
        (r"\bseed\b", "Leave seed out."),
        (_COUNT.pattern, asked.remedies.count),
        (r"mmproj", "Start llama-server with --mmproj FILE, or name a model that takes pictures."),
        (_VISION.pattern, asked.remedies.vision),
    ):
        if what and re.search(words, whole):
            return what
    return "Change the option it names, or the model." if _UNSUPPORTED.search(whole) else ""


def _ended(text: str, longest: int) -> str:
    """Return a sentence of others, not too long, with a full stop."""
    text = " ".join(text.split())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return text if text[-1:] in ".!?…。" else f"{text}."
