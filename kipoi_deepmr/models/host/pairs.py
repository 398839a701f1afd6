"""Profiles that come with log counts, as BPNet and its kin answer: which arrays belong together, and what they expect.

The counts expected at each position are softmax(profile) exp(counts). Where one number counts several strands, the
softmax is over the positions of all of them together, as in bpnet-lite, ProCapNet and BPReveal; else over each alone.
"""

import re
from collections import Counter

import numpy as np

from . import slopes
from .axes import MARKS, MOST_STRANDS, POSITIONS, STRANDS, spread
from .columns import Leaf, checked_window, in_words
from .summaries import summarised

LONG = 50  # an axis that is longer, and alone, may be that of a profile's positions
MOST_TOGETHER = 4  # tracks of a profile that one number may count, where no name says that it is a count
_WORDS = {"profile", "profiles", "logits", "logit", "count", "counts", "logcount", "logcounts", "log", "total", "head",
          "predictions", "prediction", "pred", "preds", "output", "outputs", "out", "solo", "combined", "residual"}


class Pair:
    """A profile and its log counts.

    Attributes
    ----------
    profile, counts : Leaf
    core : str
        What their names say beside being profile and counts; empty if nothing.
    are_shares : bool
        Whether the profile is softmaxed already.
    """

    def __init__(self, profile, counts, core, are_shares):
        self.profile, self.counts, self.core, self.are_shares = profile, counts, core, are_shares

    def sizes(self):
        """How many labels it may have: one for each mark, or for each track of the profile."""
        n_marks, n_strands = self.profile.size(MARKS), self.profile.size(STRANDS)
        return n_marks, n_marks * n_strands

    def columns(self, options):
        """What reads them, as options say: the counts alone, or a summary of the counts expected at each position."""
        if options.summary in (None, "counts") and not (options.window or options.windows):
            return self.counts
        window = options.window and checked_window("--mark_window", options.window, self.profile)
        summary = "log_sum" if options.summary in (None, "counts") else options.plain_summary
        return Expected(self.profile, self.counts, summary, window, None, self.are_shares)


