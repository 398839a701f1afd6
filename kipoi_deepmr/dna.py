"""DNA as one byte per base (upper-case ASCII), and one-hot encoding of such bytes."""

import numpy as np

ALPHABET = "ACGT"
BASES = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)

_UPPER = np.frombuffer(bytes(range(256)).upper(), dtype=np.uint8)

_COMPLEMENT = np.arange(256, dtype=np.uint8)
for _base, _other in zip("ACGTRYKMBVDHacgtrykmbvdh", "TGCAYRMKVBHDtgcayrmkvbhd", strict=True):
    _COMPLEMENT[ord(_base)] = ord(_other)


def encode(text):
    """Bytes of a sequence given as text, in upper case: (L,) uint8."""
    return np.frombuffer(text.upper().encode("ascii"), dtype=np.uint8)


def upper(sequence):
    """The same bytes in upper case."""
    return _UPPER[sequence]


def decode(sequence):
    """Text of one sequence of bytes."""
    return np.asarray(sequence, dtype=np.uint8).tobytes().decode("ascii")


def complement(sequences):
    """Complement of each base (IUPAC codes included), order kept."""
    return _COMPLEMENT[sequences]


def reverse_complement(sequences):
    """Reverse complement along the last axis."""
    return _COMPLEMENT[sequences][..., ::-1]


def is_ambiguous(sequences):
    """True at each byte that is none of A, C, G, T; same shape as `sequences`."""
    return ~np.isin(sequences, BASES)


def one_hot(sequences, alphabet=ALPHABET, dtype=np.float32):
    """One-hot arrays of sequences.

    Parameters
    ----------
    sequences : (n, L) uint8
        Upper-case bases; a letter that is not in `alphabet` gives a row of zeros.
    alphabet : str
        Order of the letters along the last axis of the result.

    Returns
    -------
    (n, L, 4) array of `dtype`
    """
    table = np.zeros((256, len(alphabet)), dtype=dtype)
    table[np.frombuffer(alphabet.encode(), dtype=np.uint8), np.arange(len(alphabet))] = 1
    return table[sequences]


def from_one_hot(array, alphabet=ALPHABET):
    """Bytes of a one-hot array whose last axis runs over `alphabet`; rows that are not one-hot become N.

    Parameters
    ----------
    array : (..., L, 4)

    Returns
    -------
    (..., L) uint8
    """
    array = np.asarray(array)
    letters = np.frombuffer(alphabet.encode(), dtype=np.uint8)[array.argmax(-1)]
    exact = (np.count_nonzero(array, axis=-1) == 1) & (array.max(-1) == 1)
    return np.where(exact, letters, np.uint8(ord("N")))
