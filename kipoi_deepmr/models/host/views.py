"""Augmented views of sequences: the reverse complement, shifts, and their combinations."""

import re
from collections import namedtuple

import numpy as np

from .errors import ModelError

FORM = "--augment takes rc, shift=N, shift=FIRST:LAST or shift=FIRST:LAST:STEP"
N = ord("N")

_COMPLEMENT = np.arange(256, dtype=np.uint8)
for _base, _other in zip(b"ACGTRYKMBVDH", b"TGCAYRMKVBHD"):
    _COMPLEMENT[_base] = _other


class View(namedtuple("View", "reverse shift")):
    """One view of a sequence.

    Attributes
    ----------
    reverse : bool
        Take the reverse complement.
    shift : int
        Then move the bases so far to the right (to the left if negative).
    """

    @property
    def name(self):
        """As members are named: "", "rc", "shift+2" or "rc,shift-1"."""
        return ",".join(["rc"] * self.reverse + [f"shift{self.shift:+d}"] * bool(self.shift))

    def apply(self, sequences):
        """The view of sequences (n, L) uint8; what comes in from outside is N.

        Raises
        ------
        ModelError
            The shift leaves no base.
        """
        if abs(self.shift) >= sequences.shape[1]:
            raise ModelError(f"--augment: shift={self.shift} leaves nothing of a sequence of {sequences.shape[1]} "
                             "bases")
        if self.reverse:
            sequences = _COMPLEMENT[sequences[:, ::-1]]
        if not self.shift:
            return sequences
        shifted = np.full_like(sequences, N)
        if self.shift > 0:
            shifted[:, self.shift:] = sequences[:, :-self.shift]
        else:
            shifted[:, :self.shift] = sequences[:, -self.shift:]
        return shifted


def parse_views(texts):
    """Views asked for, the sequence itself first.

    Parameters
    ----------
    texts : sequence of str
        `rc` adds the reverse complement, `shift=-3:3` all shifts from -3 to 3 (both included), `shift=-3:3:3` every
        third of them, `shift=2` that one. Both together: every shift of both strands.

    Returns
    -------
    list of View

    Raises
    ------
    ModelError
        A text is of another form, or a kind is named twice.
    """
    strands, shifts = [False], [0]
    for text in texts:
        if text == "rc" and len(strands) == 1:
            strands.append(True)
        elif text.startswith("shift=") and len(shifts) == 1:
            shifts += [shift for shift in _shifts(text) if shift]
        else:
            raise ModelError(f'--augment: "{text}" is not understood or named twice; {FORM}')
    return [View(reverse, shift) for reverse in strands for shift in shifts]


def _shifts(text):
    found = re.match(r"shift=([+-]?\d+)(?::([+-]?\d+))?(?::(\d+))?\Z", text)
    if not found:
        raise ModelError(f'--augment: "{text}" is not understood; {FORM}')
    first = int(found.group(1))
    last = first if found.group(2) is None else int(found.group(2))
    step = 1 if found.group(3) is None else int(found.group(3))
    if step < 1 or last < first or (first, last) == (0, 0):
        raise ModelError(f'--augment: "{text}" holds no shift; {FORM}')
    return range(first, last + 1, step)
