"""How long a run's predictions take, told once the first loci have shown it."""

import time

AT_LEAST = 5.0  # seconds that are measured


class TimeTold:
    """Tells once how long all loci take, from those after the first.

    The first locus, or block of a cluster, counts for nothing, since models are loaded and compiled with it. What comes
    after it is measured for as long as it took, so that each worker of a cluster has sent a block.

    Parameters
    ----------
    n_loci : int
        That are to be predicted.
    tell : callable
        Gets the line.
    clock : callable
        Gives seconds.
    """

    def __init__(self, n_loci, tell, clock=time.monotonic):
        self._n_loci, self._tell, self._clock = n_loci, tell, clock
        self._begun, self._first, self._n_first, self._n_done = clock(), None, 0, 0

    def add(self, n):
        """Count loci that are done."""
        now = self._clock()
        self._n_done += n
        if self._first is None:
            self._first, self._n_first = now, self._n_done
        measured, seconds = self._n_done - self._n_first, now - self._first
        enough = measured and seconds >= max(AT_LEAST, self._first - self._begun)
        if self._tell and enough and self._n_done < self._n_loci:
            whole = self._first - self._begun + (self._n_loci - self._n_first) * seconds / measured
            self._tell(f"time: about {in_words(whole)} to predict {self._n_loci:,} loci (from {measured:,} of them)")
            self._tell = None


def in_words(seconds):
    """A duration in its two largest units, such as 3 h 20 min."""
    minutes = round(seconds / 60)
    hours = round(seconds / 3600)
    if seconds < 0.95:
        return "1 s or less"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"
