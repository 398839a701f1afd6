"""A model's output as numbers, one per mark: which numbers of it are marks, how they are called and read."""

import numpy as np

from . import nested, slopes
from .axes import parse_layout
from .columns import Leaf, arrays_of, form, labels_of, leaf_of
from .errors import ModelError
from .naming import (
    are_names,
    check_labels,
    check_made_up,
    chosen_marks,
    column_names,
    columns_of_groups,
    in_windows,
    listed,
)
from .pairs import Expected, pairs_of
from .summaries import OF_PAIRS, SCALES, SUMMARIES, scaled
from .tensors import precision_of


class MarkOptions:
    """What a user says about the marks in a model's output; the names and meanings are those of `find_marks`.

    Raises
    ------
    ModelError
        A summary or scale is unknown, or options exclude each other.
    """

    def __init__(self, names=None, summary=None, window=None, scale="identity", groups=None, marks=None, windows=None,
                 layout=None):
        if summary not in (None,) + tuple(SUMMARIES) + tuple(OF_PAIRS) or scale not in SCALES:
            raise ModelError("--mark_summary {}, --scale {}: the summaries are {}, the scales {}".format(
                summary, scale, ", ".join(list(SUMMARIES) + list(OF_PAIRS)), ", ".join(SCALES)))
        if window and windows:
            raise ModelError("--mark_window and --mark_windows exclude each other")
        self.names, self.summary, self.window, self.windows = names, summary, window, windows
        self.scale, self.groups, self.marks, self.layout = scale, groups, marks, parse_layout(layout)

    @property
    def plain_summary(self):
        """The summary of an array of positions that `summary` means."""
        return OF_PAIRS.get(self.summary, self.summary)


class Marks:
    """How a model's output becomes marks; made by `find_marks`.

    Parameters
    ----------
    shapes : list of (tuple, tuple)
        Of the arrays of the output, for one sequence, each behind the keys that lead to it.
    readers : list of columns.Leaf or pairs.Expected
        What reads the columns.
    columns : list of str
        Their names.
    scale : str
    members : dict of str to list of int
        The columns that each mark is the mean of.

    Attributes
    ----------
    names : tuple of str
    readers : list of columns.Leaf or pairs.Expected
    description : str
        What was decided, in one sentence.
    notes : list of str
        What the user should know of the marks: constant or identical ones, NaN, names that were changed.
    precision : str or None
        Type of number in which the model answered first; see `tensors.precision_of`.
    """

    def __init__(self, shapes, readers, columns, scale, members):
        self._shapes, self.readers, self._columns, self._scale = shapes, readers, columns, scale
        self._members = members
        self._is_plain = list(members.values()) == [[k] for k in range(len(columns))]
        self.names = tuple(members)
        self.description = self._described()
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
        is_computed = self._scale != "identity" or any(one.is_computed for one in self.readers) \
            or any(len(chosen) > 1 for chosen in self._members.values())
        arrays = self._arrays(predicted, n)
        types = [float_type(arrays[number]) for one in self.readers for number in one.numbers]
        return np.ascontiguousarray(values, dtype=np.float64 if is_computed else np.result_type(*types))

    def values(self, predicted, n):
        """`read` in float64."""
        return self.of_columns(self.read_columns(predicted, n))

    def of_columns(self, values):
        """Marks from all columns (n, columns), as `read` gives them."""
        values = scaled(values, self._scale, self._columns)
        if self._is_plain:
            return values
        return np.stack([values[:, chosen].mean(1) for chosen in self._members.values()], axis=1)

    def slopes(self, predicted, n, mark):
        """How much one mark, given by its number, changes with each number of an output.

        Returns
        -------
        list of (n, ...) float64 array
            Of the shapes of the output's arrays.
        """
        arrays = self._arrays(predicted, n)
        found = [np.zeros(array.shape) for array in arrays]
        values = self.read_columns(predicted, n)
        columns = self._members[self.names[mark]]
        first_of = np.cumsum([0] + [one.n_columns for one in self.readers])
        for column in columns:
            number = int(np.searchsorted(first_of, column, side="right")) - 1
            weights = slopes.of_scale(values[:, column], self._scale) / len(columns)
            for k, own in self.readers[number].slopes(arrays, column - first_of[number]).items():
                found[k] += own * weights.reshape((n,) + (1,) * (own.ndim - 1))
        return found

    def read_columns(self, predicted, n):
        """All columns of an output, before scale and groups: (n, columns) float64."""
        arrays = self._arrays(predicted, n)
        return np.concatenate([one.read(arrays, names) for one, names in self.named_readers()], axis=1)

    def _arrays(self, predicted, n):
        """The arrays of an output, which must be of the form that it had at first."""
        found = arrays_of(predicted, n)
        shapes = [(path, array.shape[1:]) for path, array, _, _ in found]
        if shapes != self._shapes:
            raise ModelError("the model's output has changed its form, from {} to {}".format(
                form([shape for _, shape in self._shapes]), ", ".join(str(shape) for _, shape in shapes)))
        return [array for _, array, _, _ in found]

    def named_readers(self):
        """What reads columns, each with their names, in the order of all columns."""
        first = 0
        for one in self.readers:
            yield one, self._columns[first:first + one.n_columns]
            first += one.n_columns

    def to_json(self):
        """How the output becomes marks, as JSON values; see `from_json`."""
        return {"shapes": [[list(path), list(shape)] for path, shape in self._shapes],
                "readers": [[type(one).__name__, one.to_json()] for one in self.readers],
                "columns": list(self._columns), "scale": self._scale, "members": self._members}

    @classmethod
    def from_json(cls, values):
        """The same marks from what `to_json` gave."""
        shapes = [(tuple(path), tuple(shape)) for path, shape in values["shapes"]]
        readers = [_reader(kind, each) for kind, each in values["readers"]]
        return cls(shapes, readers, values["columns"], values["scale"], values["members"])

    def _described(self):
        n = len(self._columns)
        parts = ["output {}: {} mark{}".format(form([shape for _, shape in self._shapes]), n, "s" * (n > 1))]
        hows = {}
        for one, names in self.named_readers():
            hows.setdefault(one.how(), []).extend(names)
        hows.pop("", None)
        parts += [f"{listed(names)}: {how}" if len(hows) > 1 else how for how, names in hows.items()]
        if self._scale != "identity":
            parts.append("scale: " + SCALES[self._scale][-1])
        if any(len(chosen) > 1 for chosen in self._members.values()):
            parts.append("means of groups: " + ", ".join(
                f"{name} of {len(chosen)}" for name, chosen in self._members.items()))
        return "; ".join(parts)


