"""Problems as compiled loops take them: in units of their own size, instruments first, shared out to threads."""

from dataclasses import dataclass

import numpy as np

from ...threads import limited, mapped, n_threads
from .. import notes
from ..problems import Problems

FEWEST = 16  # problems a thread is started for


@dataclass(frozen=True)
class Rows:
    """P problems with up to V instruments, in units in which the largest effects are between 1 and 2.

    Attributes
    ----------
    data : (P, 4, V) float64
        bx, sx, by, sy, in the first `n` places.
    n : (P,) int64
        How many instruments each problem has; 0 for those that have a note.
    unit_x, unit_y : (...) float64
        What bx and by were divided by: powers of 2, so that no digit is lost.
    """

    data: np.ndarray
    n: np.ndarray
    unit_x: np.ndarray
    unit_y: np.ndarray

    @property
    def mask(self):
        """(P, V) bool: which places hold an instrument."""
        return np.arange(self.data.shape[2]) < self.n[:, None]

    def to_shape(self, values):
        """(P,) numbers in the problems' shape (...)."""
        return values.reshape(self.unit_y.shape)

    def to_effect(self, values):
        """(P,) estimates or standard errors in the problems' own units and shape."""
        return self.to_shape(values) * (self.unit_y / self.unit_x)


def rows_of(problems: Problems, sx, sy):
    """The `Rows` of some problems; impossible standard errors and exposures are noted."""
    sx, _ = problems.standard_errors(sx)
    sy, _ = problems.standard_errors(sy)
    mask, shape = problems.mask, (*problems.note.shape, problems.bx.shape[-1])
    unit_x = np.abs(problems.bx).max(-1, initial=0.0)
    unit_y = np.maximum(np.abs(problems.by), np.where(mask, sy, 0.0)).max(-1, initial=0.0)
    problems.refuse(unit_x == 0, notes.NO_EXPOSURE)
    unit_x, unit_y = (np.ldexp(1.0, np.frexp(unit)[1] - 1) for unit in (unit_x, unit_y))
    n = np.where(problems.note == "", problems.n, 0).ravel()
    order = np.broadcast_to(np.argsort(~mask, axis=-1, kind="stable"), shape).reshape(n.size, shape[-1])
    data = np.zeros((n.size, 4, n.max(initial=1)))
    order = order[:, : data.shape[2]]
    for i, (values, unit) in enumerate(((problems.bx, unit_x), (sx, unit_x), (problems.by, unit_y), (sy, unit_y))):
        scaled = np.broadcast_to(values / unit[..., None], shape).reshape(n.size, shape[-1])
        data[:, i, : order.shape[1]] = np.take_along_axis(scaled, order, 1)
    return Rows(data, n, np.broadcast_to(unit_x, shape[:-1]), np.broadcast_to(unit_y, shape[:-1]))


def in_threads(loop, arrays, constants=()):
    """Call a compiled loop over problems in as many threads as a pool may have.

    Parameters
    ----------
    loop : function of (*arrays, *constants)
        Writes its results into some of the arrays.
    arrays : sequence of arrays
        The first axis is that of the problems.
    constants : sequence
        What every problem uses.
    """
    size = len(arrays[0])
    workers = min(n_threads(), -(-size // FEWEST))
    if workers < 2:
        if size:
            loop(*arrays, *constants)
        return
    cuts = np.linspace(0, size, 4 * workers + 1).astype(int)
    with limited(workers):
        mapped(lambda i, j: loop(*(a[i:j] for a in arrays), *constants), cuts[:-1], cuts[1:])
