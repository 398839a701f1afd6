"""The interaction of two regions: whether losing both costs as much as losing each, more, or less."""

from typing import NamedTuple

import numpy as np
from scipy import special

from .. import meta
from ..inference import interval, two_sided_pvalue
from ..mr.uncertainty import SHARED
from ..network.significance import FALSE_DISCOVERY_RATE, beyond_pvalue, qvalues
from .spread import spread_of
from .words import INDEPENDENT, NO_EFFECT, UNKNOWN

LEAST_LOCI, LEAST_MEMBERS = 5, 2
COOPERATIVE, REDUNDANT, OTHER = "cooperative", "redundant", "another interaction"
NOT_ENOUGH = "not enough loci"
MODELS = ("additive", "multiplicative", "AND", "OR")
NO_MODEL = "none"
LARGEST_MISFIT = 1 / 3  # of a model that fits, as a share of the largest of the three effects
ALPHA = 0.05
FIRST, SECOND, BOTH = np.eye(3)
INTERACTION = BOTH - FIRST - SECOND


class Interaction(NamedTuple):
    """How the effects of two regions on an outcome combine: a row of the table of interactions.

    `effect`, `effect_2` and `effect_both` are means over loci of what replacing the first region, the second, and
    both does to the outcome, in its unit; `interaction` is `effect_both - effect - effect_2`, `tau` its standard
    deviation between loci, and `share` its part of `effect + effect_2`. `pvalue` tests no interaction, `pvalue_beyond`
    one of at most the minimum, `pvalue_within` one of more than the minimum. Misfits are root mean squares over loci,
    as shares of the largest effect.
    """

    exposure: str
    exposure_2: str
    outcome: str
    n_loci: int
    n_pairs: int
    effect: float = np.nan
    effect_ci_low: float = np.nan
    effect_ci_high: float = np.nan
    effect_2: float = np.nan
    effect_2_ci_low: float = np.nan
    effect_2_ci_high: float = np.nan
    effect_both: float = np.nan
    effect_both_ci_low: float = np.nan
    effect_both_ci_high: float = np.nan
    interaction: float = np.nan
    interaction_se: float = np.nan
    interaction_ci_low: float = np.nan
    interaction_ci_high: float = np.nan
    tau: float = np.nan
    share: float = np.nan
    share_ci_low: float = np.nan
    share_ci_high: float = np.nan
    pvalue: float = np.nan
    pvalue_beyond: float = np.nan
    qvalue_beyond: float = np.nan
    pvalue_within: float = np.nan
    qvalue_within: float = np.nan
    misfit_additive: float = np.nan
    misfit_multiplicative: float = np.nan
    misfit_and: float = np.nan
    misfit_or: float = np.nan
    model: str = UNKNOWN
    verdict: str = NOT_ENOUGH


def interactions(pairs, marks, outcomes, min_interaction=0.2, min_effect=0.0):
    """The interactions of pairs of regions, on every outcome.

    Parameters
    ----------
    pairs : list of RegionPairs
    marks : list of str
        Names of all marks.
    outcomes : sequence of int
        Numbers of the outcomes that `pairs` have.
    min_interaction : float
        The least interaction that counts, as a share of the sum of the sizes of both effects, or of the effect of both
        together where that is larger.
    min_effect : float or (outcome,) array
        The least effect, and interaction, that counts, in the unit of the outcome.

    Returns
    -------
    list of Interaction
        q-values are Benjamini and Hochberg's over all rows that have a test.
    """
    least = np.broadcast_to(min_effect, len(outcomes))
    judged = [_judged(Interaction(marks[pair.first], marks[pair.second], marks[outcome], len(pair.loci),
                                  int(pair.n_pairs.sum())),
                      pair.effects[..., k], pair.product[..., k], min_interaction, least[k])
              for pair in pairs for k, outcome in enumerate(outcomes)]
    beyond, within = (qvalues(np.array([getattr(row, name) for row, _ in judged], np.float64))
                      for name in ("pvalue_beyond", "pvalue_within"))
    return [_with_verdict(row._replace(qvalue_beyond=q_beyond, qvalue_within=q_within), direction)
            for (row, direction), q_beyond, q_within in zip(judged, beyond, within, strict=True)]


def _judged(row, values, product, min_interaction, min_effect):
    """A row with its numbers, and `_direction` of its effects; `values` is (locus, member, 3)."""
    if row.n_loci < LEAST_LOCI:
        return row, 0
    theta, errors = _estimates(values)
    contrasts = np.stack([FIRST, SECOND, BOTH, INTERACTION])
    found, (se, df) = contrasts @ theta, errors.of(contrasts)
    low, high = interval(found, se, ALPHA, df)
    numbers = dict(zip(("effect", "effect_2", "effect_both", "interaction"), zip(found, low, high, strict=True),
                       strict=True))
    own, own_se = at_each_locus(values)
    row = row._replace(tau=float(meta.random_effects(own, own_se, tau2_ci=None).tau), interaction_se=se[3],
                       pvalue=float(_two_sided(found[3], se[3], df[3])),
                       **{f"{name}{end}": value for name, three in numbers.items()
                          for end, value in zip(("", "_ci_low", "_ci_high"), three, strict=True)},
                       **dict(zip(("share", "share_ci_low", "share_ci_high"), _share(theta, errors), strict=True)))
    if 3 * np.nanmin(beyond_pvalue(found[:3], se[:3], df[:3], min_effect)) >= ALPHA:
        return row._replace(verdict=NO_EFFECT), 0
    beyond, within = _against_minimum(theta, errors, min_interaction, min_effect)
    misfits, model = _models(values.mean(1), product.mean(1))
    row = row._replace(pvalue_beyond=beyond, pvalue_within=within, model=model,
                       **{f"misfit_{name.lower()}": misfit for name, misfit in zip(MODELS, misfits, strict=True)})
    return row, _direction(theta, errors, min_effect)


