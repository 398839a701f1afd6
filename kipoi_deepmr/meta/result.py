"""MetaResult: what one random-effects meta-analysis, or n of them, found."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MetaResult:
    """Random-effects and common-effect meta-analysis.

    Every field is a number for 1-D input and an array of shape (n,) for n columns; NaN where it does not exist.

    Attributes
    ----------
    estimate, se, ci_low, ci_high, pvalue : float
        Random-effects mean, its standard error and interval, and the p-value from the same distribution.
    tau2, tau2_se, tau2_ci_low, tau2_ci_high : float
        Variance of effects between studies.
    q, q_df, q_pvalue : float, int, float
        Cochran's Q.
    i2, h2 : float
        From Q, as R's meta: i2 = max(0, 1 - df/Q) between 0 and 1; h2 = max(1, Q/df).
    pi_low, pi_high : float
        Prediction interval: where the effect of a new study is expected.
    n_studies, n_excluded : int
        Studies used; studies left out because they cannot be weighted (missing ones are in neither).
    common_estimate, common_se, common_ci_low, common_ci_high, common_pvalue : float
        Common-effect (inverse-variance, tau^2 = 0) model with its normal interval.
    typical_variance : float
        Typical within-study variance (Higgins and Thompson), from which metafor derives I^2.
    note : str
        Empty, or what was excluded and why something is NaN.
    """

    estimate: float | np.ndarray
    se: float | np.ndarray
    ci_low: float | np.ndarray
    ci_high: float | np.ndarray
    pvalue: float | np.ndarray
    tau2: float | np.ndarray
    tau2_se: float | np.ndarray
    tau2_ci_low: float | np.ndarray
    tau2_ci_high: float | np.ndarray
    q: float | np.ndarray
    q_df: int | np.ndarray
    q_pvalue: float | np.ndarray
    i2: float | np.ndarray
    h2: float | np.ndarray
    pi_low: float | np.ndarray
    pi_high: float | np.ndarray
    n_studies: int | np.ndarray
    n_excluded: int | np.ndarray
    common_estimate: float | np.ndarray
    common_se: float | np.ndarray
    common_ci_low: float | np.ndarray
    common_ci_high: float | np.ndarray
    common_pvalue: float | np.ndarray
    typical_variance: float | np.ndarray
    note: str | np.ndarray

    @property
    def tau(self):
        """Standard deviation of effects between studies."""
        return np.sqrt(self.tau2)

    @property
    def i2_tau2(self):
        """I^2 from tau^2 as metafor has it (0 to 1): tau2 / (tau2 + typical_variance)."""
        return self.tau2 / (self.tau2 + self.typical_variance)

    @property
    def h2_tau2(self):
        """H^2 from tau^2 as metafor has it: tau2 / typical_variance + 1."""
        return self.tau2 / self.typical_variance + 1
