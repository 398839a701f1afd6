"""The forms that DNA may have in a model's input, from a shape, from values or from what the user says."""

import numpy as np

from .encoding import OneHotForm, is_dna_text
from .errors import ModelError

MOST_CHANNELS = 64  # a longer axis holds positions, not letters with signals


def parse_layout(text):
    """Form that the user names: axes in order, such as "4,1,L" or "L,6"; or "string".

    Returns
    -------
    OneHotForm, or () for text

    Raises
    ------
    ModelError
    """
    if text == "string":
        return ()
    axes = [axis.strip() for axis in text.strip("() ").split(",")]
    letters = [number for number, axis in enumerate(axes) if axis.isdigit() and int(axis) >= 4]
    dummies = axes.count("1")
    if axes.count("L") != 1 or len(letters) != 1 or len(axes) != 2 + dummies:
        raise ModelError(f"--seq_layout {text}: give the axes in order, L for positions, 4 or more for letters, 1 for "
                         "others, such as L,4 or 4,1,L; or string")
    return OneHotForm(len(axes), letters[0], axes.index("L"), int(axes[letters[0]]))


def loader_form(defaults):
    """Form that kipoiseq's `alphabet_axis` and `dummy_axis` give, or None without them."""
    letter, dummy = defaults.get("alphabet_axis"), defaults.get("dummy_axis")
    if letter is None:
        return None
    axes = [0, 1] if dummy is None else [0, 1, 2]
    position = [axis for axis in axes if axis not in (int(letter), dummy)]
    return OneHotForm(len(axes), int(letter), position[0]) if position else None


def forms_of_shape(shape, special_type="", is_only=True):
    """All forms that an input of a shape may have, None among its sizes fitting any."""
    if shape == ():
        return [()] if is_only or special_type == "DNAStringSeq" else []
    return _forms(shape or (), 4) or _forms(shape or (), None)


def forms_of_value(value, asked=None):
    """All forms in which an item's input is DNA: one-hot along four channels, or text.

    Parameters
    ----------
    value : array
    asked : OneHotForm or (), optional
        The only form to try.
    """
    if value.dtype.kind in "UO":
        return [value.shape] if asked in (None, ()) and value.size == 1 and is_dna_text(value) else []
    if asked is not None:
        fits = asked != () and asked.fits(value.shape)
        return [asked] if fits and _n_clear(asked.channels(value, 0)[:, :4]) else []
    plain = [form for form in _forms(value.shape, 4) if _n_clear(form.channels(value, 0))]
    return plain or _forms_among_signals(value)


def _forms(shape, letters):
    """Forms of four letters whose axis has the size `letters` in the shape, 4 or None."""
    found = []
    for letter, position in np.ndindex(len(shape), len(shape)):
        others = [size for axis, size in enumerate(shape) if axis not in (letter, position)]
        is_long = shape[position] is None or shape[position] > 1
        if letter != position and shape[letter] == letters and is_long and all(size == 1 for size in others):
            found.append(OneHotForm(len(shape), letter, position))
    return found


def _forms_among_signals(value):
    """The form in which four neighbouring channels among up to 64 are one-hot, if there is one."""
    found = []
    for letter, n_channels in enumerate(value.shape):
        for position, length in enumerate(value.shape):
            if not 4 < n_channels <= min(MOST_CHANNELS, length - 1) or value.size != n_channels * length:
                continue
            forms = [OneHotForm(value.ndim, letter, position, n_channels, first) for first in range(n_channels - 3)]
            clear = [_n_clear(form.channels(value, 0)[:, form.first_channel:form.first_channel + 4]) for form in forms]
            if max(clear):
                found.append(forms[int(np.argmax(clear))])
    return found


def _n_clear(channels):
    """Number of one-hot rows in (L, 4); none where any row is neither that nor the same in all four (N)."""
    is_set = channels != 0
    clear = (is_set.sum(-1) == 1) & (channels == 1).any(-1)
    unknown = (channels == channels[:, :1]).all(-1)
    return int(clear.sum()) if (clear | unknown).all() else 0

