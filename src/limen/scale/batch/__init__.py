"""A study in rounds of files: what every open series needs next is written down; what comes back is put into the run.

`write` runs the study as ever, with observers that take their questions down instead of asking them: procedures, keys,
waves and the store are the study's own, so that a run begun in files may be finished at the endpoint, and the other way
round. `read` gives answers and failures to the store under the keys they were asked for.
"""

from limen.scale.batch.files import expect_folder
from limen.scale.batch.reading import AnswersRead, read
from limen.scale.batch.writing import FileWritten, RoundWritten, write

__all__ = ["AnswersRead", "FileWritten", "RoundWritten", "expect_folder", "read", "write"]
