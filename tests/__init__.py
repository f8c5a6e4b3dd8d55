"""Settings of all tests, made before anything reads them."""

import os

# Tensors of tests are small: threads would only wait for each other. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
