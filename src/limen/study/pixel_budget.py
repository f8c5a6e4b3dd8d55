"""How many pixels may be in flight, and what large photographs cost."""

import asyncio
from collections import deque
from collections.abc import Collection

# Per megapixel of a photograph, on one core (6000x4000 with sensor noise): a series takes its reference, what levels
# share (noise: a field of 12 bytes a pixel), four stimuli and two encoded pictures; a question draws, digests and
# encodes one stimulus; two PNG travel, in base64.
_MEMORY_MB, _SECONDS, _SENT_MB = 50, 0.13, 3.0
LARGE = 4.0  # megapixels from which a photograph is announced
_SIDE = 1024  # px, what `max_side` is suggested to be: more than most models' processors keep


class PixelBudget:
    """A number of pixels that series under way share, first come, first served.

    A series that is larger than all of it waits until it is alone, so each gets its turn; nobody overtakes, so a large
    one does not wait for ever behind small ones.

    Args:
        pixels: in flight at most; whole numbers, of which none is lost in rounding.
    """

    def __init__(self, pixels: int) -> None:
        self._whole = self._free = pixels
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, pixels: int) -> int:
        """Wait for room, and return how much was taken, to be given back."""
        share = min(pixels, self._whole)
        if not self._waiting and share <= self._free:
            self._free -= share
            return share
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((share, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((share, turn))
                self.give_back(0)  # those behind it may fit
            else:
                self.give_back(share)  # its turn came as it was called off
            raise
        return share

    def give_back(self, share: int) -> None:
        """Return what was taken, and let in those whose turn it is."""
        self._free += share
        while self._waiting and self._waiting[0][0] <= self._free:
            taken, turn = self._waiting.popleft()
            self._free -= taken
            turn.set_result(None)


def announcement(sizes: Collection[tuple[int, int]], megapixels_in_flight: float, max_side: int) -> str:
    """Return what large photographs cost and what `max_side` would change, in two sentences; "" where none is large.

    Args:
        sizes: of all photographs as they are shown, width and height in px.
        megapixels_in_flight: of the study, in millions of pixels, > 0.
        max_side: of the study, in px; 0 for none.
    """
    large = [size for size in sizes if size[0] * size[1] > LARGE * 1e6]
    if not large:
        return ""
    width, height = max(large, key=lambda size: size[0] * size[1])
    millions = width * height / 1e6
    together = max(1, int(megapixels_in_flight // millions))
    smaller = 0 < max_side <= _SIDE
    told = (
        f"{len(large):,} of {len(sizes):,} photographs have over {LARGE:g} megapixels, the largest {width}x{height}: a "
        f"question about that one costs {_cost(millions)}; {together} series of its size go side by side."
    )
    if smaller:
        return told
    scaled = millions * min(1.0, _SIDE / max(width, height)) ** 2
    return (
        f"{told} --max-side {_SIDE} would scale photographs down before anything is done to them (other pictures, with "
        f"answers of their own): {_cost(scaled)}."
    )


def _cost(millions: float) -> str:
    memory, sent = _MEMORY_MB * millions, _SENT_MB * millions
    size = f"{memory / 1000:.1f} GB" if memory >= 1000 else f"{memory:.0f} MB"
    return f"about {_SECONDS * millions:.1g} s on one core, {size} of memory, and sent as PNG {sent:.0f} MB"
