"""Standard errors from few members: empirical-Bayes moderation of the variances over all mutants of a mark."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ..effects_store import with_computed
from ..errors import InputError
from ..inference import check_choice
from ..options import EstimatorOptions

SE_SHRINKAGES = EstimatorOptions.choices_of("se_shrinkage")
MARKS_BYTES = 256_000_000  # of standard errors in float64 held at a time
ZERO_IS = 1e-5  # what limma takes for a variance of 0, as a share of the median variance


@dataclass(frozen=True, eq=False)
class Moderation:
    """The distribution that the variances of each mark are drawn from.

    Attributes
    ----------
    df : float
        Degrees of freedom of each variance: members - 1.
    prior_df : (mark,) float64
        How many degrees of freedom the other mutants' variances are worth; infinite where the variances do not differ
        by more than chance, 0 for a mark that is left as it is.
    prior_variance : (mark,) float64
    """

    df: float
    prior_df: np.ndarray
    prior_variance: np.ndarray

    @property
    def total_df(self):
        """Degrees of freedom of the t distribution of effect / moderated standard error, by mark."""
        return self.df + self.prior_df

    def of_marks(self, index):
        """That of some of the marks, by a slice or an array of their numbers."""
        return replace(self, prior_df=self.prior_df[index], prior_variance=self.prior_variance[index])

    def moderated(self, effect_se):
        """Standard errors drawn towards the prior: those that are not finite, or negative, stay as they are.

        Parameters
        ----------
        effect_se : (..., mark) array

        Returns
        -------
        (..., mark) float64
        """
        effect_se = np.asarray(effect_se, dtype=np.float64)
        weight = 1 - self.df / (self.df + self.prior_df)
        prior = np.where(weight > 0, np.sqrt(weight * self.prior_variance), 0.0)
        usable = np.isfinite(effect_se) & (effect_se >= 0)
        return np.where(usable, np.hypot(np.sqrt(1 - weight) * effect_se, prior), effect_se)


def with_se_shrinkage(effects, se_shrinkage):
    """A Dataset of effects by `--se_shrinkage`: as it is, or with moderated standard errors.

    Parameters
    ----------
    effects : xarray.Dataset
    se_shrinkage : {"none", "moderated"}

    Returns
    -------
    xarray.Dataset
        As `moderated` gives it, or `effects`.

    Raises
    ------
    InputError
        An unknown se_shrinkage, or as `moderation_for`.
    """
    check_choice("se_shrinkage", se_shrinkage, SE_SHRINKAGES)
    return moderated(effects) if se_shrinkage == "moderated" else effects


def moderated(effects):
    """A Dataset of effects whose standard errors are moderated when they are read.

    Parameters
    ----------
    effects : xarray.Dataset
        As for `moderation_for`, which reads all standard errors once.

    Returns
    -------
    xarray.Dataset
        The same variables, `effect_se` in float64. `moderation_of` gives the moderation.

    Raises
    ------
    InputError
        As `moderation_for`, or the standard errors are moderated already.
    """
    if moderation_of(effects):
        raise InputError("the standard errors are already moderated")
    reader = _Reader(effects["effect_se"], moderation_for(effects))
    view = with_computed(effects, {"effect_se": reader}, np.float64)
    view["effect_se"].attrs["moderation"] = reader.moderation
    return view


def moderation_of(effects):
    """The moderation of a Dataset that `moderated` gives; None for others."""
    return effects["effect_se"].attrs.get("moderation")


class _Reader:
    """Reads pieces of moderated standard errors; an index is a slice or an array of integers, one a dimension."""

    def __init__(self, effect_se, moderation):
        self._effect_se, self.moderation = effect_se, moderation

    def __call__(self, locus, variant, mark):
        values = self._effect_se.isel(locus=locus, variant=variant, mark=mark).values
        return self.moderation.of_marks(mark).moderated(values)


def moderation_for(effects):
    """The moderation of a Dataset's standard errors: one prior a mark, over all mutants of all loci.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect_se` (locus, variant, mark), read as many marks at a time as `MARKS_BYTES` hold, and the dimension
        `member`. The divisor of the variances (ddof 0 or 1) does not matter: the prior follows it.

    Returns
    -------
    Moderation

    Raises
    ------
    InputError
        Fewer than two members.
    """
    sizes = effects.sizes
    if sizes["member"] < 2:
        raise InputError("moderated standard errors need two members or more")
    step = max(1, MARKS_BYTES // (8 * sizes["locus"] * sizes["variant"]))
    priors = []
    for first in range(0, sizes["mark"], step):
        effect_se = effects["effect_se"][:, :, first:first + step].values.astype(np.float64)
        for mark in range(effect_se.shape[2]):
            priors.append(fit_prior(effect_se[..., mark].ravel() ** 2, sizes["member"] - 1))
    prior_df, prior_variance = np.array(priors).T
    return Moderation(float(sizes["member"] - 1), prior_df, prior_variance)


def fit_prior(variances, df):
    """Degrees of freedom and scale of a scaled inverse chi-square prior of variances, by the method of moments.

    Parameters
    ----------
    variances : (n,) array
        Those that are not finite are left out; those below 1e-5 of the median, 0 among them, are taken for that.
    df : float
        Degrees of freedom of each.

    Returns
    -------
    prior_df, prior_variance : float
        Infinite degrees of freedom where the variances differ by no more than chance: then the prior variance is their
        mean. (0, NaN) for fewer than two variances, and where more than half are 0, where limma's answer depends on
        the unit.

    References
    ----------
    Smyth GK (2004). Stat Appl Genet Mol Biol 3: 3, section 6.2. R: limma::fitFDist, without covariate.
    """
    variances = variances[np.isfinite(variances)]
    median = np.median(variances) if len(variances) > 1 else 0.0
    if not 0 < median < np.inf:
        return 0.0, np.nan
    variances = np.maximum(variances, ZERO_IS * median)
    half = df / 2
    # about the median, which loses no digits where all are very large or small
    e = np.log(variances) - np.log(median) - special.digamma(half) + np.log(half)
    excess = e.var(ddof=1) - special.polygamma(1, half)
    if excess <= 0:
        return np.inf, variances.mean()
    prior_half = inverse_trigamma(excess)
    return 2 * prior_half, median * np.exp(e.mean() + special.digamma(prior_half) - np.log(prior_half))


def inverse_trigamma(x):
    """The y > 0 whose trigamma is x > 0: Newton's method on 1 / trigamma, which is convex and nearly linear.

    References
    ----------
    Smyth GK (2004), appendix.
    """
    if x > 1e7:
        return 1 / np.sqrt(x)
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        trigamma = special.polygamma(1, y)
        step = trigamma * (1 - trigamma / x) / special.polygamma(2, y)
        y += step
        if -step / y < 1e-8:
            break
    return float(y)
