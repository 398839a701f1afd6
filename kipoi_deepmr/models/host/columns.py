"""The arrays of a model's output, each as columns of one number a sequence."""

import numpy as np

from . import nested, slopes
from .errors import ModelError
from .summaries import SUMMARIES, summarised
from .tensors import as_array

MOST_STRANDS = 2  # a longer last axis of a named array holds marks


class Leaf:
    """One array of a model's output: which of its axes are positions and marks.

    Parameters
    ----------
    path : tuple
        Its keys in the output.
    name : str
        Its keys, joined; empty if they name nothing.
    array : (n, ...) array
        As predicted once.
    labels : list of str
        Its column_labels, empty if there are none.
    n_wanted : int or None
        Number of columns that the user names, if it is the only array.
    is_only : bool
        Whether it is the only array of the output.

    Attributes
    ----------
    shape : tuple
        For one sequence.
    summary : str or None
        How positions become one number; None where there are none.
    window : slice or None
        The positions that count.
    """

    def __init__(self, path, name, array, labels, n_wanted, is_only):
        self.path, self.name, self.shape = path, name, array.shape[1:]
        self._labels, self._is_only, self._is_positive = labels, is_only, bool((array >= 0).all())
        self._counts = {len(labels), n_wanted or 0}  # that say which axis is that of the marks
        self._kept = self.shape if len(self.shape) < 3 else tuple(size for size in self.shape if size != 1)
        self.summary, self.window, self._has_marks_first, self._is_averaged = None, None, False, False
        if len(self._kept) > 2:
            raise ModelError("the model's output{} has shape {} for each sequence; at most positions and marks can be "
                             "read".format(f' "{name}"' if name else "", self.shape))

    def to_json(self):
        """What was decided, as JSON values; see `from_json`."""
        window = self.window and [self.window.start, self.window.stop]
        return {"path": list(self.path), "name": self.name, "shape": list(self.shape), "kept": list(self._kept),
                "summary": self.summary,
                "window": window, "marks_first": self._has_marks_first, "averaged": self._is_averaged}

    @classmethod
    def from_json(cls, values):
        """The same leaf from what `to_json` gave."""
        leaf = cls(tuple(values["path"]), values["name"], np.empty((0,) + tuple(values["shape"])), [], None, False)
        leaf._kept, leaf.summary = tuple(values["kept"]), values["summary"]
        leaf.window = values["window"] and slice(*values["window"])
        leaf._has_marks_first, leaf._is_averaged = values["marks_first"], values["averaged"]
        return leaf

    def choose_axes(self, summary, window):
        """Decide what the axes are; see docs/adapters.md for the rules."""
        kept = self._kept
        if len(kept) == 2 and kept[0] == 1:
            kept = self._kept = kept[1:]
        if len(kept) == 2 and kept[1] == 1 and kept[0] in self._counts:
            kept = self._kept = kept[:1]
        if len(kept) == 2:
            self._has_marks_first = kept[0] in self._counts and kept[1] not in self._counts
            self._is_averaged = bool(self.name) and kept[1] <= MOST_STRANDS and not self._counts & set(kept)
            is_profile = self._is_averaged and self._is_positive
            self.summary = summary or ("log_sum" if is_profile else "sum")
        elif len(kept) == 1 and kept[0] > 1 and (summary or window) and kept[0] not in self._counts:
            self.summary = summary or "sum"
        if self.summary and window:
            self.window = self._checked(window)

    def _checked(self, window):
        start, end = window
        n_positions = self._kept[1 if self._has_marks_first else 0]
        if not 0 <= start < end <= n_positions:
            raise ModelError(f"--mark_window {start}:{end}: the output has positions 0 to {n_positions} "
                             "(the end is not included)")
        return slice(start, end)

    @property
    def n_columns(self):
        """How many numbers a sequence it gives."""
        if not self.summary:
            return self._kept[0] if self._kept else 1
        if self._is_averaged or len(self._kept) == 1:
            return 1
        return self._kept[0 if self._has_marks_first else 1]

    def column_names(self, first):
        """Names of its columns, `first` being the number of the first one among all arrays' columns."""
        if self.n_columns == 1 and self.name:
            return [self.name]
        names = self._labels if len(self._labels) == self.n_columns else None
        if self._is_only or not self.name:
            return names or [f"mark_{first + i}" for i in range(self.n_columns)]
        return [f"{self.name}/{label}"
                for label in names or [f"mark_{i}" for i in range(self.n_columns)]]

    def unused_labels(self):
        """A note on column_labels that do not fit, or None."""
        if len(self._labels) in (0, self.n_columns):
            return None
        return "column_labels names {} columns, but the output{} has {}: they are not used".format(
            len(self._labels), f' "{self.name}"' if self.name else "", self.n_columns)

    def read(self, array, names):
        """Its columns: (n, columns) float64; `names` are theirs, for messages."""
        if not self.summary:
            return array.reshape(len(array), -1).astype(np.float64)
        values = self.positions(array)
        return self.joined(summarised(values[:, self.window] if self.window else values, self.summary, names))

    def positions(self, array):
        """The array as (n, positions) or (n, positions, columns), all positions."""
        values = array.reshape((len(array),) + self._kept)
        return values.swapaxes(1, 2) if self._has_marks_first else values

    def joined(self, summaries):
        """Its columns from summaries of the positions: (n,) or (n, columns)."""
        read = summaries.reshape(len(summaries), -1)
        return read.mean(1, keepdims=True) if self._is_averaged else read

    def slopes(self, array, column):
        """How much one of its columns changes with each number of the array: an array of the same shape, float64."""
        found = np.zeros(array.shape)
        if not self.summary:
            found.reshape(len(array), -1)[:, column] = 1
            return found
        part, values = (each.reshape((len(array),) + self._kept) for each in (found, array))  # views of both
        if self._has_marks_first:
            part, values = part.swapaxes(1, 2), values.swapaxes(1, 2)
        chosen = (slice(None), self.window or slice(None))
        if self._is_averaged:
            part[chosen] = slopes.of_summary(values[chosen], self.summary) / values.shape[2]
        else:
            chosen += (column,) * (values.ndim - 2)
            part[chosen] = slopes.of_summary(values[chosen], self.summary)
        return found

    def how(self):
        """How positions become one number, for people; empty if there are none."""
        if not self.summary:
            return ""
        text = SUMMARIES[self.summary][0]
        if self.window:
            text += f" {self.window.start} to {self.window.stop}"
        return text + (", averaged over strands" if self._is_averaged and self._kept[1] > 1 else "")


def leaves_of_output(schema, predicted, n, names, summary, window):
    """The arrays of what a model predicted for n sequences, with their axes decided.

    Returns
    -------
    list of Leaf
    """
    found = []
    outputs = arrays_of(predicted, n, schema)
    for path, array, name, described in outputs:
        n_wanted = len(names) if names and len(outputs) == 1 else None
        leaf = Leaf(path, "" if name.isdigit() else name, array, labels_of(described), n_wanted, len(outputs) == 1)
        leaf.choose_axes(summary, window)
        found.append(leaf)
    if (summary or window) and not any(leaf.summary for leaf in found):
        raise ModelError("{}: the model's output {} has no positions".format(
            "--mark_summary " + summary if summary else "--mark_window", form(found)))
    return found


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


def form(leaves):
    """Shapes of an output's arrays for one sequence, for people."""
    shapes = [str(tuple(leaf.shape)) for leaf in leaves]
    if len(set(shapes)) == 1:
        return shapes[0] if len(shapes) == 1 else f"of {len(shapes)} arrays {shapes[0]}"
    return "of arrays {}".format(", ".join(shapes))
