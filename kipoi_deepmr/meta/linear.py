"""The linear model of one meta-regression: every weighted sum that the estimators need, for any tau^2."""

import numpy as np

from .model import Sums


class LinearModel:
    """One analysis with covariates at m values of tau^2: the sums that `model.MeanModel` has, with p coefficients.

    Attributes
    ----------
    y, v : numpy.ndarray, shape (k,)
        Effects and variances, scaled as in `model.mean_model`.
    x : numpy.ndarray, shape (k, p)
        Design matrix of full rank.
    k, v0 : numpy.ndarray, shape (m,)
        Number of studies and smallest variance, the same m times.
    """

    is_compiled = False

    def __init__(self, y, v, x, m=1):
        self.y, self.v, self.x = y, v, x
        self.k, self.v0 = np.full(m, len(y)), np.full(m, v.min())
        self.n_coefficients = x.shape[1]

    @property
    def df(self):
        return self.k - self.n_coefficients

    def rows(self, index):
        return LinearModel(self.y, self.v, self.x, len(index))

    def fit(self, tau2):
        """Weights (m, k), orthonormal bases of sqrt(w) X (m, k, p), their triangles (m, p, p), residuals (m, k)."""
        w = 1 / (self.v + tau2[:, None])
        root = np.sqrt(w)
        basis, triangle = np.linalg.qr(root[:, :, None] * self.x)
        return w, basis, triangle, self._residual(root, basis, self.y) / root

    @staticmethod
    def _residual(root, basis, u):
        """sqrt(w) u less its projection on the covariates, twice, so that rounding in the first is removed."""
        left = root * u
        for _ in range(2):
            left = left - np.einsum("mkp,mp->mk", basis, np.einsum("mkp,mk->mp", basis, left))
        return left

    def sums(self, tau2, want=("q0",)):
        """Weighted sums at tau2, shape (m,); all are computed."""
        w, basis, _, r = self.fit(tau2)
        leverage = (basis**2).sum(axis=2)
        weighted = np.einsum("mkp,mk,mkq->mpq", basis, w, basis)
        q2 = self._residual(np.sqrt(w), basis, w * r)
        tr2 = (w**2 * (1 - 2 * leverage)).sum(axis=1) + (weighted**2).sum(axis=(1, 2))
        return Sums(
            mean=None,
            w1=w.sum(axis=1),
            w2=(w**2).sum(axis=1),
            tr1=(w * (1 - leverage)).sum(axis=1),
            q0=(w * r**2).sum(axis=1),
            q1=((w * r) ** 2).sum(axis=1),
            q2=(q2**2).sum(axis=1),
            tr2=tr2,
        )

    def log_likelihood(self, tau2, restricted):
        w, _, triangle, r = self.fit(tau2)
        total = np.log(w).sum(axis=1) - (w * r**2).sum(axis=1)
        if restricted:
            total -= 2 * np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2))).sum(axis=1)
        return 0.5 * total

    def spread(self):
        """Residual sum of squares of the unweighted fit."""
        basis, _ = np.linalg.qr(self.x)
        r = self.y - basis @ (basis.T @ self.y)
        return np.full(len(self.k), r @ r)

    def total_spread(self):
        """Sum of squared deviations from the unweighted mean."""
        deviation = self.y - self.y.mean()
        return np.full(len(self.k), deviation @ deviation)

    def variance_traces(self):
        """tr(MV) and tr(MVMV) with M the unweighted residual maker (Hedges' estimator)."""
        basis, _ = np.linalg.qr(self.x)
        leverage = (basis**2).sum(axis=1)
        weighted = basis.T @ (self.v[:, None] * basis)
        trace2 = (self.v**2 * (1 - 2 * leverage)).sum() + (weighted**2).sum()
        return np.full(len(self.k), (self.v * (1 - leverage)).sum()), np.full(len(self.k), trace2)