def _reader(kind, values):
    return Leaf(**values) if kind == "Leaf" else Expected.from_json(values)


def find_marks(schema, probe, n, **options):
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
        How positions become one number: a key of `summaries.SUMMARIES` or, of profiles with log counts,
        `summaries.OF_PAIRS`. By default the log counts; else log_sum for named profiles (the log counts of BPNet) and
        sum for others.
    window : (int, int), optional
        Positions of the output that are summarised, the end not included.
    scale : str
        A key of `summaries.SCALES`, applied to each number.
    groups : dict of str to list of str, optional
        Marks that are means of columns, given by label, glob or number; other columns are dropped.
    marks : list of str, optional
        Those to use, in this order, by name, glob or number; nothing else is read. Where the model names no column, as
        many marks as there are columns are their names.
    windows : dict of str to str, optional
        For each mark the column and the positions that it is read from; see `naming.parse_window`.
    layout : str, optional
        Axes of the output; see `axes.parse_layout`.

    Returns
    -------
    Marks

    Raises
    ------
    ModelError
        The output or an option does not fit; the message says which.
    """
    options = MarkOptions(**options)
    arrays = arrays_of(probe, n, schema)
    shapes = [(path, array.shape[1:]) for path, array, _, _ in arrays]
    readers, columns, notes = _all_columns(arrays, labels_of(schema), options)
    if options.windows:
        readers, columns = in_windows(options.windows, readers, columns)
    groups = columns_of_groups(options.groups, columns) if options.groups else {
        name: [k] for k, name in enumerate(columns)}
    names = list(groups)
    chosen = [names[k] for k in chosen_marks(names, options.marks)] if options.marks else names
    readers, columns, members = _those_needed(readers, columns, {name: groups[name] for name in chosen})
    marks = Marks(shapes, readers, columns, options.scale, members)
    marks.precision = precision_of([value for _, value in nested.leaves(probe)])
    marks.notes = notes + _notes_on_classes(marks.read_columns(probe, n)) + _notes(marks.read(probe, n), marks.names)
    return marks


def _all_columns(arrays, labels, options):
    """What reads all columns of an output, their names, and notes on these.

    `labels` are those of a schema that describes the whole output as one array.
    """
    shapes = [array.shape[1:] for _, array, _, _ in arrays]
    readers, cores, labels_of_each = _of_pairs(arrays, labels, options) or _of_arrays(arrays, options)
    n_columns = sum(one.n_columns for one in readers)
    if not options.names and len(arrays) > 1:
        check_labels(labels, {n_columns}, "", shapes)
    names, n_made_up, notes = column_names(readers, cores, labels_of_each, options, labels, shapes)
    if not (options.groups or options.windows) and are_names(options.marks, names, n_made_up):
        return readers, list(options.marks), notes
    check_made_up(n_made_up, n_columns, shapes, options)
    return readers, names, notes


def _of_pairs(arrays, labels, options):
    """Readers, names and labels of an output of profiles and their log counts; None if it is none."""
    own = [labels_of(described) for _, _, _, described in arrays]
    if len(arrays) == 2:
        own = [each or labels for each in own]
    found = pairs_of(arrays, own, options.layout)
    readers = [pair.columns(options) for pair in found]
    n_columns = sum(one.n_columns for one in readers)
    if not found or options.names and len(options.names) != n_columns:
        return None
    labels_of_each = []
    for pair in found:
        each = [own[leaf.number] for leaf in (pair.counts, pair.profile)]
        if not options.names:
            for one, leaf in zip(each, (pair.counts, pair.profile)):
                check_labels(one, pair.sizes(), leaf.name, [leaf.shape])
        labels_of_each.append(next((one for one in each if len(one) == pair.sizes()[0]), []))
    cores = [pair.core or ("" if one else pair.counts.name) for pair, one in zip(found, labels_of_each)]
    return readers, cores, labels_of_each


def _of_arrays(arrays, options):
    """The same of any output, array by array."""
    shapes = [array.shape[1:] for _, array, _, _ in arrays]
    if options.summary in OF_PAIRS:
        raise ModelError(f"--mark_summary {options.summary} is for models that answer with profiles and their log "
                         f"counts; this one's output is {form(shapes)}")
    own = [labels_of(described) for _, _, _, described in arrays]
    readers = []
    for number, ((_, array, name, _), labels) in enumerate(zip(arrays, own)):
        counts = {len(labels), len(options.names) if options.names and len(arrays) == 1 else 0}
        readers.append(leaf_of(number, array, "" if name.isdigit() else name, counts, options))
        if not options.names:
            check_labels(labels, [readers[-1].n_columns], readers[-1].name, shapes[number:number + 1])
    if not any(one.has_positions for one in readers):
        for option, value in (("mark_summary", options.summary), ("mark_window", options.window)):
            if value:
                raise ModelError("--{}{}: the model's output {} has no positions".format(
                    option, f" {value}" if option == "mark_summary" else "", form(shapes)))
    return readers, [one.name for one in readers], own


def _those_needed(readers, columns, members):
    """Readers of the columns that marks are made of, with these columns' names and the marks by their numbers.

    Columns stay in their order, unless each mark is one column of one array.
    """
    needed = sorted({number for chosen in members.values() for number in chosen})
    if len(readers) == 1 and all(len(chosen) == 1 for chosen in members.values()):
        needed = [chosen[0] for chosen in members.values()]
    kept, first = [], 0
    for one in readers:
        own = [number - first for number in needed if first <= number < first + one.n_columns]
        if own:
            kept.append(one if own == list(range(one.n_columns)) else one.chosen(own))
        first += one.n_columns
    places = {number: place for place, number in enumerate(needed)}
    return kept, [columns[number] for number in needed], {
        name: [places[number] for number in chosen] for name, chosen in members.items()}


def float_type(array):
    """The type that holds the numbers of an array: float32 where that loses nothing, else float64."""
    return np.float32 if np.result_type(array.dtype, np.float32) == np.float32 else np.float64


def _notes(values, names):
    """Notes on marks (n, T) that tell nothing or nothing of their own."""
    notes = []
    has_nan = np.isnan(values).any(0)
    is_constant = (values == values[:1]).all(0) & (len(values) > 1)
    if has_nan.any():
        notes.append(f"NaN for some sequences: {listed(_at(names, has_nan))}")
    if is_constant.any():
        notes.append(f"the same for all {len(values)} sequences tried: {listed(_at(names, is_constant))}")
    same = {}
    for number in np.flatnonzero(~has_nan & ~is_constant):
        same.setdefault(values[:, number].tobytes(), []).append(names[number])
    identical = [" = ".join(equal) for equal in same.values() if len(equal) > 1]
    if identical and len(values) > 1:
        notes.append(f"identical: {listed(identical)}")
    return notes


def _notes_on_classes(columns):
    """A note if all columns add up to one, as the classes of a softmax do: each then follows from the others."""
    if columns.shape[1] > 1 and (columns >= 0).all() and np.allclose(columns.sum(1), 1, atol=1e-5):
        return ["all columns add up to 1: they are classes of one choice, and each follows from the others"]
    return []


def _at(names, chosen):
    return [name for name, is_chosen in zip(names, chosen) if is_chosen]