def at_each_locus(values):
    """Interaction at each locus and its standard error by the members: of (locus, member, 3), two (locus,) float64."""
    own = values @ INTERACTION
    return own.mean(1), own.std(1, ddof=1) * np.sqrt(1 / own.shape[1] + SHARED)


def _estimates(values):
    """Means over loci and members of (locus, member, 3), and their `Spread`."""
    n = len(values)
    members = values.mean(0)
    influence = np.swapaxes(values - members, 0, 1) / (n - 1)
    at_loci = values.mean(1)
    theta = at_loci.mean(0)
    return theta, spread_of(theta - (at_loci - theta) / (n - 1), members, influence)


def _share(theta, errors):
    """The interaction as a share of the sum of both effects, with its interval; NaN where that sum may be 0."""
    whole = (FIRST + SECOND) @ theta
    se, df = errors.of(FIRST + SECOND)
    if not _two_sided(whole, se, df) < ALPHA:
        return np.nan, np.nan, np.nan
    share = INTERACTION @ theta / whole
    se, df = errors.of(INTERACTION - share * (FIRST + SECOND))
    return share, *interval(share, se / abs(whole), ALPHA, df)


def _against_minimum(theta, errors, min_interaction, min_effect):
    """P-values that the interaction is at most the minimum, and that it is more.

    The minimum is a share of effects that have errors themselves: both stand in one contrast.
    """
    alone, together = np.sign([*theta[:2], 0]), np.sign(theta) * BOTH
    least = min_interaction * max(alone, together, key=lambda contrast: contrast @ theta)
    constant = 0.0
    if least @ theta < min_effect:
        least, constant = np.zeros(3), min_effect
    side = 1.0 if INTERACTION @ theta >= 0 else -1.0
    near, far = side * INTERACTION - least, side * INTERACTION + least
    upper = _upper(near @ theta - constant, *errors.of(near))
    return float(min(upper + _upper(far @ theta + constant, *errors.of(far)), 1)), float(
        max(1 - upper, _upper(far @ theta + constant, *errors.of(far))))


def _upper(value, se, df):
    """P-value that a number is 0 or less."""
    return special.stdtr(df, -value / se) if se > 0 else float(value <= 0)


def _two_sided(value, se, df):
    return two_sided_pvalue(value, se, df) if se > 0 else float(value == 0)


def _direction(theta, errors, min_effect):
    """The sign that the three effects have in common; 0 where the two alone differ, or where none is clear."""
    alone = np.stack([FIRST, SECOND])
    clear = beyond_pvalue(alone @ theta, *errors.of(alone), min_effect) < ALPHA
    if clear.all() and theta[0] * theta[1] < 0:
        return 0
    whole = np.ones(3)
    return int(np.sign(whole @ theta)) if _two_sided(whole @ theta, *errors.of(whole)) < ALPHA else 0


def _models(effects, product):
    """How far each of `MODELS` is from the effects (locus, 3), and the names of those that none is clearly better than.

    Additive and multiplicative models are off by what they miss of the effect of both. An AND says that the three
    effects are the same, an OR that each alone is 0: they are off by the larger of the two deviations.
    """
    first, second, both = effects.T
    off = np.stack([both - first - second, both - first - second - product,
                    np.maximum(np.abs(both - first), np.abs(both - second)),
                    np.maximum(np.abs(first), np.abs(second))]) ** 2
    off = off / (np.abs(effects).max(1) ** 2).mean()
    misfits = np.sqrt(off.mean(1))
    best = int(np.nanargmin(misfits))
    if misfits[best] > LARGEST_MISFIT:
        return misfits, NO_MODEL
    worse = off - off[best]
    se = worse.std(1, ddof=1) / np.sqrt(off.shape[1])
    names = [name for k, name in enumerate(MODELS) if k == best or (
        misfits[k] <= LARGEST_MISFIT and not _upper(worse[k].mean(), se[k], off.shape[1] - 1) < ALPHA)]
    return misfits, " or ".join(names)


def _with_verdict(row, direction):
    if not np.isfinite(row.pvalue_beyond):
        return row
    if row.qvalue_beyond < FALSE_DISCOVERY_RATE:
        if not direction:
            return row._replace(verdict=OTHER)
        return row._replace(verdict=REDUNDANT if row.interaction * direction > 0 else COOPERATIVE)
    return row._replace(verdict=INDEPENDENT if row.qvalue_within < FALSE_DISCOVERY_RATE else UNKNOWN)
