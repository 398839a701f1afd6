"""A model's output as numbers, one per mark: which numbers of it are marks, how they are called and read."""

import fnmatch
from collections import Counter

import numpy as np

from . import nested, slopes
from .columns import Leaf, arrays_of, form, labels_of, leaves_of_output
from .errors import ModelError
from .summaries import SCALES, SUMMARIES, scaled
from .tensors import precision_of

_MOST_LISTED = 5  # marks named in a note


class Marks:
    """How a model's output becomes marks; made by `find_marks`.

    Attributes
    ----------
    names : tuple of str
    leaves : list of columns.Leaf
        The arrays of the output.
    description : str
        What was decided, in one sentence.
    notes : list of str
        What the user should know of the marks: constant or identical ones, NaN, names that were changed.
    precision : str or None
        Type of number in which the model answered first; see `tensors.precision_of`.
    """

    def __init__(self, leaves, columns, scale, groups):
        self.leaves, self._columns, self._scale = leaves, columns, scale
        self._groups = _columns_of_groups(groups, columns)
        self.names = tuple(self._groups or columns)
        self.description = _description(leaves, columns, scale, self._groups)
        self.notes, self.precision = [], None

    def read(self, predicted, n):
        """Marks of what the model predicted for n sequences.

        Returns
        -------
        (n, T) array, C-contiguous
            float32 where the marks are numbers of a model that answers in float32 or less, as they are; float64 where
            they are computed, or the model answers in float64. Differences of marks lose nothing by it.

        Raises
        ------
        ModelError
            The output has another form than the one in which the marks were found, or a value is outside the domain
            of the scale or summary.
        """
        values = self.values(predicted, n)
        is_computed = self._groups or self._scale != "identity" or any(leaf.summary for leaf in self.leaves)
        types = [float_type(array) for _, array, _, _ in arrays_of(predicted, n)]
        return np.ascontiguousarray(values, dtype=np.float64 if is_computed else np.result_type(*types))

    def values(self, predicted, n):
        """`read` in float64."""
        return self.of_columns(self.read_columns(predicted, n))

    def of_columns(self, values):
        """Marks from all columns (n, columns), as `read` gives them."""
        values = scaled(values, self._scale, self._columns)
        if self._groups:
            values = np.stack([values[:, chosen].mean(1) for chosen in self._groups.values()], axis=1)
        return values

    def slopes(self, predicted, n, mark):
        """How much one mark, given by its number, changes with each number of an output.

        Returns
        -------
        list of (n, ...) float64 array
            Of the shapes of the output's arrays.
        """
        arrays = [array for _, array, _, _ in arrays_of(predicted, n)]
        found = [np.zeros(array.shape) for array in arrays]
        values = self.read_columns(predicted, n)
        columns = self._groups[self.names[mark]] if self._groups else [mark]
        first_of = np.cumsum([0] + [leaf.n_columns for leaf in self.leaves])
        for column in columns:
            number = int(np.searchsorted(first_of, column, side="right")) - 1
            weights = slopes.of_scale(values[:, column], self._scale) / len(columns)
            array = arrays[number]
            own = self.leaves[number].slopes(array, column - first_of[number])
            found[number] += own * weights.reshape((n,) + (1,) * (array.ndim - 1))
        return found

    def read_columns(self, predicted, n):
        """All columns of an output, before scale and groups: (n, columns) float64."""
        arrays = arrays_of(predicted, n)
        shapes = [(path, array.shape[1:]) for path, array, _, _ in arrays]
        if shapes != [(leaf.path, leaf.shape) for leaf in self.leaves]:
            raise ModelError("the model's output has changed its form, from {} to {}".format(
                form(self.leaves), ", ".join(str(shape) for _, shape in shapes)))
        read = [leaf.read(array, names) for (leaf, names), (_, array, _, _) in zip(self.named_leaves(), arrays)]
        return np.concatenate(read, axis=1)

    def named_leaves(self):
        """Each array of the output with the names of its columns, in the order of all columns."""
        first = 0
        for leaf in self.leaves:
            yield leaf, self._columns[first:first + leaf.n_columns]
            first += leaf.n_columns

    def to_json(self):
        """How the output becomes marks, as JSON values; see `from_json`."""
        leaves = [leaf.to_json() for leaf in self.leaves]
        return {"leaves": leaves, "columns": list(self._columns), "scale": self._scale, "groups": self._groups}

    @classmethod
    def from_json(cls, values):
        """The same marks from what `to_json` gave."""
        marks = cls([Leaf.from_json(leaf) for leaf in values["leaves"]], values["columns"], values["scale"], None)
        marks._groups = values["groups"]
        marks.names = tuple(values["groups"] or values["columns"])
        return marks


