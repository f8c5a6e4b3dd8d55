"""Memory of tensors that is kept for the next ones, on Linux."""

import ctypes
import sys

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
KEPT = 2**30  # bytes


def keep_memory() -> bool:
    """Let the process keep memory that it frees, up to `KEPT` bytes at once; return whether that was possible.

    glibc gives an array of more than 32 MB back to the system as soon as it is free, and takes it anew, page by page
    and filled with zeros, for the next one. A network on a CPU does that at each layer: with EfficientNet-Lite0 at
    224 px, 64 images at once, it was 98 of 133 ms an image. What is held at most is the same. It is a setting of the
    whole process, so a command makes it, and a library does not; elsewhere the variables MALLOC_MMAP_THRESHOLD_ and
    MALLOC_TRIM_THRESHOLD_ say the same.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all([mallopt(_MMAP, KEPT), mallopt(_TRIM, KEPT)])
