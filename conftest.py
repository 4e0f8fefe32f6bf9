"""What nbval compares (every printed character, no picture), how kernels start, what memory costs.

A figure's bytes hang on the last bits of what it draws and on the version of matplotlib. Numbers
that matter are printed, or stand in a claim.
"""

import functools
import os

from nbval import kernel
from nbval.plugin import IPyNbFile

# Kernels and workers that start from here keep the memory that they free. Linux's allocator gives
# large arrays back at once and asks for them again; clearing the pages took up to a third of a
# chapter's time. Other systems have no such variables.
for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(name, str(2**30))

_setup_compare = IPyNbFile.__init__


def _without_pictures(self, *args, **kwargs):
    _setup_compare(self, *args, **kwargs)
    self.skip_compare = (*self.skip_compare, "image/svg+xml")


IPyNbFile.__init__ = _without_pictures


def _again(start, tries: int = 3):
    """`start`, with figures that come back, and tried again when the kernel does not answer.

    Jupyter picks the ports of a kernel a second before the kernel opens them. When another program
    takes one meanwhile, the kernel dies or stays mute; the next one gets other ports.
    """

    @functools.wraps(start)
    def started(*args, **kwargs):
        # imported here: the process that hands the tests out starts no kernel
        from mechlib.pages.notebooks import FIGURES_INLINE

        kwargs.setdefault("env", os.environ | FIGURES_INLINE)
        for left in reversed(range(tries)):
            try:
                return start(*args, **kwargs)
            except RuntimeError:
                if left == 0:
                    raise

    return started


kernel.start_new_kernel = _again(kernel.start_new_kernel)
