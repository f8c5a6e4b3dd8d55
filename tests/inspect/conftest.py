"""Evaluations in Inspect: `make test-inspect` has it, and nothing else does."""

import importlib.util

if importlib.util.find_spec("inspect_ai") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from tests.inspect.evaluation import _faulty, evaluated  # noqa: F401 - fixtures
