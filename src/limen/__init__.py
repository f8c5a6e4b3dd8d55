"""limen measures just noticeable differences of machine vision.

Laws, nouns and layout are in docs/design.md; the nouns are the singular modules (`limen.distortion`, ...).
"""

__version__ = "0.1.0"
