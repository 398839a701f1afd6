"""From members' predictions to effects and their standard errors, locus by locus."""

from collections.abc import Callable, Iterator

import numpy as np

from .. import effects_store
from ..errors import InputError
from ..loci import Loci
from ..models import Ensemble
from ..models.host.saturation import alternative_bases
from ..models.host.session import DEFAULT_BATCH_SIZE
from .engines import Engines, naive

NOT_FINITE = "its predictions are not finite numbers"


class NotFinite(InputError):
    """A model predicts NaN or infinity for a locus or one of its mutants."""


def saturate(ensemble: Ensemble, loci: Loci, ddof: int = 1, engines: Engines | None = None):
    """Effects of all single mutants of loci, in memory.

    Parameters
    ----------
    ensemble : Ensemble
    loci : Loci
    ddof : int
        Of the standard deviation over members: 1 (sample) or 0 (as the paper's code).
    engines : Engines, optional
        As `engines.choose` gives them for the ensemble; by default each mutant is predicted as a whole.

    Returns
    -------
    xarray.Dataset
        As kipoi_deepmr.effects_store declares it.

    Raises
    ------
    InputError
        A prediction is not a finite number (`NotFinite`), or there are too few members for `ddof`.

    References
    ----------
    Malina, Cizin, Knowles. PLOS Comp. Biol. 2022, "Exposure and outcome effect size & standard error estimation".
    """
    each = list(iter_effects(engines or naive(ensemble), loci, ddof))
    data = {name: np.stack([effects[name] for effects in each]) for name in each[0]}
    return effects_store.dataset(loci, ensemble.marks, ensemble.names, data, {"ddof": ddof})


def iter_effects(engines: Engines, loci: Loci, ddof: int = 1, dropped: dict | None = None) -> Iterator[dict]:
    """Effects of one locus after the other, as `saturate` computes them.

    Parameters
    ----------
    engines : Engines
    loci, ddof
        As for `saturate`.
    dropped : dict, optional
        Gets the number of each locus that has a prediction which is not finite, and what is wrong with it; its numbers
        are all NaN. Without it such a locus raises `NotFinite`.

    Yields
    ------
    dict of str to array
        The variables of the Dataset for one locus, without its dimension `locus`.
    """
    ensemble = engines.ensemble
    if len(ensemble.names) <= ddof:
        raise InputError(f"ddof = {ddof} needs more than {len(ensemble.names)} members")
    each = zip(loci.name, loci.sequences, loci.mutated, _predicted(engines, loci), strict=True)
    for number, (name, sequence, mutated, predicted) in enumerate(each):
        try:
            _check_finite(predicted, name, ensemble)
        except NotFinite as error:
            if dropped is None:
                raise
            dropped[number] = str(error)
            predicted = np.full_like(predicted, np.nan)
        yield {**_with_missing(_effects(predicted, ddof), mutated), "ref_base": _letters(np.repeat(sequence, 3)),
               "alt_base": _letters(alternative_bases(sequence))}


def _predicted(engines, loci):
    """Predictions (members, 1 + variants, marks) of each locus; short ones share a batch."""
    n_together, ensemble = 1, engines.ensemble
    if not ensemble.needs_item and loci.mutated.all():
        n_together = max(1, (ensemble.batch_size or DEFAULT_BATCH_SIZE) // (1 + 3 * loci.sequences.shape[1]))
    for start in range(0, len(loci), n_together):
        if n_together > 1:
            yield from engines.mutants_of(loci.sequences[start:start + n_together])
        else:
            yield engines.mutants(loci.sequences[start], loci.item_of(start), loci.positions_of(start))


def effects_of_block(engines: Engines, loci: Loci, ddof: int = 1, keep: str = "members",
                     each: Callable | None = None) -> tuple[dict, dict]:
    """Effects of a block of loci, as a store takes them.

    Parameters
    ----------
    engines, loci, ddof
        As for `iter_effects`.
    keep : {"members", "summary"}
        summary: without `member_effect`.
    each : callable, optional
        Called after each locus.

    Returns
    -------
    data : dict of str to array
    dropped : dict of int to str
        As `iter_effects` fills it.
    """
    dropped, found = {}, []
    for effects in iter_effects(engines, loci, ddof, dropped):
        found.append({name: values for name, values in effects.items()
                      if keep == "members" or name not in effects_store.OPTIONAL})
        if each:
            each()
    return {name: np.stack([effects[name] for effects in found]) for name in found[0]}, dropped


def _effects(predicted, ddof):
    """Effects from predictions (members, 1 + variants, marks), the reference first."""
    reference = predicted[:, 0].astype(np.float64)
    member_effect = predicted[:, 1:] - reference[:, None]
    return {
        "effect": member_effect.mean(0).astype(np.float32),
        "effect_se": member_effect.std(0, ddof=ddof).astype(np.float32),
        "reference": reference.astype(np.float32),
        "member_effect": member_effect.astype(np.float32),
    }


def _with_missing(effects, mutated):
    """Effects with a place for every mutant: NaN for those of positions that are not mutated."""
    if mutated.all():
        return effects
    variants = np.repeat(mutated, 3)
    full = dict(effects)
    for name in ("effect", "effect_se", "member_effect"):
        values = effects[name]
        full[name] = np.full((*values.shape[:-2], len(variants), values.shape[-1]), np.nan, values.dtype)
        full[name][..., variants, :] = values
    return full


def _check_finite(predicted, locus, ensemble):
    wrong = np.argwhere(~np.isfinite(predicted))
    if len(wrong):
        member, row, mark = wrong[0]
        what = "the reference" if row == 0 else f"mutant {row} of {predicted.shape[1] - 1}"
        raise NotFinite(f"locus {locus}: member {ensemble.names[member]} predicts {predicted[member, row, mark]} "
                         f"for mark {ensemble.marks[mark]} of {what}; every prediction must be a finite number")


def _letters(bases):
    return bases.view("S1").astype("U1")
