"""Intervals from the ensemble's members: the spread of the causal effects that each member's own effects give."""

from dataclasses import replace

import numpy as np

from ..inference import added, interval, two_sided_pvalue
from ..instruments.moderation import Moderation, fit_prior
from . import notes
from .problems import unknown
from .result import MRResult

SHARED = 0.35  # variance that the members' errors have in common, over that of what they do not (docs/method.md)


def moderation_of_spread(spreads, n_members):
    """The moderation of members' spreads: one prior for each pair, over all loci.

    The prior is worth no more degrees of freedom than all other loci's spreads have together.

    Parameters
    ----------
    spreads : (locus, pair) array
        Standard deviations (ddof = 1) of the members' estimates; those that are not finite, or 0, are left out.
    n_members : int

    Returns
    -------
    Moderation
        Its last axis is that of the pairs.

    References
    ----------
    Smyth GK (2004). Stat Appl Genet Mol Biol 3: 3. R: limma::squeezeVar; limma::eBayes has the same upper limit.
    """
    df = n_members - 1.0
    with np.errstate(over="ignore"):
        prior_df, prior_variance = fit_prior(np.where(spreads > 0, spreads, np.nan).T ** 2, df)
    most = df * np.maximum(((spreads > 0) & np.isfinite(spreads)).sum(0) - 1, 0)
    return Moderation(df, np.minimum(prior_df, most), prior_variance)


def from_members(result, members, uncertainty, alpha=0.05, moderation=None, factor=1.0):
    """A result whose standard errors, intervals and p-values come from the members' own fits.

    The estimate stays that of the ensemble's effects. `members` has as standard error the standard deviation
    (ddof = 1) of the K members' estimates, and t quantiles at K - 1 degrees of freedom. `combined` adds its square to
    that of the regression's standard error; the degrees of freedom are Welch and Satterthwaite's. With a moderation
    the standard deviation is drawn towards what the pair has at other loci, and its degrees of freedom are more. Where
    all members' estimates are exactly 0, and no other locus says how they spread, it is the regression's.

    The standard deviation is not divided by sqrt(K). Like `effect_se`, it is the spread of what one training could
    have given; the mean of K is nearer to what infinitely many would give, but no nearer to the truth by what they have
    in common. In the paper's simulation (five members, 52 to 69 loci) 95 % intervals of sd held the truth at 0.89 to
    1.00 of the loci, those of sd / sqrt(K) at 0.67 to 0.87.

    Parameters
    ----------
    result : MRResult
        Of the ensemble's effects; arrays of any shape.
    members : sequence of MRResult
        Of K members' effects, with the same instruments and standard errors; arrays of the same shape.
    uncertainty : {"members", "combined"}
    alpha : float or None
        None: as for `problems.finish`.
    moderation : Moderation, optional
        As `moderation_of_spread` gives it: of the estimate's spread; the intercept keeps its own.
    factor : float
        Of all standard deviations over members.

    Returns
    -------
    MRResult
        Also where a member's fit has no answer: NaN, and a note that says so.
    """
    note, solved = _notes(result, members)
    with np.errstate(all="ignore"):
        estimates = np.stack([m.estimate for m in members])
        sd = np.std(estimates, axis=0, ddof=1)
        intercept_df = np.float64(len(members) - 1)
        df = moderation.total_df if moderation else intercept_df
        sd = factor * (moderation.moderated(sd) if moderation else sd)
        if uncertainty == "members":  # all say exactly 0, as local models do: the regression's error is all there is
            equal = sd == 0
            if equal.any():
                sd = np.where(equal & (estimates == 0).all(0), result.se, sd)
                equal = sd == 0
                note[solved & equal] = notes.EQUAL_MEMBERS
                solved = solved & ~equal
            se = sd
        else:
            se, df = added(result.se, result.df, sd, df)
        changed = {"se": se, "df": df}
        if alpha is not None:
            intercept_se = factor * np.std([m.intercept for m in members], axis=0, ddof=1)
            if uncertainty != "members":
                intercept_se, intercept_df = added(result.intercept_se, result.df, intercept_se, intercept_df)
            low, high = interval(result.estimate, se, alpha, df)
            changed.update(ci_low=low, ci_high=high, pvalue=two_sided_pvalue(result.estimate, se, df),
                           intercept_se=intercept_se,
                           intercept_pvalue=two_sided_pvalue(result.intercept, intercept_se, intercept_df))
    if alpha is None:
        few = {"estimate": result.estimate, **changed}
        return MRResult(**{**unknown(note.shape), **{name: np.where(solved, values, np.nan)
                                                     for name, values in few.items()}},
                        n_instruments=result.n_instruments, note=note)
    numbers = {name: values for name, values in vars(result).items() if name not in ("note", "n_instruments")}
    return replace(result, note=note, **{name: np.where(solved, values, np.nan)
                                         for name, values in {**numbers, **changed}.items()})


def cross_fitted(fits, alpha=0.05, moderation=None, of_mean=False):
    """Mean of the fits of K members, each over instruments that the other members chose and weighted.

    A mutant chosen because its effect is large is large in part by the errors of those who chose it. Here a member has
    no say in its own instruments, so that its errors are not selected. The standard error is the standard deviation
    (ddof = 1) of the K estimates with t quantiles at K - 1 degrees of freedom, undivided as in `from_members`.

    Parameters
    ----------
    fits : sequence of MRResult
        Arrays of the same shape.
    alpha : float or None
        None: as for `problems.finish`.
    moderation : Moderation, optional
        As for `from_members`.
    of_mean : bool
        Whether the standard error is that of the members' mean, `sd * sqrt(1 / K + SHARED)`, where the members' errors
        have a part in common that a spread does not show.

    Returns
    -------
    MRResult
        Numbers that are no estimates, among them n_instruments (rounded), are means over the fits. NaN with a note
        where a member's fit has no answer.

    References
    ----------
    Chernozhukov V et al. (2018). Econometrics Journal 21: C1-C68, section 3 (cross-fitting).
    """
    names = ("estimate", "se", "n_instruments") if alpha is None else [name for name in vars(fits[0]) if name != "note"]
    means = {name: np.mean([getattr(fit, name) for fit in fits], axis=0) for name in names}
    means = {**unknown(fits[0].note.shape), **means} if alpha is None else means
    result = MRResult(**means, note=notes.blank_like(fits[0].note))
    factor = np.sqrt(1 / len(fits) + SHARED) if of_mean else 1.0
    result = from_members(result, fits, "members", alpha, moderation, factor)
    failed = ~np.isfinite(result.estimate)
    for number, fit in enumerate(fits, 1):
        if failed.any():
            unsolved = failed & (fit.note != "")
            result.note[unsolved] = notes.of_members(number, fit.note[unsolved])
            failed &= ~unsolved
    return replace(result, n_instruments=np.rint(means["n_instruments"]).astype(fits[0].n_instruments.dtype))


def _notes(result, members):
    """Notes, and where the ensemble's fit and all of the members' have an estimate."""
    note, solved = result.note.copy(), np.isfinite(result.estimate)
    for number, member in enumerate(members, 1):
        failed = solved & ~np.isfinite(member.estimate)
        if failed.any():
            note[failed] = notes.of_members(number, member.note[failed])
            solved = solved & ~failed
    return note, solved
