"""How long one image's features take to be coded and decoded: python benchmarks/coder.py [CHANNELS SIDE].

Features are drawn, (256, 14, 14) if nothing is said: 50,176 elements, sparse as after a ReLU, with channels of unlike
size. One line for each kind of steps: CPU milliseconds of the fastest of 30 goes, coded bytes, and beside it zlib's
time for the same steps, the coder of the standard library.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from limen.feature import task, tolerance
from limen.feature.clean_batches import CleanBatches
from limen.feature.data.parts import Batch, LabelledImage, Subset
from limen.feature.model.network import Network
from limen.feature.model.split import SplitPoint
from limen.feature.quantisation.fit import fit
from limen.feature.quantisation.step_sizes import StepRule

IMAGES, BUDGET, GOES = 64, 0.3, 30


class Net(nn.Module):
    """Features are what it is given; a linear head on their mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body, self.last = nn.Identity(), nn.Linear(channels, 5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 5)."""
        return self.last(self.body(features).mean((2, 3)))


def fastest(work: Callable[[], Any]) -> float:
    """Return milliseconds of CPU."""
    taken = []
    for _ in range(GOES):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1000 * min(taken)


def main() -> None:
    """Print one line for each kind of steps."""
    torch.set_num_threads(1)
    channels, side = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (256, 14)
    source = torch.Generator().manual_seed(0)
    spread = 10 ** torch.rand((channels, 1, 1), generator=source)
    drawn = (torch.randn((IMAGES, channels, side, side), generator=source) * spread).relu()

    class Drawn(Subset):
        def batch(self, indices: Sequence[int]) -> Batch:
            return Batch(tuple(f"image {i}" for i in indices), drawn[list(indices)], (0,) * len(indices))

    def read(index: int) -> LabelledImage:
        raise NotImplementedError

    classify, net = task.find("classification"), Net(channels)
    split, images = SplitPoint(net, "body"), Drawn(IMAGES, read, Network(net))
    clean = CleanBatches(split, classify, images)
    fisher = tolerance.make("fisher")
    fisher.fit(tolerance.Scope(split, classify, images, encoded=clean))
    one = clean.chosen([3])
    print(f"{one.features.elements:,} elements      encode ms  decode ms   bytes   zlib: encode ms  decode ms   bytes")
    for rule in (
        StepRule("uniform"),
        StepRule("uniform-image"),
        StepRule("static", "fisher", fisher),
        StepRule("absmax"),
    ):
        (quantiser,) = fit(clean, [(rule, BUDGET)])
        cells = []
        for coder in ("range", "zlib"):
            data = quantiser.encode(one.features, one.names, coder)
            works = (partial(quantiser.encode, one.features, one.names, coder), partial(quantiser.decode, data))
            taken = [fastest(work) for work in works]
            cells.append(f"{taken[0]:9.2f}  {taken[1]:9.2f}  {len(data):6}")
        print(f"{rule.name:16} {cells[0]}         {cells[1]}")


if __name__ == "__main__":
    main()
