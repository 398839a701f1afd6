"""How far a stage is: a bar on a terminal, a plain line every ten seconds elsewhere."""

import contextlib
import sys
import threading
import time

from tqdm import tqdm

from .. import effects_store

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


class Doing:
    """What a stage does now.

    Attributes
    ----------
    text : str
        Empty if the stage has no steps.
    """

    text = ""

    def counted(self, map_blocks):
        """`map_blocks`, as `kipoi_deepmr.effects_store.each_block`, with the blocks counted in `text`."""
        def mapped(function, effects, blocks=None):
            blocks = list(effects_store.locus_blocks(effects) if blocks is None else blocks)
            for n, each in enumerate(map_blocks(function, effects, blocks)):
                self.text = f"block {n + 1:,} of {len(blocks):,}"
                yield each
            self.text = ""

        return mapped


@contextlib.contextmanager
def working(what, quiet=False):
    """Show for how long a stage has been working whose work is not counted, until it ends.

    Parameters
    ----------
    what : str
        The stage.
    quiet : bool
        Show nothing.

    Yields
    ------
    Doing
        Its text is shown, too.
    """
    doing, ended = Doing(), threading.Event()
    teller = threading.Thread(target=_tell, args=(what, doing, ended), daemon=True)
    if not quiet:
        teller.start()
    try:
        yield doing
    finally:
        ended.set()
        if not quiet:
            teller.join()


def _tell(what, doing, ended):
    begun, line = time.monotonic(), None
    wait = DELAY if sys.stderr.isatty() else SECONDS
    with contextlib.suppress(OSError, ValueError):  # whether anybody reads it changes no result
        while not ended.wait(wait):
            elapsed = tqdm.format_interval(time.monotonic() - begun)
            text = f"{', '.join(filter(None, [what, doing.text]))}: {elapsed}"
            if not sys.stderr.isatty():
                tqdm.write(text, file=sys.stderr)
                continue
            wait = 1.0
            if line is None:
                line = tqdm(bar_format="{desc}", leave=False, file=sys.stderr)
            line.set_description_str(text)
        if line is not None:
            line.close()
