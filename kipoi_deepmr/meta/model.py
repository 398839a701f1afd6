"""The common mean of one block of analyses: every weighted sum that the estimators need, for any tau^2.

With weights w = 1/(v + tau^2), P = W - W 1 (1'W1)^-1 1'W. When one study is far more precise than the rest, the
textbook forms of y'Py, tr P and tr PP cancel to nothing. So the most precise study stands apart, effects are measured
from its effect, and every sum below is a sum of terms of one sign.
"""

from dataclasses import dataclass

import numpy as np

# Beyond this, a variance or squared effect in units of the smallest variance: its products would overflow.
LARGEST = 1e150
COMPILED_FROM = 50_000  # effects; fewer go through arrays, without the seconds that compiling takes


def is_large(n_effects):
    """Whether so many effects go through compiled loops."""
    return n_effects >= COMPILED_FROM


def _dot(a, b):
    return np.einsum("ij,ij->i", a, b)


@dataclass(frozen=True)
class Sums:
    """Weighted sums at one tau^2 an analysis, each of shape (m,).

    q0, q1, q2 are y'Py, y'PPy and y'PPPy; tr1 and tr2 are tr P and tr PP; w1 and w2 are the sums of w and w^2.
    Those that were not asked for are None.
    """

    mean: np.ndarray
    w1: np.ndarray
    w2: np.ndarray
    tr1: np.ndarray
    q0: np.ndarray | None = None
    q1: np.ndarray | None = None
    q2: np.ndarray | None = None
    tr2: np.ndarray | None = None


class MeanModel:
    """m analyses of at most K + 1 studies: effects around the most precise study's, scaled so that its se is about 1.

    Attributes
    ----------
    y, v : numpy.ndarray, shape (m, K)
        Effects and variances of the other studies; 0 and infinity where there is none.
    v0 : numpy.ndarray, shape (m,)
        Variance of the most precise study, between 1 and 4.
    k : numpy.ndarray of int, shape (m,)
        Studies in each analysis.
    n_coefficients : int
        1, the mean.
    is_compiled : bool
        Whether sums over studies are made by compiled loops, which take the first `k` - 1 of a row.
    """

    n_coefficients = 1

    def __init__(self, y, v, v0, k, is_compiled=False):
        self.y, self.v, self.v0, self.k, self.is_compiled = y, v, v0, k, is_compiled
        self._buffers = np.empty((3, *((0,) if is_compiled else y.shape)))

    @property
    def df(self):
        return self.k - 1

    def rows(self, index):
        """The model of some of the analyses, trimmed to their longest."""
        width = max(0, int(self.k[index].max(initial=1)) - 1)
        return MeanModel(self.y[index, :width], self.v[index, :width], self.v0[index], self.k[index],
                         self.is_compiled)

    def sums(self, tau2, want=("q0",)):
        """Weighted sums at tau2 (shape (m,)); `want` names those that cost a pass over the studies."""
        w0 = 1.0 / (self.v0 + tau2)
        others, others2, others3, mean, q0, q1, a, q2 = self.of_studies(tau2, want)
        w1 = w0 + others
        tr1 = others - others2 / w1 + w0 * others / w1
        out = {"mean": mean, "w1": w1, "w2": w0**2 + others2, "tr1": tr1}
        if "q0" in want:
            out["q0"] = w0 * mean**2 + q0
        if "q1" in want or "q2" in want:
            out["q1"] = (w0 * mean) ** 2 + q1
        if "q2" in want:
            out["q2"] = w0**3 * mean**2 * others / w1 + (2 * w0**2 * mean * a - a**2) / w1 + q2
        if "tr2" in want:
            out["tr2"] = others2 - 2 * others3 / w1 + (w0 / w1) ** 2 * (others**2 + 2 * others2) + (others2 / w1) ** 2
        return Sums(**out)

    def of_studies(self, tau2, want):
        """Sums over the studies but the most precise, each of shape (m,); those that nobody wants may be None.

        Of w, w^2 and w^3, the weighted mean of all, and with r = y - mean sums of w r^2, w^2 r^2, w^2 r and w^3 r^2.
        """
        if self.is_compiled:
            from .loops import sums_of_studies  # which imports numba

            return sums_of_studies(self.y, self.v, self.k, self.v0, tau2)
        w, r, wr = self._buffers
        np.add(self.v, tau2[:, None], out=w)
        np.divide(1.0, w, out=w)
        others = w.sum(axis=1)
        mean = _dot(w, self.y) / (1.0 / (self.v0 + tau2) + others)
        np.subtract(self.y, mean[:, None], out=r)
        np.multiply(w, r, out=wr)
        q0, q1 = _dot(wr, r), _dot(wr, wr)
        a, q2 = (_dot(w, wr), _dot(np.multiply(w, wr, out=r), wr)) if "q2" in want else (None, None)
        others3 = _dot(np.multiply(w, w, out=r), w) if "tr2" in want else None
        return others, _dot(w, w), others3, mean, q0, q1, a, q2

    def log_likelihood(self, tau2, restricted):
        """Profile log likelihood (restricted or full) at tau2, up to a constant of each analysis."""
        s = self.sums(tau2)
        total = self.v + tau2[:, None]
        logs = np.log(total, out=np.zeros_like(total), where=np.isfinite(total)).sum(axis=1)
        w0 = 1.0 / (self.v0 + tau2)
        # log(v0 + tau2) + log(w1) without cancellation
        last = np.log1p((s.w1 - w0) / w0) if restricted else np.log(self.v0 + tau2)
        return -0.5 * (logs + last + s.q0)

    def spread(self):
        """Sum of squared deviations from the unweighted mean: no stationary point of a likelihood lies beyond it."""
        mean = self.y.sum(axis=1) / self.k
        deviation = np.where(np.isfinite(self.v), self.y - mean[:, None], 0.0)
        return mean**2 + _dot(deviation, deviation)

    def total_spread(self):
        """Sum of squared deviations from the unweighted mean, with or without covariates."""
        return self.spread()

    def variance_traces(self):
        """tr(MV) and tr(MVMV) with M the unweighted centring matrix (Hedges' estimator)."""
        v = np.where(np.isfinite(self.v), self.v, 0.0)
        v1, v2, k = v.sum(axis=1) + self.v0, _dot(v, v) + self.v0**2, self.k
        return v1 * (k - 1) / k, v2 * (1 - 2 / k) + (v1 / k) ** 2


