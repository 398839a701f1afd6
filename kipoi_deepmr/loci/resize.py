"""Intervals of any length as loci of one length: around the summit of a peak, or around the middle."""

from ..errors import InputError
from ..options import RESIZE

HOW = SUMMIT, CENTER, NONE = RESIZE
N_COLUMNS = 10  # of narrowPeak; the last is the summit's distance from the start, or -1


def resized(intervals, length, path, how=None):
    """Intervals of one length.

    A locus of L bases around position c is [c - L // 2, c - L // 2 + L). The middle of an interval is (start + end) //
    2, so that one of L bases stays where it is. Names stay those of the intervals.

    Parameters
    ----------
    intervals : list of Interval
    length : int
        What the model takes.
    path : str
        Of the file, for messages.
    how : {"summit", "center", "none"}, optional
        Around the summit, column 10 of narrowPeak (around the middle where it is -1); around the middle; or not at all.
        By default on the summit if all lines are narrowPeak, else around the middle.

    Returns
    -------
    intervals : list of Interval
        Starts may be below 0.
    note : str
        How many were resized, and how; empty for none.

    Raises
    ------
    InputError
        The summit is asked for, and a line has none; or an interval has another length, and `how` is none.
    """
    if how == NONE:
        check_lengths(intervals, length, path)
        return intervals, ""
    if how not in (None, SUMMIT, CENTER):
        raise InputError(f"resize: {how!r} is not one of {', '.join(HOW)}")
    is_peaks = how == SUMMIT or how is None and (".narrowpeak" in str(path).lower() or all(map(_is_peak, intervals)))
    summits = [_summit(interval, path) for interval in intervals] if is_peaks else [None] * len(intervals)
    centres = [interval.start + (interval.size // 2 if summit is None else summit)
               for interval, summit in zip(intervals, summits, strict=True)]
    starts = [centre - length // 2 for centre in centres]
    changed = [(interval.start, interval.size) != (start, length)
               for interval, start in zip(intervals, starts, strict=True)]
    if not any(changed):
        return intervals, ""
    moved = [interval._replace(start=start, end=start + length)
             for interval, start in zip(intervals, starts, strict=True)]
    return moved, _note(path, sum(changed), len(intervals), length, is_peaks, sum(s is None for s in summits))


def _note(path, n_changed, n, length, is_peaks, n_without):
    where = "their middle"
    if is_peaks:
        where = f"their summit (column 10){f', {n_without:,} without one on their middle' if n_without else ''}"
    return (f"{path}: {n_changed:,} of {n:,} intervals resized to the model's {length:,} bases, centred on {where} "
            "(--resize)")


def common_length(intervals, path):
    """The length of intervals that have the same.

    Raises
    ------
    InputError
        They differ.
    """
    length = intervals[0].size
    for interval in intervals:
        if interval.size != length:
            raise InputError(f"{path}, line {interval.line}: the interval is {interval.size} bases long, and the first "
                             f"is {length}; give the length that the model takes")
    return length


def check_lengths(intervals, length, path):
    """Raise `InputError` naming the first interval of the BED file `path` that is not `length` bases long."""
    for interval in intervals:
        if interval.size != length:
            raise InputError(f"{path}, line {interval.line}: the interval {interval.chrom}:{interval.start}-"
                             f"{interval.end} is {interval.size} bases long, but the model takes {length} (--resize "
                             "center resizes it)")


def _is_peak(interval):
    """Whether a line is narrowPeak: ten columns, three numbers before the last, which is -1 or lies in the interval."""
    if len(interval.rest) != N_COLUMNS - 3:
        return False
    try:
        return -1 <= int(interval.rest[6]) < interval.size and [float(x) for x in interval.rest[3:6]] != []
    except ValueError:
        return False


def _summit(interval, path):
    """Distance of the summit from the start; None for -1.

    Raises
    ------
    InputError
        The line has no column 10, or a number that is not in the interval.
    """
    text = interval.rest[N_COLUMNS - 4] if len(interval.rest) > N_COLUMNS - 4 else None
    where = f"{path}, line {interval.line}: "
    if text is None:
        raise InputError(f"{where}has no column 10, the summit of narrowPeak; --resize center takes the middle")
    try:
        summit = int(text)
    except ValueError:
        summit = interval.size
    if not -1 <= summit < interval.size:
        raise InputError(f"{where}column 10, the summit's distance from the start, must be -1 or below "
                         f"{interval.size} (the interval's length), not {text!r}; --resize center takes the middle")
    return None if summit == -1 else summit
