"""The arrays of a model's output, each as columns of one number a sequence."""

import numpy as np

from . import nested, slopes
from .axes import DUMMY, MARKS, POSITIONS, STRANDS, axes_of
from .errors import ModelError
from .summaries import SUMMARIES, summarised
from .tensors import as_array


class Leaf:
    """Columns of one array of a model's output.

    Parameters
    ----------
    number : int
        Of the array among the output's.
    name : str
        Its keys in the output, joined; empty if they name nothing.
    shape : tuple of int
        For one sequence.
    axes : tuple of str
        What each axis holds, as `axes.axes_of` says.
    summary : str or None
        How positions become one number; None where there are none.
    window : (int, int) or None
        The positions that count.
    tracks : list of int or None
        Which of the marks in it are columns; None for all.
    is_counts : bool
        Whether it holds the log counts that belong to a profile.
    """

    def __init__(self, number, name, shape, axes, summary=None, window=None, tracks=None, is_counts=False):
        self.number, self.name, self.shape, self.axes = number, name, tuple(shape), tuple(axes)
        self.summary, self.window = summary, window and tuple(window)
        self.tracks, self.is_counts = tracks, is_counts

    def to_json(self):
        """What was decided, as JSON values: the arguments of the constructor."""
        return {"number": self.number, "name": self.name, "shape": list(self.shape), "axes": list(self.axes),
                "summary": self.summary, "window": self.window and list(self.window), "tracks": self.tracks,
                "is_counts": self.is_counts}

    def size(self, role):
        """How long the axis of marks, positions or strands is; 1 if there is none."""
        return self.shape[self.axes.index(role)] if role in self.axes else 1

    @property
    def numbers(self):
        """Numbers of the arrays that it reads."""
        return (self.number,)

    @property
    def n_columns(self):
        """How many numbers a sequence it gives."""
        return self.size(MARKS) if self.tracks is None else len(self.tracks)

    @property
    def is_computed(self):
        """Whether its columns are other numbers than the model's."""
        return bool(self.summary) or self.size(STRANDS) > 1

    @property
    def has_positions(self):
        """Whether one of its axes is that of positions."""
        return POSITIONS in self.axes

    def chosen(self, columns):
        """The same with some of its columns, by number."""
        tracks = self.tracks or list(range(self.n_columns))
        return self._but(tracks=[tracks[column] for column in columns])

    def windowed(self, column, window):
        """The same with one of its columns, from some positions alone."""
        return self.chosen([column])._but(window=tuple(window))

    def _but(self, **changes):
        return Leaf(**{**self.to_json(), **changes})

    def read(self, arrays, names):
        """Its columns, of all arrays of an output: (n, columns) float64; `names` are theirs, for messages."""
        return self.of_array(arrays[self.number], names)

    def of_array(self, array, names):
        """`read` from its own array."""
        return self.of_positions(self.in_window(self.canonical(array)), names)

    def of_positions(self, values, names):
        """`read` from all positions that count: (n, positions, marks, strands)."""
        values = self.tracks_of(values)
        if not self.summary:
            return values[:, 0].mean(2, dtype=np.float64)
        return summarised(values, self.summary, names).mean(2)

    def canonical(self, array):
        """A view of an array as (n, positions, marks, strands)."""
        kept = [axis for axis in self.axes if axis != DUMMY]
        values = array.reshape((len(array),) + tuple(self.size(axis) for axis in kept))
        order = [role for role in (POSITIONS, MARKS, STRANDS) if role in kept]
        values = values.transpose([0] + [1 + kept.index(role) for role in order])
        return values.reshape((len(array),) + tuple(self.size(role) for role in (POSITIONS, MARKS, STRANDS)))

    def in_window(self, values):
        """Of (n, positions, ...) the positions that count."""
        return values[:, slice(*self.window)] if self.window else values

    def tracks_of(self, values):
        """Of (n, positions, marks, strands) the marks that are columns."""
        return values if self.tracks is None else values[:, :, self.tracks]

    def joined(self, summaries):
        """Its columns from one number of each mark and strand, (n, marks x strands)."""
        values = summaries.reshape(len(summaries), 1, self.size(MARKS), self.size(STRANDS))
        return self.tracks_of(values)[:, 0].mean(2)

    def slopes(self, arrays, column):
        """How much one of its columns changes with the numbers of its arrays: by number of the array, float64."""
        array = arrays[self.number]
        found = np.zeros(array.shape)
        part, values = self.canonical(found), self.canonical(array)  # views of both
        track = column if self.tracks is None else self.tracks[column]
        chosen = (slice(None), slice(*self.window) if self.window else slice(None), track)
        slope = slopes.of_summary(values[chosen], self.summary) if self.summary else 1.0
        part[chosen] = slope / self.size(STRANDS)
        return {self.number: found}

    def how(self):
        """How its array becomes columns, for people; empty if there is nothing to say."""
        said = ["log counts, without the profile"] if self.is_counts else []
        if self.summary:
            said.append(in_words(self.summary, self.window))
        if self.size(STRANDS) > 1:
            said.append("averaged over strands")
        return ", ".join(said)


