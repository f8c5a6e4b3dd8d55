"""What Inspect finds of limen by its entry point."""

from limen.inspect.hooks import LimenHooks
from limen.inspect.model import LimenAPI
from limen.inspect.scoring import thresholds, verdict
from limen.inspect.tasks import ask, jnd, put

__all__ = ["LimenAPI", "LimenHooks", "ask", "jnd", "put", "thresholds", "verdict"]
