"""From members' predictions to effects and their standard errors, locus by locus."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .. import effects_store
from ..errors import InputError
from ..loci import Loci
from ..loci.mutants import SINGLE
from ..models import Ensemble
from ..models.host.saturation import alternative_bases
from .engines import Engines, naive

NOT_FINITE = "its predictions are not finite numbers"


class NotFinite(InputError):
    """A model predicts NaN or infinity for a locus or one of its mutants."""


def saturate(ensemble: Ensemble, loci: Loci, ddof: int = 1, engines: Engines | None = None):
    """Effects of the mutants of loci, in memory.

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
    n_variants = loci.n_variants
    for number, (name, pieces) in enumerate(zip(loci.name, _predicted(engines, loci), strict=True)):
        pieces = list(pieces)
        try:
            for piece in pieces:
                _check_finite(piece, name, ensemble)
        except NotFinite as error:
            if dropped is None:
                raise
            dropped[number] = str(error)
            pieces = [piece._replace(predicted=np.full_like(piece.predicted, np.nan)) for piece in pieces]
        yield {**_with_missing([(piece.variants, _effects(piece.predicted, ddof)) for piece in pieces],
                               n_variants),
               **_described(loci, number)}


class _Piece(NamedTuple):
    """Predictions of a locus and some of its mutants."""

    variants: np.ndarray  # their numbers: (n,) int
    predicted: np.ndarray  # (members, 1 + n, marks), the reference first


def _predicted(engines, loci):
    """The `_Piece`s of each locus, one locus after the other; short ones are predicted together."""
    n_together, ensemble = 1, engines.ensemble
    if not ensemble.needs_item and loci.mutated.all() and not loci.plan:
        n_together = engines.n_together(loci.sequences.shape[1])
    for start in range(0, len(loci), n_together):
        if n_together > 1:
            found = engines.mutants_of(loci.sequences[start:start + n_together])
            yield from ([_Piece(np.arange(predicted.shape[1] - 1), predicted)] for predicted in found)
        else:
            yield _pieces(engines, loci, start)


def _pieces(engines, loci, number):
    sequence, item, mutants = loci.sequences[number], loci.item_of(number), loci.mutants_of(number)
    singles = np.flatnonzero((mutants.kind == SINGLE) & (mutants.length > 0))
    if len(singles):
        positions = None if len(singles) == 3 * len(sequence) else mutants.position[singles[::3]].astype(np.int64)
        yield _Piece(singles, engines.mutants(sequence, item, positions))
    for variants, n_draws, made in loci.plan.sequences(number, sequence, mutants) if loci.plan else ():
        predicted = engines.changed(sequence, made, item)
        of_draws = predicted[:, 1:].reshape(len(predicted), len(variants), n_draws, -1)
        means = of_draws.mean(2, dtype=np.float64) if n_draws > 1 else of_draws[:, :, 0]
        yield _Piece(variants, np.concatenate([predicted[:, :1], means], axis=1))
    if not (mutants.length > 0).any():
        yield _Piece(np.zeros(0, np.int64), engines.ensemble.predict(sequence[None], item))


def _described(loci, number):
    """What the Dataset says of a locus's mutants beside their effects."""
    plan, sequence = loci.plan, loci.sequences[number]
    has_single = not plan or plan.has_single
    ref, alt = ((_letters(np.repeat(sequence, 3)), _letters(alternative_bases(sequence))) if has_single else
                (np.zeros(0, "U1"), np.zeros(0, "U1")))
    if not plan:
        return {"ref_base": ref, "alt_base": alt}
    mutants = loci.mutants_of(number)
    others = (np.array(letters, f"U{plan.longest}") for letters in plan.letters(sequence, mutants))
    told = {name: getattr(mutants, name) for name in effects_store.OF_MUTANTS if name in plan.columns}
    ref, alt = (np.concatenate(each) for each in zip((ref, alt), others, strict=True))
    return {"ref_base": ref, "alt_base": alt, "sequence": _letters(sequence), **told}


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


def _with_missing(found, n_variants):
    """Effects with a place for every mutant, NaN for those that are not predicted; `found`: (variants, effects)."""
    full = dict(found[0][1])
    if len(found) == 1 and len(found[0][0]) == n_variants:
        return full
    for name in ("effect", "effect_se", "member_effect"):
        values = found[0][1][name]
        full[name] = np.full((*values.shape[:-2], n_variants, values.shape[-1]), np.nan, values.dtype)
        for variants, effects in found:
            full[name][..., variants, :] = effects[name]
    return full


def _check_finite(piece, locus, ensemble):
    predicted = piece.predicted
    wrong = np.argwhere(~np.isfinite(predicted))
    if len(wrong):
        member, row, mark = wrong[0]
        what = "the reference" if row == 0 else f"mutant {piece.variants[row - 1] + 1}"
        raise NotFinite(f"locus {locus}: member {ensemble.names[member]} predicts {predicted[member, row, mark]} "
                         f"for mark {ensemble.marks[mark]} of {what}; every prediction must be a finite number")


def _letters(bases):
    return bases.view("S1").astype("U1")