class Expected:
    """Columns that summarise the counts which a profile and its log counts expect at each position.

    Parameters
    ----------
    profile, counts : Leaf
        Of the arrays, all columns.
    summary : str
        A key of `summaries.SUMMARIES`.
    window : (int, int) or None
        The positions that count; the softmax is over all of them.
    tracks : list of int or None
        Which marks are columns; None for all.
    are_shares : bool
        Whether the profile is softmaxed already.
    """

    is_computed = has_positions = True

    def __init__(self, profile, counts, summary, window, tracks, are_shares):
        self.profile, self.counts, self.summary = profile, counts, summary
        self.window, self.tracks, self.are_shares = window and tuple(window), tracks, are_shares

    def to_json(self):
        """What was decided, as JSON values; see `from_json`."""
        return {"profile": self.profile.to_json(), "counts": self.counts.to_json(), "summary": self.summary,
                "window": self.window and list(self.window), "tracks": self.tracks, "are_shares": self.are_shares}

    @classmethod
    def from_json(cls, values):
        """The same from what `to_json` gave."""
        return cls(**{**values, "profile": Leaf(**values["profile"]), "counts": Leaf(**values["counts"])})

    @property
    def numbers(self):
        """Numbers of the arrays that it reads."""
        return self.profile.number, self.counts.number

    @property
    def name(self):
        """Of the profile."""
        return self.profile.name

    @property
    def n_columns(self):
        """How many numbers a sequence it gives."""
        return self.profile.size(MARKS) if self.tracks is None else len(self.tracks)

    @property
    def is_joint(self):
        """Whether one number counts all strands of a mark."""
        return self.counts.size(STRANDS) < self.profile.size(STRANDS)

    def size(self, role):
        """Of the profile."""
        return self.profile.size(role)

    def chosen(self, columns):
        """The same with some of its columns, by number."""
        tracks = self.tracks or list(range(self.n_columns))
        return self._but(tracks=[tracks[column] for column in columns])

    def windowed(self, column, window):
        """The same with one of its columns, from some positions alone."""
        return self.chosen([column])._but(window=window)

    def _but(self, **changes):
        kept = {name: getattr(self, name) for name in ("profile", "counts", "summary", "window", "tracks",
                                                       "are_shares")}
        return Expected(**{**kept, **changes})

    def read(self, arrays, names):
        """Its columns, of all arrays of an output: (n, columns) float64; `names` are theirs, for messages."""
        shares, counts = self._parts(arrays)
        expected = shares * np.exp(counts)
        return summarised(self._flat(self._in_window(expected)), self.summary, names).mean(2)

    def slopes(self, arrays, column):
        """How much one of its columns changes with the numbers of its arrays: by number of the array, float64."""
        track = column if self.tracks is None else self.tracks[column]
        one = self._but(tracks=[track])
        shares, counts = one._parts(arrays)
        expected = shares * np.exp(counts)
        by_expected = np.zeros(expected.shape)
        slope = slopes.of_summary(self._flat(self._in_window(expected)), self.summary)
        part = self._in_window(by_expected)
        part[:] = self._unflat(slope, part.shape)
        by_expected /= 1 if self.is_joint else self.profile.size(STRANDS)
        over = (1, 3) if self.is_joint else (1,)
        by_counts = (by_expected * expected).sum(over, keepdims=True)
        by_profile = by_expected * np.exp(counts) if self.are_shares else by_expected * expected - shares * by_counts
        found = {}
        for leaf, slope in ((self.profile, by_profile), (self.counts, by_counts)):
            found[leaf.number] = np.zeros(arrays[leaf.number].shape)
            leaf.canonical(found[leaf.number])[:, :, track:track + 1] = slope
        return found

    def _parts(self, arrays):
        """Shares of the positions and log counts of the chosen marks: (n, positions, marks, strands) float64 each."""
        profile, counts = (leaf.canonical(arrays[leaf.number]).astype(np.float64)
                           for leaf in (self.profile, self.counts))
        if self.tracks is not None:
            profile, counts = profile[:, :, self.tracks], counts[:, :, self.tracks]
        return (profile if self.are_shares else softmax(profile, (1, 3) if self.is_joint else (1,))), counts

    def _in_window(self, values):
        return values[:, slice(*self.window)] if self.window else values

    def _flat(self, values):
        """(n, positions, marks, strands) with the strands that are counted together put one behind the other."""
        if not self.is_joint:
            return values
        return values.transpose(0, 1, 3, 2).reshape(len(values), -1, values.shape[2], 1)

    def _unflat(self, values, shape):
        """What `_flat` made of an array of a shape, in that shape again."""
        if not self.is_joint:
            return values
        n, positions, marks, strands = shape
        return values.reshape(n, positions, strands, marks).transpose(0, 1, 3, 2)

    def how(self):
        """How its arrays become columns, for people."""
        shares = "profile" if self.are_shares else "softmax(profile)"
        strands = ", averaged over strands" if self.profile.size(STRANDS) > 1 and not self.is_joint else ""
        return in_words(self.summary, self.window) + f" of {shares} x exp(counts)" + strands


def softmax(values, axes):
    """Shares that add up to 1 over some axes."""
    powers = np.exp(values - values.max(axes, keepdims=True))
    return powers / powers.sum(axes, keepdims=True)


def pairs_of(arrays, labels, layout):
    """The pairs that make up a whole output, in order; empty if it is made of anything else.

    Parameters
    ----------
    arrays : list of (path, (n, ...) array, name, schema)
        As `columns.arrays_of` gives them.
    labels : list of list of str
        column_labels of each.
    layout : tuple, optional
        Of the profiles, as `axes.parse_layout` gives it.
    """
    shapes = [array.shape[1:] for _, array, _, _ in arrays]
    profiles = [k for k, shape in enumerate(shapes) if len(shape) > 1 and max(shape) > 1]
    profiles = profiles or [k for k, shape in enumerate(shapes) if shape and shape[0] > LONG]
    counts = [k for k in range(len(arrays)) if k not in profiles]
    if not profiles or len(profiles) != len(counts):
        return []
    cores = [core_of(path, name) for path, _, name, _ in arrays]
    found = []
    for k, j in _matched(profiles, counts, cores):
        pair = _pair_of(k, j, arrays, labels, cores[k] if cores[k] == cores[j] else "", len(profiles) > 1, layout)
        if pair is None:
            return []
        found.append(pair)
    return found


