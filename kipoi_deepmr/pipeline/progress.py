"""How far a stage is: a bar on a terminal, a plain line every ten seconds elsewhere."""

import sys

from tqdm import tqdm

SECONDS = 10.0  # between two lines of a log
DELAY = 5.0  # seconds before a bar appears


def progress(what, total=None, quiet=False):
    """A function that passes the items of an iterable on and shows how many there have been.

    Parameters
    ----------
    what : str
        The stage.
    total : int, optional
        How many items there will be, if that is known.
    quiet : bool
        Show nothing.
    """
    def shown(items):
        how = {"delay": DELAY} if sys.stderr.isatty() else {
            "mininterval": SECONDS, "maxinterval": SECONDS, "delay": SECONDS,
            "bar_format": "{desc}: {n_fmt} of {total_fmt}, {elapsed}, {remaining} left\n"}
        return tqdm(items, total=total, desc=what, unit="block", disable=quiet, **how)

    return shown
