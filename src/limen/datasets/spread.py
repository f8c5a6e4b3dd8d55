"""Shards written by replicas on a Ray cluster, whose nodes see the data set's folder and its sources as this one."""

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limen.datasets.shard import Shard, ShardSummary, versions, write
from limen.errors import InputError, StoreError
from limen.files import drafts
from limen.files import write as save
from limen.scale.tasks import Replicas


@dataclass(frozen=True, slots=True)
class _Writing:  # pragma: no cover - in a process of Ray's, where nobody counts lines
    """What a replica does: it writes shards into a folder that is the one of the command, not one of the same name.

    Attributes:
        folder: of the data set.
        token: a file that the command has put there.
        format: of the shards.
        versions: of what has a hand in their bytes, where the command runs.
    """

    folder: Path
    token: str
    format: str
    versions: Mapping[str, str]

    def begin(self) -> None:
        """Look whether the folder is there, and whether the same bytes would be written."""
        if not (self.folder / self.token).is_file():
            raise InputError(
                f"{self.folder} is not the folder that it is where the command runs. Give an --out on a file system "
                "that all nodes share, by the same path."
            )
        here = versions(self.format)
        for name, version in self.versions.items():
            if here.get(name) != version:
                raise InputError(
                    f"{name} is {here.get(name)} on {socket.gethostname()} and {version} where the command runs, so it "
                    "may write other bytes. Install the same versions on all nodes."
                )

    def do(self, piece: Shard) -> ShardSummary:
        """Write a shard."""
        return write(piece, self.folder)

    def end(self) -> None:
        """Nothing is held."""


def written(
    todo: Sequence[Shard], out: Path, made_with: Mapping[str, str], where: Replicas, saw: Callable[[int], None]
) -> Iterator[ShardSummary]:
    """Write shards on a cluster; yield them as they are done.

    Args:
        todo: to write, all of one format.
        out: the folder.
        made_with: versions of all that has a hand in a shard's bytes.
        where: the replicas that write.
        saw: called with the stimuli of all shards that are done.

    Raises:
        InputError: a node does not see the folder or a reference, or has other versions.
        StoreError: the folder cannot be written, or replicas are lost over one shard again and again.
    """
    if not todo:
        return
    drawn = 0
    with _token(out) as token:
        work = _Writing(out, token, todo[0].format, made_with)
        with where.of(work, len(todo)) as crew:
            for number, summary in crew.each(todo):
                drawn += todo[number].stimuli
                saw(drawn)
                yield summary


def tokens(out: Path) -> list[Path]:
    """Return the files by which replicas know the folder of a data set: of builds at work, and of those killed."""
    return drafts(out / "manifest.json")


@contextlib.contextmanager
def _token(out: Path) -> Iterator[str]:
    file = out / f".manifest.json.{secrets.token_hex(8)}.part"
    try:
        save(file, b"")
    except OSError as error:
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). Give another --out.") from None
    try:
        yield file.name
    finally:
        file.unlink(missing_ok=True)