def core_of(path, name):
    """What of an array's name says more than that it is a profile or counts."""
    parts = name.split("/")
    if path and isinstance(path[-1], int) and parts[-1].isdigit():
        parts.pop()
    words = [[word for word in re.split("[^0-9A-Za-z]+", part) if word.lower() not in _WORDS] for part in parts]
    return "/".join(filter(None, ("_".join(filter(None, each)) for each in words)))


def _kept(array):
    return tuple(size for size in array.shape[1:] if size != 1)


def _matched(profiles, counts, cores):
    """Which profile goes with which counts: by name if all names fit, else by order."""
    by_core = {cores[j]: j for j in counts}
    names = Counter(cores[k] for k in profiles)
    if set(names) == set(by_core) and len(by_core) == len(counts) == len(names):
        return [(k, by_core[cores[k]]) for k in profiles]
    return list(zip(profiles, counts))


def _pair_of(k, j, arrays, labels, core, is_one_of_several, layout):
    """The pair of two arrays, or None if their shapes do not fit."""
    (_, profile, name, _), (_, counts, name_of_counts, _) = arrays[k], arrays[j]
    n_counts = int(np.prod(counts.shape[1:]))
    is_called_counts = "count" in name_of_counts.lower()
    is_task = bool(core) or is_one_of_several
    named = {len(each) for each in (labels[k], labels[j])}
    axes = _axes(_kept(profile), n_counts, is_task and n_counts not in named, is_called_counts, layout)
    if axes is None:
        return None
    leaf = Leaf(k, "" if name.isdigit() else name, profile.shape[1:], spread(profile.shape[1:], axes))
    role = MARKS if leaf.size(MARKS) == n_counts else STRANDS
    if n_counts not in (1, leaf.size(role)):
        return None
    of_counts = Leaf(j, "" if name_of_counts.isdigit() else name_of_counts, counts.shape[1:],
                     spread(counts.shape[1:], (role,) * len(_kept(counts))), is_counts=True)
    are_shares = _are_shares(leaf, of_counts, profile)
    if are_shares and not is_called_counts:
        return None
    return Pair(leaf, of_counts, core, are_shares)


def _axes(shape, n_counts, is_task, is_called_counts, layout):
    """Axes longer than 1 of a profile that has so many counts; None if they do not fit."""
    if layout and len(layout) == len(shape):
        return layout
    if len(shape) == 1:
        return (POSITIONS,) if n_counts == 1 else None
    longest = int(np.argmax(shape))
    others = [k for k in range(len(shape)) if k != longest]
    fitting = [k for k in range(len(shape)) if shape[k] == n_counts > 1]
    if len(shape) == 2 and n_counts == 1:
        fits = shape[0] != shape[1] and (shape[others[0]] <= MOST_TOGETHER or is_called_counts)
        return _named(shape, {others[0]: STRANDS}) if fits else None
    if len(shape) == 2:
        is_strands = is_task and n_counts <= MOST_STRANDS
        return _named(shape, {fitting[0]: STRANDS if is_strands else MARKS}) if len(fitting) == 1 else None
    if len(shape) == 3 and n_counts > 1 and set(fitting) & set(others):
        marks = next(k for k in others if k in fitting)
        return _named(shape, {marks: MARKS, next(k for k in others if k != marks): STRANDS})
    return None


def _named(shape, roles):
    return tuple(roles.get(k, POSITIONS) for k in range(len(shape)))


def _are_shares(profile, counts, array):
    """Whether a profile's numbers are shares that add up to 1."""
    values = profile.canonical(array)
    over = (1, 3) if counts.size(STRANDS) < profile.size(STRANDS) else (1,)
    return bool((values >= 0).all() and np.allclose(values.sum(over, dtype=np.float64), 1, atol=1e-4))
