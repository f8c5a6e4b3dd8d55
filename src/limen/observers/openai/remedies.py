"""What to do when a service fails in a known way: settings and servers differ, so each observer has its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedies:
    """The advice of one observer; each but the first two is a whole sentence, or "" where nothing is to be done.

    Attributes:
        no_thought: what makes the model think less, after "Set".
        little_thought: the shortest of these, after a colon.
        limit: where the name of the limit is refused; {other} stands for its other name.
        longer: how a context becomes longer, after "to less"; "" for a service whose context is what it is.
        count: where a server takes one picture alone.
        vision: where a model takes none.
        tools: where an answer ended in a call of a tool.
        filtered: where a filter of the service withholds answers.
    """

    no_thought: str
    little_thought: str
    limit: str = ""
    longer: str = ""
    count: str = "Name a model that takes two pictures."
    vision: str = "Name a model that takes pictures."
    tools: str = ""
    filtered: str = ""


SERVER = Remedies(
    '-O extra={"reasoning_effort":"none"} or {"chat_template_kwargs":{"enable_thinking":false}}, or start the server '
    "without its reasoning parser",
    '-O extra={"reasoning_effort":"none"}',
    limit="Set -O max_tokens_name={other}.",
    longer=", or start the server with a longer context",
    count="Start the server so that it takes two pictures (vLLM: --limit-mm-per-prompt).",
    vision="Name a model that takes pictures, and start its server with its vision part.",
    tools="No tool was offered: start the server without its tool-call parser (vLLM: --enable-auto-tool-choice).",
)


def of_setting(no_thought: str, filtered: str = "") -> Remedies:
    """Return the remedies of a service of which nothing but a setting can be changed.

    Args:
        no_thought: the setting that makes the model think less.
        filtered: where a filter of the service withholds answers.
    """
    return Remedies(no_thought, no_thought, filtered=filtered)
