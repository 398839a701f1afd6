"""The sums of a meta-analysis in compiled loops: one pass over the studies for the mean, one about it."""

import numpy as np

from ..compiled import compiled_fast


def sums_of_studies(y, v, v0, tau2):
    """As `model.MeanModel.of_studies`, all of them: (8, m) float64."""
    found = np.empty((8, len(tau2)))
    _sums(y, v, v0, tau2, found)
    return found


@compiled_fast
def _sums(y, v, v0, tau2, found):
    for i in range(len(y)):
        others, others2, others3, total = 0.0, 0.0, 0.0, 0.0
        for j in range(y.shape[1]):
            w = 1 / (v[i, j] + tau2[i])
            others += w
            others2 += w * w
            others3 += w * w * w
            total += w * y[i, j]
        mean = total / (1 / (v0[i] + tau2[i]) + others)
        q0, q1, a, q2 = 0.0, 0.0, 0.0, 0.0
        for j in range(y.shape[1]):
            w = 1 / (v[i, j] + tau2[i])
            r = y[i, j] - mean
            wr = w * r
            q0 += wr * r
            q1 += wr * wr
            a += w * wr
            q2 += w * wr * wr
        found[:, i] = others, others2, others3, mean, q0, q1, a, q2
