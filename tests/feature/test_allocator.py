"""Memory that is kept: no fresh pages for arrays that come again."""

import subprocess
import sys

import pytest

from limen.feature import allocator

FAULTS = """
import resource, sys
import numpy as np
from limen.feature.allocator import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
np.ones(2**23)  # 64 MB, more than glibc keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_large_arrays_that_come_again_take_no_fresh_pages() -> None:
    faults = {}
    for how in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["keep"] < faults["leave"] / 5


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_memory()
