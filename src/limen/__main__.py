"""The entry point: a `LimenError` becomes one line and exit code 1."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from limen.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