def mean_model(effects, ses, usable, is_compiled=False):
    """Build the model of one block.

    Parameters
    ----------
    effects, ses, usable : numpy.ndarray, shape (k, m)
        Every column has at least one usable study.
    is_compiled : bool
        See `MeanModel`.

    Returns
    -------
    model : MeanModel
    centre, scale : numpy.ndarray, shape (m,)
        An effect is centre + scale * y; a variance scale^2 * v. Where a variance or a squared effect would leave the
        range of double precision, v0 is NaN and so is every sum.
    """
    if is_compiled:
        from .loops import rows_of_studies  # which imports numba

        *studies, centre, scale = rows_of_studies(*map(np.ascontiguousarray, (effects.T, ses.T)), LARGEST)
        return MeanModel(*studies, is_compiled=True), centre, scale
    se, effect = (np.array(values.T, order="C") for values in (np.where(usable, ses, np.inf), effects))
    k = usable.sum(axis=0)
    if not usable.all():  # those that are used come first
        order = np.argsort(~usable.T, axis=1, kind="stable")[:, : int(k.max())]
        se, effect = (np.take_along_axis(values, order, axis=1) for values in (se, effect))
    row, best = np.arange(len(se)), se.argmin(axis=1)  # and first of all the most precise
    for values in (se, effect):
        values[row, 0], values[row, best] = values[row, best], values[row, 0]
    # a power of two: scaling by it is exact
    scale = np.ldexp(0.5, np.frexp(se[:, 0])[1])
    centre = effect[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.where(np.isfinite(se), (effect - centre[:, None]) / scale[:, None], 0.0)
        v = (se / scale[:, None]) ** 2
        too_far = ~(np.where(np.arange(v.shape[1]) < k[:, None], v + y**2, 0.0).max(axis=1) < LARGEST)
    v[too_far, 0] = np.nan
    model = MeanModel(np.ascontiguousarray(y[:, 1:]), np.ascontiguousarray(v[:, 1:]), v[:, 0].copy(), k)
    return model, centre, scale
