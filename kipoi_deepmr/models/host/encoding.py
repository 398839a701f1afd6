"""DNA as the array or text that a model takes: bases as bytes to one-hot letters on any axis, and back."""

import numpy as np

from .errors import ModelError

_COMPLEMENT = np.arange(256, dtype=np.uint8)
_COMPLEMENT[bytearray(b"ACGT")] = bytearray(b"TGCA")
UNKNOWN = ord("N")


def reverse_complement(sequences):
    """Reverse complement of A, C, G, T along the last axis; other bytes stay as they are."""
    return _COMPLEMENT[sequences[..., ::-1]]


class OneHot:
    """One-hot DNA of a given form: which axis is which, in which order the letters stand, of which dtype.

    Parameters
    ----------
    form : OneHotForm
    alphabet : str
        The four letters in the order of their channels.
    dtype : numpy dtype
    """

    def __init__(self, form, alphabet, dtype):
        self.form, self.alphabet, self.dtype = form, alphabet, np.dtype(dtype)
        self.n_signals = form.n_channels - 4
        self._letters = np.frombuffer(alphabet.encode(), dtype=np.uint8)
        table = np.zeros((256, 4), dtype=self.dtype)
        table[self._letters, np.arange(4)] = 1
        self._rows = table.view(f"V{4 * self.dtype.itemsize}").ravel()  # one item a base: taken at once

    def encode(self, sequences, item=None):
        """Bases to an array.

        Parameters
        ----------
        sequences : (n, L) uint8
            Upper-case ASCII; a byte that is none of A, C, G, T has no letter set.
        item : array, optional
            A locus's own input, whose further channels every sequence gets.

        Returns
        -------
        (n, ...) array of the form
        """
        n, length = sequences.shape
        form = self.form
        if not self.n_signals and form.letter_axis > form.position_axis:
            return self._rows.take(sequences).view(self.dtype).reshape((n,) + form.shape(length))
        encoded = np.empty((n,) + form.shape(length), dtype=self.dtype)
        if self.n_signals:
            encoded[:] = self._checked(item, length)
        channels = form.channels(encoded, 1)
        for number, letter in enumerate(self._letters, form.first_channel):
            np.equal(sequences, letter, out=channels[:, :, number])
        return encoded

    def decode(self, array):
        """Bases of one input: (L,) uint8, N where not exactly one letter is set.

        Raises
        ------
        ModelError
            The array is of another form.
        """
        channels = self.form.channels(self._checked(array), 0)
        first = self.form.first_channel
        return read_letters(channels[:, first:first + 4], self._letters)

    def describe(self, shape):
        """What the form is, for people; `shape` is the model's own, with its length."""
        form = self.form
        where = f"axis {form.letter_axis}"
        if self.n_signals:
            where = f"channels {form.first_channel}-{form.first_channel + 3} of {where}, the others held fixed"
        return f"{shape}: letters {self.alphabet} on {where}, {self.dtype}"

    def _checked(self, array, length=None):
        array = np.asarray(array)
        if not self.form.fits(array.shape) or length not in (None, array.shape[self.form.position_axis]):
            raise ModelError(f"the dataloader gives DNA input of shape {array.shape}, but {self.form.text(length)} is "
                             "expected")
        return array


class OneHotForm:
    """Axes of one-hot DNA, the batch axis not counted.

    Parameters
    ----------
    n_axes : int
    letter_axis, position_axis : int
        All other axes are of size one.
    n_channels : int
        Size of the letter axis: 4, or more when it holds other signals too.
    first_channel : int
        Where the four letters begin.
    """

    def __init__(self, n_axes, letter_axis, position_axis, n_channels=4, first_channel=0):
        self.n_axes, self.letter_axis, self.position_axis = n_axes, letter_axis, position_axis
        self.n_channels, self.first_channel = n_channels, first_channel

    def shape(self, length):
        """Shape of the input for a sequence of `length` bases."""
        shape = [1] * self.n_axes
        shape[self.letter_axis], shape[self.position_axis] = self.n_channels, length
        return tuple(shape)

    def text(self, length=None):
        """The shape as text, with L for an unknown length."""
        return "({})".format(", ".join(str(size) for size in self.shape("L" if length is None else length)))

    def fits(self, shape):
        """Whether a shape is of this form; None among its sizes fits any."""
        if len(shape) != self.n_axes:
            return False
        wanted = self.shape(shape[self.position_axis])
        return all(size is None or size == there for size, there in zip(shape, wanted))

    def channels(self, array, n_before):
        """A view of the array with axes (those before, positions, channels)."""
        letter, position = self.letter_axis + n_before, self.position_axis + n_before
        dummies = [axis for axis in range(n_before, array.ndim) if axis not in (letter, position)]
        view = array.transpose(list(range(n_before)) + [position, letter] + dummies)
        return view[(Ellipsis,) + (0,) * len(dummies)]

    def __eq__(self, other):
        return isinstance(other, OneHotForm) and vars(self) == vars(other)

    __hash__ = None


class Text:
    """DNA as text, of a 0-dimensional array as kipoiseq's StringSeqIntervalDl gives it.

    Parameters
    ----------
    shape : tuple
        (), or (1,) for a model that takes arrays of one text.
    """

    alphabet, n_signals = "ACGT", 0

    def __init__(self, shape=()):
        self._shape = shape

    def describe(self, shape):
        """What the form is, for people."""
        return f"{shape}: text"

    def encode(self, sequences, item=None):
        """Bases to an array of `str`, one a sequence: (n, L) uint8 to (n,) or (n, 1)."""
        n, length = sequences.shape
        texts = np.ascontiguousarray(sequences).view(f"S{length}").ravel().astype(str)
        return texts.reshape((n,) + self._shape)

    def decode(self, array):
        """Bases of one input: (L,) uint8, N for all letters other than A, C, G, T and U."""
        text = str(np.asarray(array).item()).upper().replace("U", "T")
        sequence = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
        is_base = (sequence[:, None] == np.frombuffer(b"ACGT", dtype=np.uint8)).any(-1)
        return np.where(is_base, sequence, np.uint8(UNKNOWN))


def is_dna_text(array):
    """Whether an array of one text holds letters of DNA or RNA alone."""
    text = str(np.asarray(array).item()).upper()
    return len(text) > 1 and set(text) <= set("ACGTUN")


def read_letters(channels, letters):
    """Letter of each row of a (L, 4) array in which exactly one channel is 1 and all others 0, else N."""
    is_one, is_set = channels == 1, channels != 0
    exact = is_one.any(-1) & (is_set.sum(-1) == 1)
    return np.where(exact, letters[is_one.argmax(-1)], np.uint8(UNKNOWN))
