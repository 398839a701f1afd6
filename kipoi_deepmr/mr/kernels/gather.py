"""Chosen cells of an array of local effects as rows over loci, which is how a meta-analysis reads them."""

import numpy as np

from ...compiled import compiled

ROWS = 32  # that are filled at a time: neighbours in memory, read together


def gathered(values, member, method, exposure, outcome):
    """Numbers of all loci, of some cells.

    Parameters
    ----------
    values : (method, member, locus, exposure, outcome) float32
    member : int
    method, exposure, outcome : (n,) int32
        Of each cell.

    Returns
    -------
    (n, locus) float64
    """
    out = np.empty((len(method), values.shape[2]))
    _gather(values, member, method, exposure, outcome, out)
    return out


@compiled
def _gather(values, member, method, exposure, outcome, out):
    n, n_loci = out.shape
    for first in range(0, n, ROWS):
        for locus in range(n_loci):
            for i in range(first, min(first + ROWS, n)):
                out[i, locus] = values[method[i], member, locus, exposure[i], outcome[i]]
