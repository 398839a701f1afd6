"""Standard errors from few members: empirical-Bayes moderation of the variances over all mutants of a mark."""

import logging
from dataclasses import dataclass

import numpy as np

from ..effects_store import with_computed
from ..errors import InputError
from ..inference import check_choice
from ..options import EstimatorOptions
from .trend import Trend, fit_trend, prior_of_logs

SE_SHRINKAGES = EstimatorOptions.choices_of("se_shrinkage")
MARKS_BYTES = 256_000_000  # of standard errors in float64 held at a time
ZERO_IS = 1e-5  # smaller shares of the median variance are taken for that, as limma has it

log = logging.getLogger(__name__)


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
        With a trend, the factor of what that expects.
    trend : Trend, optional
        The variance expected of a mutant by its size: larger effects have larger errors.
    """

    df: float
    prior_df: np.ndarray
    prior_variance: np.ndarray
    trend: Trend | None = None

    @property
    def total_df(self):
        """Degrees of freedom of the t distribution of effect / moderated standard error, by mark."""
        return self.df + self.prior_df

    def moderated(self, effect_se, effect=None, marks=slice(None)):
        """Standard errors drawn towards the prior: those that are not finite, or negative, stay as they are.

        Parameters
        ----------
        effect_se : (..., mark) array
            Of all marks, or of `marks`.
        effect : (..., mark) array
            Effects on all marks; what a trend needs.
        marks : slice or array of int
            Numbers of the marks that `effect_se` has.

        Returns
        -------
        (..., mark) float64
        """
        effect_se = np.asarray(effect_se, dtype=np.float64)
        weight = 1 - self.df / (self.df + self.prior_df[marks])
        variance = self.prior_variance[marks]
        if self.trend:
            variance = variance * self.trend.expected(effect, marks)
        prior = np.where(weight > 0, np.sqrt(weight * variance), 0.0)
        usable = np.isfinite(effect_se) & (effect_se >= 0)
        return np.where(usable, np.hypot(np.sqrt(1 - weight) * effect_se, prior), effect_se)


def with_se_shrinkage(effects, se_shrinkage, map_blocks=None, quiet=False):
    """A Dataset of effects by `--se_shrinkage`: as it is, or with moderated standard errors.

    Parameters
    ----------
    effects : xarray.Dataset
    se_shrinkage : {"none", "moderated", "trend"}
    map_blocks : callable, optional
        As `each_block`, which is the default: where blocks are read.
    quiet : bool
        Do not name marks whose standard errors cannot be moderated.

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
    return effects if se_shrinkage == "none" else moderated(effects, se_shrinkage == "trend", map_blocks, quiet)


def moderated(effects, trend=False, map_blocks=None, quiet=False):
    """A Dataset of effects whose standard errors are moderated when they are read.

    Parameters
    ----------
    effects : xarray.Dataset
    trend, map_blocks, quiet
        As for `moderation_for`, which reads all standard errors once, with a trend all effects twice.

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
    reader = _Reader(effects, moderation_for(effects, trend, map_blocks, quiet))
    view = with_computed(effects, {"effect_se": reader}, np.float64)
    view["effect_se"].attrs["moderation"] = reader.moderation
    return view


def moderation_of(effects):
    """The moderation of a Dataset that `moderated` gives; None for others."""
    return effects["effect_se"].attrs.get("moderation")


class _Reader:
    """Reads pieces of moderated standard errors; an index is a slice or an array of integers, one a dimension."""

    def __init__(self, effects, moderation):
        self._effects, self.moderation = effects, moderation

    def __call__(self, locus, variant, mark):
        values = self._effects["effect_se"].isel(locus=locus, variant=variant, mark=mark).values
        effect = self._effects["effect"].isel(locus=locus, variant=variant).values if self.moderation.trend else None
        return self.moderation.moderated(values, effect, mark)


def moderation_for(effects, trend=False, map_blocks=None, quiet=False):
    """The moderation of a Dataset's standard errors: one prior a mark, over all mutants of all loci.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect_se` (locus, variant, mark) and the dimension `member`; with a trend also `effect`. The divisor of
        the variances (ddof 0 or 1) does not matter: the prior follows it.
    trend : bool
        Whether the prior depends on how much a mutant moves the marks; then blocks of loci are read, else as many
        marks at a time as `MARKS_BYTES` hold.
    map_blocks : callable, optional
        As `each_block`, which is the default: where blocks are read.
    quiet : bool
        Do not name marks whose standard errors cannot be moderated.

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
    df = sizes["member"] - 1.0
    curve, priors = fit_trend(effects, df, map_blocks) if trend else (None, _flat_priors(effects, df))
    unfit = [str(mark) for mark, prior in zip(effects["mark"].values, priors, strict=True) if np.isnan(prior[1])]
    if unfit and not quiet:
        log.warning("the standard errors on %s are not moderated: fewer than two of them are above 0",
                    ", ".join(unfit[:5]))
    prior_df, prior_variance = np.array(priors).T
    return Moderation(df, prior_df, prior_variance, curve)


