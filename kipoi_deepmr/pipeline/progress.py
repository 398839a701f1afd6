"""How far a stage is: a bar on a terminal, a plain line every ten seconds elsewhere."""

import contextlib
import sys
import threading
import time

from tqdm import tqdm

from .. import effects_store

_shown = []  # stages that show themselves now, the innermost last: it alone is told
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
        with counting(what, total, quiet=quiet, delay=DELAY) as add:
            for item in items:
                yield item
                add()

    return shown


@contextlib.contextmanager
def counting(what, total=None, unit="block", done=0, quiet=False, delay=0):
    """Show how far a stage is whose steps are counted, until it ends.

    Parameters
    ----------
    what : str
        The stage.
    total : int, optional
        How many steps there will be, if that is known.
    unit : str
        What a step is.
    done : int
        Steps that an earlier run has done.
    quiet : bool
        Show nothing.
    delay : float
        Seconds before a bar appears on a terminal.

    Yields
    ------
    callable
        Counts one step, or as many as it is given.
    """
    if quiet or sys.stderr.isatty():
        with alone(), tqdm(total=total, initial=done, unit=unit, desc=what, disable=quiet, delay=delay) as bar:
            yield bar.update
        return
    with working(what) as doing:
        begun, n = time.monotonic(), done

        def add(more=1):
            nonlocal n
            n += more
            doing.text = f"{unit} {n:,}"
            if total is not None:
                left = (time.monotonic() - begun) / max(1, n - done) * (total - n)
                doing.text += f" of {total:,}"
                doing.left = f", {tqdm.format_interval(left)} left"

        yield add


@contextlib.contextmanager
def alone():
    """While a stage has a bar of its own, those around it show nothing.

    Yields
    ------
    object
        Which `_shown` ends with while this stage is the innermost.
    """
    stage = object()
    _shown.append(stage)
    try:
        yield stage
    finally:
        _shown.remove(stage)


class Doing:
    """What a stage does now.

    Attributes
    ----------
    text : str
        Empty if the stage has no steps.
    left : str
        How much longer it takes, if that is known.
    """

    text = left = ""

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

    While a stage within it shows itself, this one does not.

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
    with alone() as stage:
        teller = threading.Thread(target=_tell, args=(what, doing, ended, stage), daemon=True)
        if not quiet:
            teller.start()
        try:
            yield doing
        finally:
            ended.set()
            if not quiet:
                teller.join()


def _tell(what, doing, ended, stage):
    begun, line = time.monotonic(), None
    wait = DELAY if sys.stderr.isatty() else SECONDS
    with contextlib.suppress(OSError, ValueError):  # whether anybody reads it changes no result
        while not ended.wait(wait):
            if _shown[-1:] != [stage]:
                if line is not None:
                    line.close()
                    line = None
                continue
            elapsed = tqdm.format_interval(time.monotonic() - begun)
            text = f"{', '.join(filter(None, [what, doing.text]))}: {elapsed}{doing.left}"
            if not sys.stderr.isatty():
                tqdm.write(text, file=sys.stderr)
                continue
            wait = 1.0
            if line is None:
                line = tqdm(bar_format="{desc}", leave=False, file=sys.stderr)
            line.set_description_str(text)
        if line is not None:
            line.close()
