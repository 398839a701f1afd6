"""Which axis of an output's array holds marks, positions or strands."""

from .errors import ModelError

MARKS, POSITIONS, STRANDS, DUMMY = "marks", "positions", "strands", "1"
MOST_STRANDS = 2  # a longer axis of a named array holds marks
MOST_GUESSED = 50  # marks on an axis that nothing names
CLEARLY = 3  # times as long as that of the marks an axis must be, to be that of the positions
BOTH_WAYS = "--mark_layout positions,marks or marks,positions"


def parse_layout(text):
    """The axes of an output, as `--mark_layout` names them: a tuple.

    Raises
    ------
    ModelError
        They are not positions and at most one each of marks and strands.
    """
    if text is None:
        return None
    axes = tuple(word.strip() for word in text.split(","))
    if not set(axes) <= {MARKS, POSITIONS, STRANDS} or len(set(axes)) < len(axes) or POSITIONS not in axes:
        raise ModelError(f"--mark_layout {text}: name the axes of the output in their order, without those of length "
                         "1, such as positions,marks or marks,strands,positions")
    return axes


def axes_of(shape, name, counts, are_positions, layout):
    """What each axis of an array holds.

    Parameters
    ----------
    shape : tuple of int
        Of the array for one sequence.
    name : str
        Its keys in the output, empty if they name nothing.
    counts : set of int
        How many names there are, by labels or the user.
    are_positions : bool
        Whether an option says that there are positions.
    layout : tuple, optional
        As from `parse_layout`.

    Returns
    -------
    tuple of str

    Raises
    ------
    ModelError
        It is not clear, or there are more axes than can be read.
    """
    kept = [size for size in shape if size != 1]
    if layout and len(layout) == len(kept):
        return spread(shape, layout)
    if len(shape) == 2 and shape[1] == 1 and shape[0] > 1 and shape[0] not in counts:
        return (POSITIONS, MARKS)
    if len(kept) < 2:
        is_profile = are_positions and not set(kept) & counts
        return spread(shape, (POSITIONS if is_profile else MARKS,) * len(kept))
    called = f' "{name}"' if name else ""
    if len(kept) > 2:
        raise ModelError(f"the model's output{called} has shape {shape} for each sequence; name its axes in order by "
                         "--mark_layout, such as marks,strands,positions")
    fitting = [k for k in (0, 1) if kept[k] in counts]
    shorter = int(kept[1] < kept[0])
    if len(fitting) == 1:
        return spread(shape, _beside_positions(fitting[0], MARKS))
    if name and kept[shorter] <= MOST_STRANDS and not fitting:
        return spread(shape, _beside_positions(shorter, STRANDS))
    if kept[1 - shorter] < CLEARLY * kept[shorter] or kept[shorter] > MOST_GUESSED:
        raise ModelError(f"the model's output{called} has shape {shape} for each sequence, and it is not clear which "
                         f"axis holds marks: give {BOTH_WAYS}, or as many names as there are marks by column_labels "
                         "or --mark_names FILE")
    return spread(shape, _beside_positions(shorter, MARKS))


def _beside_positions(number, role):
    return (role, POSITIONS) if number == 0 else (POSITIONS, role)


def spread(shape, axes):
    """The axes of a shape from those that are longer than 1."""
    rest = iter(axes)
    return tuple(DUMMY if size == 1 else next(rest) for size in shape)