def _flat_priors(effects, df):
    sizes, priors = effects.sizes, []
    step = max(1, MARKS_BYTES // (8 * sizes["locus"] * sizes["variant"]))
    for first in range(0, sizes["mark"], step):
        effect_se = effects["effect_se"][:, :, first:first + step].values.astype(np.float64)
        priors += [fit_prior(effect_se[..., mark].ravel() ** 2, df) for mark in range(effect_se.shape[2])]
    return priors


def fit_prior(variances, df):
    """Degrees of freedom and scale of a scaled inverse chi-square prior of variances, by the method of moments.

    Parameters
    ----------
    variances : (..., n) array
        Those that are not finite or not above 0 are left out: a real model leaves a mark exactly alone in many mutants,
        and the prior is about the others. Those below 1e-5 of the median are taken for that.
    df : float
        Degrees of freedom of each.

    Returns
    -------
    prior_df, prior_variance : (...) float64
        Infinite degrees of freedom where the variances differ by no more than chance: then the prior variance is their
        mean. 0 and NaN for fewer than two variances above 0.

    References
    ----------
    Smyth GK (2004). Stat Appl Genet Mol Biol 3: 3, section 6.2. R: limma::fitFDist, without covariate.
    """
    usable = np.isfinite(variances) & (variances > 0)
    n = usable.sum(-1, keepdims=True)
    padding = np.full((*usable.shape[:-1], max(0, 2 - usable.shape[-1])), np.inf)
    variances = np.concatenate([np.where(usable, variances, np.inf), padding], -1, dtype=np.float64)
    variances = np.ascontiguousarray(variances)  # whose sums have one order, however many rows there are
    variances.sort(-1)  # what is left out comes last
    median = np.take_along_axis(variances, np.maximum(n - 1, 0) // 2, -1) + np.take_along_axis(variances, n // 2, -1)
    median /= 2
    known = (n > 1) & np.isfinite(median)
    median, n = np.where(known, median, 1.0), np.where(known, n, 2)
    usable = known & np.isfinite(variances)
    variances = np.where(usable, np.maximum(variances, ZERO_IS * median), 0.0)
    # about the median, which loses no digits where all are very large
    logs = np.log(np.where(usable, variances, median)) - np.log(median)
    mean = logs.sum(-1, keepdims=True) / n
    deviation = np.where(usable, logs - mean, 0.0)
    known, median, n = known[..., 0], median[..., 0], n[..., 0]
    prior_df, scale = prior_of_logs(mean[..., 0], (deviation * deviation).sum(-1) / (n - 1), df)
    prior_variance = np.where(np.isinf(prior_df), variances.sum(-1) / n, median * scale)
    return np.where(known, prior_df, 0.0)[()], np.where(known, prior_variance, np.nan)[()]