def in_words(summary, window):
    """A summary of positions, for people."""
    return SUMMARIES[summary][0] + (" {} to {}".format(*window) if window else "")


def leaf_of(number, array, name, counts, options):
    """An array's `Leaf`, with its axes decided; see docs/adapters.md for the rules.

    Parameters
    ----------
    number : int
    array : (n, ...) array
    name : str
    counts : set of int
        How many names there are.
    options : marks.MarkOptions
    """
    asked = bool(options.summary or options.window or options.windows)
    leaf = Leaf(number, name, array.shape[1:],
                axes_of(array.shape[1:], name, counts, asked, options.layout))
    if not leaf.has_positions:
        return leaf
    leaf.summary = options.summary or _default_summary(leaf, bool((array >= 0).all()))
    if options.window:
        leaf.window = checked_window("--mark_window", options.window, leaf)
    return leaf


def _default_summary(leaf, is_positive):
    if is_positive:
        is_profile = leaf.name and leaf.size(MARKS) == 1 and len(leaf.shape) > 1
        return "log_sum" if is_profile else "sum"
    called = f' "{leaf.name}"' if leaf.name else ""
    axes = ", ".join(leaf.axes)
    raise ModelError(f"the model's output{called} {leaf.shape} ({axes}) holds numbers below 0 for its positions; the "
                     "sum of a profile's logits means nothing. Say how positions become one number: --mark_summary "
                     "sum, mean or max")


def checked_window(option, window, leaf, hint=""):
    """Positions (start, end) of an array that holds them.

    Raises
    ------
    ModelError
        They are not positions of it; the message begins with the option and ends with the hint.
    """
    start, end = window
    if not 0 <= start < end <= leaf.size(POSITIONS):
        raise ModelError(f"{option} {start}:{end}: the output has positions 0 to {leaf.size(POSITIONS)} "
                         f"(the end is not included){hint}")
    return start, end


def arrays_of(predicted, n, schema=None):
    """The arrays of an output, as `nested.matched` gives them, each checked to hold n sequences on its first axis."""
    if predicted is None:
        raise ModelError(f"the model returned nothing for {n} sequences")
    if isinstance(predicted, (list, tuple)) and predicted and all(_is_number(value) for value in predicted):
        predicted = np.asarray([as_array(value) for value in predicted])
    found = [(path, as_array(value), name, described)
             for path, value, name, described in nested.matched(predicted, schema)]
    for _, array, name, _ in found:
        called = f' "{name}"' if name else ""
        if array.dtype.kind not in "biuf":
            raise ModelError(f"the model's output{called} holds {array.dtype}, not numbers")
        if array.ndim == 0 or len(array) != n:
            raise ModelError(f"the model's output{called} has shape {array.shape} for {n} sequences")
    if not found:
        raise ModelError(f"the model returned nothing for {n} sequences")
    return found


def _is_number(value):
    """Whether a value is one number; tensors of one number are, too."""
    return len(getattr(value, "shape", ())) == 0 and not isinstance(value, (dict, list, tuple, str))


def labels_of(schema):
    """column_labels of a schema, if it has any."""
    labels = getattr(schema, "column_labels", None)
    return [str(label) for label in (labels if labels is not None else [])]


def form(shapes):
    """Shapes of an output's arrays for one sequence, for people."""
    shapes = [str(tuple(shape)) for shape in shapes]
    if len(set(shapes)) == 1:
        return shapes[0] if len(shapes) == 1 else f"of {len(shapes)} arrays {shapes[0]}"
    return "of arrays {}".format(", ".join(shapes))
