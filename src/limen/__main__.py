"""The entry point: a `LimenError` becomes one line and exit code 1."""

import io
import os
import sys

# limen advances many series at once; a matrix product that takes all cores only stands in their way (a ladder of blur
# took 2 s of CPU with OpenBLAS's own threads, .4 s with one). To be set before NumPy is loaded; yours counts if set.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):  # a terminal of few characters (LANG=C) shows the others as \\u2026
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        from limen import stopping
        from limen.cli import run

        with stopping.heeding():
            code = run(sys.argv[1:])
    except KeyboardInterrupt as error:
        code = 128 + getattr(error, "number", 2)
    sys.exit(code)


if __name__ == "__main__":
    main()
