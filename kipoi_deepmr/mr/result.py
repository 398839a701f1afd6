"""What an estimator returns."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class MRResult:
    """The fit of one MR problem, or of a batch of them.

    Every field is a number (`note` a str) for one problem, and an array of the batch's shape for a batch.
    What an estimator does not define is NaN.

    Attributes
    ----------
    estimate, se, ci_low, ci_high, pvalue
        Causal effect of the exposure on the outcome, its standard error, its 1 - alpha interval, and the two-sided
        p-value against no effect. Interval and p-value come from one distribution.
    df
        Degrees of freedom of that distribution: t, or infinite for the normal one.
    n_instruments : int
        How many instruments the fit used.
    intercept, intercept_se, intercept_pvalue
        Egger's intercept (directional pleiotropy).
    residual_se
        Residual standard error of the weighted regression; 1 when the instruments' standard errors explain the spread.
    q, q_df, q_pvalue
        Heterogeneity: Cochran's Q (Ruecker's Q' for Egger), its degrees of freedom and its chi-square p-value.
    i2
        Share of Q beyond what the instruments' standard errors explain, max(0, (Q - q_df) / Q).
    i2_gx
        I^2 of bx / sy with standard errors sx / sy: Egger's estimate is diluted by about this factor.
    f_statistic
        Mean over the instruments of (bx / sx)^2.
    phi
        Factor of the bandwidth, of estimators that smooth the ratios.
    tau2
        Variance of the instruments' direct effects on the outcome, of estimators that model it.
    note : str
        Why there is no estimate; empty when there is one.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    pvalue: float
    n_instruments: int
    intercept: float
    intercept_se: float
    intercept_pvalue: float
    residual_se: float
    q: float
    q_df: float
    q_pvalue: float
    df: float
    i2: float
    i2_gx: float
    f_statistic: float
    phi: float
    tau2: float
    note: str

    def as_scalars(self):
        """The same result with Python numbers instead of arrays of shape ()."""
        return MRResult(**{f.name: np.asarray(getattr(self, f.name)).item() for f in fields(self)})
