"""Studies in columns: which are used, missing or excluded; columns cut into blocks for the solvers."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

# Elements of one block: a few arrays of this size stay in a core's cache.
BLOCK_ELEMENTS = 32_768
COMPILED_ELEMENTS = 131_072  # of compiled loops, which go through a block row by row

UNWEIGHTABLE = "with infinite effect or zero, negative or infinite standard error"
TOO_FAR = "effects and standard errors are too far apart in size for double precision"


@dataclass(frozen=True)
class Studies:
    """Effects and standard errors, one analysis a column, with what may be used of them.

    Attributes
    ----------
    effects, ses : numpy.ndarray, shape (k, n)
    usable : numpy.ndarray of bool, shape (k, n)
        Finite effect, finite and positive standard error.
    n_excluded : numpy.ndarray of int, shape (n,)
        Pairs that hold two numbers but cannot be weighted: an infinite effect, or a standard error that is zero,
        negative or infinite. A pair with a NaN is missing and not counted here.
    one_column : bool
        The input was 1-D, so results are floats.
    """

    effects: np.ndarray
    ses: np.ndarray
    usable: np.ndarray
    n_excluded: np.ndarray
    one_column: bool

    def columns(self, index):
        """Effects, standard errors and what is usable of some analyses, each (k, m)."""
        return tuple(each.T[index].T for each in (self.effects, self.ses, self.usable))  # rows, which lie together


def _numbers(values, name):
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers: {error}") from None


def read_studies(effects, ses):
    """Check the shapes of effects and standard errors and say which pairs can be used.

    Parameters
    ----------
    effects, ses : array_like, shape (k,) or (k, n)

    Returns
    -------
    Studies

    Raises
    ------
    InputError
        If the shapes differ, are not 1-D or 2-D, or the values are not numbers.
    """
    effects, ses = _numbers(effects, "effects"), _numbers(ses, "ses")
    if effects.shape != ses.shape:
        raise InputError(f"effects have shape {effects.shape} but ses {ses.shape}: give one standard error an effect")
    if effects.ndim not in (1, 2):
        raise InputError(f"effects must be 1-D (studies) or 2-D (studies, analyses), not {effects.ndim}-D")
    one_column = effects.ndim == 1
    if one_column:
        effects, ses = effects[:, None], ses[:, None]
    present = ~(np.isnan(effects) | np.isnan(ses))
    usable = present & np.isfinite(effects) & np.isfinite(ses) & (ses > 0)
    return Studies(effects, ses, usable, (present & ~usable).sum(axis=0), one_column)


def blocks(n_studies, is_compiled=False):
    """Indices of columns with studies, in blocks of like size and of few enough elements.

    Columns are grouped by their number of studies so that short ones are not padded to the longest, which compiled
    loops do not mind.

    Parameters
    ----------
    n_studies : numpy.ndarray of int, shape (n,)
    is_compiled : bool

    Yields
    ------
    numpy.ndarray of int
    """
    if is_compiled:
        used = np.flatnonzero(n_studies)
        size = max(1, COMPILED_ELEMENTS // max(1, int(n_studies.max(initial=0))))
        yield from (used[start:start + size] for start in range(0, len(used), size))
        return
    order = np.argsort(n_studies, kind="stable")[::-1]
    start = 0
    while start < len(order):
        size = max(1, BLOCK_ELEMENTS // max(1, int(n_studies[order[start]])))
        block = np.sort(order[start : start + size])
        start += size
        block = block[n_studies[block] > 0]
        if len(block):
            yield block
