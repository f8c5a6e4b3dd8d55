"""The entry point: a `LimenError` becomes one line and exit code 1."""

import sys


def main() -> None:
    """Run the command line."""
    from limen.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