def find_marks(schema, probe, n, names=None, summary=None, window=None, scale="identity", groups=None):
    """Decide which numbers of a model's output are marks, and how they are called and read.

    Parameters
    ----------
    schema : kipoi's ArraySchema, or (nested) list or dict of them
        `model.schema.targets`.
    probe : array, or (nested) list or dict of arrays
        What the model predicted for n sequences.
    n : int
    names : list of str, optional
        Of all columns; by default column_labels, keys, or mark_0, mark_1, ...
    summary : str, optional
        How positions become one number: a key of `summaries.SUMMARIES`. By default log_sum for named profiles (the
        log counts of BPNet) and sum for others.
    window : (int, int), optional
        Positions of the output that are summarised, the end not included.
    scale : str
        A key of `summaries.SCALES`, applied to each number.
    groups : dict of str to list of str, optional
        Marks that are means of columns, given by label, glob or number; other columns are dropped.

    Returns
    -------
    Marks

    Raises
    ------
    ModelError
        The output or an option does not fit; the message says which.
    """
    if summary not in (None,) + tuple(SUMMARIES) or scale not in SCALES:
        raise ModelError("--mark_summary {}, --scale {}: the summaries are {}, the scales {}".format(
            summary, scale, ", ".join(SUMMARIES), ", ".join(SCALES)))
    leaves = leaves_of_output(schema, probe, n, names, summary, window)
    columns, notes = _column_names(leaves, names, labels_of(schema))
    marks = Marks(leaves, columns, scale, groups)
    marks.precision = precision_of([value for _, value in nested.leaves(probe)])
    marks.notes = notes + _notes_on_classes(marks.read_columns(probe, n)) + _notes(marks.read(probe, n), marks.names)
    return marks


def float_type(array):
    """The type that holds the numbers of an array: float32 where that loses nothing, else float64."""
    return np.float32 if np.result_type(array.dtype, np.float32) == np.float32 else np.float64


def _column_names(leaves, names, labels):
    """Names of all columns, all different, and notes on names that were changed or not used.

    `names` are the user's; `labels` those of a schema that describes the whole output as one array.
    """
    n_columns = sum(leaf.n_columns for leaf in leaves)
    if names:
        repeated = [name for name, times in Counter(names).items() if times > 1]
        if len(names) != n_columns or repeated:
            raise ModelError("--mark_names: {} names for {} marks{}".format(
                len(names), n_columns, f"; {repeated[0]} is there twice" if repeated else ""))
        return list(names), []
    found = []
    for leaf in leaves:
        found += leaf.column_names(len(found))
    if len(leaves) > 1 and len(labels) == n_columns:
        found = labels
    notes = [note for note in (leaf.unused_labels() for leaf in leaves) if note]
    unique = _made_unique(found)
    changed = [name for name, before in zip(unique, found) if name != before]
    if changed:
        notes.append(f"column_labels repeats names; made different: {_listed(changed)}")
    return unique, notes


def _made_unique(names):
    """The second and later ones of equal names get .1, .2, ... (as pandas does with columns of a file)."""
    given, unique = set(names), {}
    for name in names:
        changed, number = name, 0
        while changed in unique or number and changed in given:
            number += 1
            changed = f"{name}.{number}"
        unique[changed] = name
    return list(unique)


def _columns_of_groups(groups, columns):
    """Numbers of the columns of each group."""
    return {name: sorted({number for text in texts for number in _matching(text, columns, name)})
            for name, texts in (groups or {}).items()}


def _matching(text, columns, group):
    text = str(text)
    if text in columns:
        return [columns.index(text)]
    if text.isdigit() and int(text) < len(columns):
        return [int(text)]
    found = [number for number, column in enumerate(columns) if fnmatch.fnmatchcase(column, text)]
    if not found:
        raise ModelError(f"--mark_groups {group}: no column {text} among {len(columns)}: {_listed(columns)}")
    return found


def _notes(values, names):
    """Notes on marks (n, T) that tell nothing or nothing of their own."""
    notes = []
    has_nan = np.isnan(values).any(0)
    is_constant = (values == values[:1]).all(0) & (len(values) > 1)
    if has_nan.any():
        notes.append(f"NaN for some sequences: {_listed(_at(names, has_nan))}")
    if is_constant.any():
        notes.append(f"the same for all {len(values)} sequences tried: {_listed(_at(names, is_constant))}")
    same = {}
    for number in np.flatnonzero(~has_nan & ~is_constant):
        same.setdefault(values[:, number].tobytes(), []).append(names[number])
    identical = [" = ".join(equal) for equal in same.values() if len(equal) > 1]
    if identical and len(values) > 1:
        notes.append(f"identical: {_listed(identical)}")
    return notes


def _notes_on_classes(columns):
    """A note if all columns add up to one, as the classes of a softmax do: each then follows from the others."""
    if columns.shape[1] > 1 and (columns >= 0).all() and np.allclose(columns.sum(1), 1, atol=1e-5):
        return ["all columns add up to 1: they are classes of one choice, and each follows from the others"]
    return []


def _at(names, chosen):
    return [name for name, is_chosen in zip(names, chosen) if is_chosen]


def _listed(names):
    rest = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _description(leaves, columns, scale, groups):
    parts = ["output {}: {} mark{}".format(form(leaves), len(columns), "s" * (len(columns) > 1))]
    parts += sorted({leaf.how() for leaf in leaves} - {""})
    if scale != "identity":
        parts.append("scale: " + SCALES[scale][-1])
    if groups:
        parts.append("means of groups: " + ", ".join(
            f"{name} of {len(chosen)}" for name, chosen in groups.items()))
    return "; ".join(parts)
