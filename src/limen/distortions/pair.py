"""Changes that somebody else made: the second picture of a pair."""

import numpy as np

from limen.distortion import Render, distortion
from limen.image import Image
from limen.ladder import Ladder


@distortion("spot", word="content", ladder=Ladder((1.0,), unit="edit"), of="pair")
def spot(pair: tuple[Image, Image], rng: np.random.Generator) -> Render:
    """Show the changed picture of a spot-the-difference pair; one level (the word is ours, the paper shows none)."""
    return lambda strength: pair[1] if strength else pair[0]


@distortion("band2k", word="banding artifacts", ladder=Ladder((1.0,), unit="pair (BAND-2k)"), of="scored pair")
def band2k(pair: tuple[Image, Image], rng: np.random.Generator) -> Render:
    """Show the one banded picture that a reference has; its opinion score is the strength (the paper's banding)."""
    return lambda strength: pair[1] if strength else pair[0]
