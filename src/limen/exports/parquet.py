"""A run's raw tables as Parquet, for whoever wants to ask them something else."""

from pathlib import Path
from typing import Any

from limen import registry
from limen.errors import InputError, MissingExtraError
from limen.files import replacing
from limen.store import TABLES, Store

_INTEGERS = frozenset(
    {"id", "levels", "reference", "level", "draw", "again", "part", "number", "wave", "tokens_in", "tokens_out"}
)
_REALS = frozenset(
    {"p_yes", "p_neither", "seconds", "at", "strength", "shown_at", "ms_shown", "reaction_time_ms", "confidence"}
)


@registry.add("export", "parquet")
def to_parquet(run: Path, folder: Path) -> list[Path]:
    """One Parquet file for each of the store's tables; kept pictures stay in the run.

    A measurement's content (the exam, the as-seen floor, a calibration, deep features) is JSON.

    Args:
        run: a run directory.
        folder: made if it is not there; files of the same names are replaced, each at once.

    Returns:
        The files, in the order of the tables.

    Raises:
        MissingExtraError: the extra "parquet" is not installed.
        StoreError: the run cannot be read.
        InputError: the folder cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("the Parquet export", "pyarrow", "parquet") from None
    files = []
    with Store.open(run) as store:
        for table in TABLES:
            names, rows = store.columns(table)
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
            kinds = [_kind(pyarrow, table, name) for name in names]
            content = pyarrow.table([pyarrow.array(*pair) for pair in zip(columns, kinds, strict=True)], names=names)
            file = folder / f"{table}.parquet"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with replacing(file) as stream:
                    parquet.write_table(content, stream)
            except OSError as error:
                raise InputError(f"{file} cannot be written ({error}). Give another folder.") from None
            files.append(file)
    return files


def _kind(pyarrow: Any, table: str, name: str) -> Any:
    """Return a column's type: the same for every run, also where it holds nothing."""
    if name in _INTEGERS and (table, name) != ("series", "id"):
        return pyarrow.int64()
    if name == "content":
        return pyarrow.binary()
    return pyarrow.float64() if name in _REALS else pyarrow.string()
