"""What several tests share: photographs on disk, and toy observers that count what they are asked."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.photographs import photographs
from tests.support.toy import Toy

# A busy machine is no failure; in CI the examples are the same each time, elsewhere they search on.
settings.register_profile("limen", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=2000)  # make test-fuzz
settings.load_profile("ci" if os.environ.get("CI") else "limen")

os.environ.pop("COLUMNS", None)  # a parent's readline sets it, and commands that print into a pipe go by it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs torch: the wing of deep features, and modules that import it."""
    for item in items:
        if "feature" in item.path.parts or hasattr(getattr(item, "module", None), "torch"):
            item.add_marker("torch")


def pytest_collection_finish() -> None:
    """Spare the collector what was imported: it is no garbage, and there are many whole collections to come."""
    gc.freeze()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four small photographs."""
    return photographs(tmp_path / "photos", "abcd", 64, 80)


@pytest.fixture
def toy() -> type[Toy]:
    return Toy
