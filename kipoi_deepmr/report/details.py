"""What the page shows of single loci: instruments with their effects, and all effects along the sequence."""

import json

import numpy as np

from .. import dna
from ..effects_store import StoredMutants
from ..loci.mutants import SINGLE
from ..mr.diagnostics.influence import leave_one_out
from ..options import CROSS_FITTED
from .numbers import rounded

MAX_BYTES = 25_000_000  # of all loci, before compression to less than half
WIDE_BYTES = 4_000_000  # of a run with more pairs than the page lists, which stays below 15 MB


def of_loci(run, pairs, local, loci, max_bytes=MAX_BYTES):
    """Details of the loci that weigh most in the meta-analyses, as many as fit.

    Parameters
    ----------
    run : FinishedRun
    pairs : list of (exposure, outcome)
    local, loci : pandas.DataFrame
        As for `contents.of_pairs`.
    max_bytes : int

    Returns
    -------
    details : dict of int to str
        JSON text by number of the row of `loci`.
    reason : str
        Why there are none at all; empty if there are.
    """
    if run.effects is None:
        return {}, "effects.zarr is not in the folder"
    marks = run.effects["mark"].values.tolist()
    at = {key: i for i, key in enumerate(zip(*(run.effects[name].values.tolist()
                                               for name in ("name", "chrom", "start", "end", "strand")), strict=True))}
    expected, mutants = _counts(run, local), StoredMutants(run.effects)
    details, total = {}, 0
    for number in _order(run, local, len(loci)):
        key = tuple(loci.iloc[number])
        index = at.get(key)
        if index is None:
            return {}, f"effects.zarr does not hold locus {key[0]} of {run.local_name}"
        effect, se, instruments = run.effects_at(index)
        for exposure, outcome in pairs:
            n = expected.get((number, exposure, outcome))
            if n is not None and n not in _possible_counts(effect, instruments, *map(marks.index, (exposure, outcome))):
                return {}, (f"{run.local_name} was made with other settings than run.json tells: its instruments are "
                            "others")
        detail = _detail(effect, se, instruments, marks, pairs, mutants, index)
        text = json.dumps(detail, separators=(",", ":"), allow_nan=False)
        total += len(text)
        if total > max_bytes:
            break
        details[number] = text
    return details, ""


def _counts(run, local):
    """Numbers of instruments by locus, exposure and outcome, as far as local.tsv tells them."""
    if run.settings.get("uncertainty") in CROSS_FITTED or run.settings.get("adjust"):
        return {}  # means over the members, and instruments of other marks too
    return local.set_index(["number", "exposure", "outcome"])["n_instruments"].to_dict()


def _possible_counts(effect, instruments, exposure, outcome):
    """How many instruments a fit may have used: all of the pair, or those that have a delta weight."""
    chosen = instruments.of_pairs(exposure, outcome)
    return {chosen.sum(), (chosen & (effect[:, exposure] != 0)).sum()}


def _order(run, local, n_loci):
    """Rows of `loci`, the largest share in the pairs' meta-analyses (first method) first."""
    first = local[local["method"] == run.methods[0]]
    tau2 = (run.strongest.set_index(["exposure", "outcome"])["tau"] ** 2).fillna(0.0)
    tau2 = tau2.reindex(list(zip(first["exposure"], first["outcome"], strict=True))).to_numpy()
    weight = 1 / (first["se"] ** 2 + tau2)
    weight = weight.where(first["estimate"].notna() & np.isfinite(weight), 0.0)
    share = weight / weight.groupby([first["exposure"], first["outcome"]]).transform("sum").replace(0, np.nan)
    total = np.bincount(first["number"], share.fillna(0), n_loci)
    return np.argsort(-total, kind="stable").tolist()


def _detail(effect, se, instruments, marks, pairs, mutants, index):
    """One locus: variants are numbered as in the Dataset (single mutants in the order ACGT without the reference)."""
    numbers = [(marks.index(x), marks.index(y)) for x, y in pairs]
    chosen = {pair: instruments.of_pairs(*pair) for pair in numbers}
    used = sorted({mark for pair in numbers for mark in pair})
    variants = np.flatnonzero(np.any(list(chosen.values()), axis=0))
    return {
        "sequence": dna.decode(mutants.sequences([index])[0]), "variants": variants.tolist(),
        "effect": {marks[m]: rounded(effect[variants, m]) for m in used},
        "se": {marks[m]: rounded(se[variants, m], 3) for m in used},
        "instruments": _nested(marks, {pair: np.flatnonzero(of_pair[variants]).tolist()
                                       for pair, of_pair in chosen.items()}),
        # the height of a letter is what the locus loses, on average, when the letter is changed
        "track": {marks[m]: rounded(-mutants.by_position(effect)[..., m].mean(1), 3) for m in used},
        **({} if mutants.are_single else {"others": _others(effect, marks, used, mutants, index)}),
        "without": _nested(marks, {pair: _without_each(effect, se, of_pair, *pair)
                                   for pair, of_pair in chosen.items()}),
    }


def _others(effect, marks, used, mutants, index):
    """The mutants of several bases of a locus, as the model sees them; ALT is empty for a deletion, * for a mean."""
    position, length = (each[0] for each in mutants.places([index]))
    variants = np.flatnonzero((mutants.kind != SINGLE) & (length > 0))
    return {
        "variant": variants.tolist(), "kind": mutants.kind[variants].tolist(),
        "draws": mutants.draws[variants].tolist(),
        "position": position[variants].tolist(), "length": length[variants].tolist(),
        "alt": mutants.alternatives(index)[variants].tolist(),
        "loss": {marks[m]: rounded(-effect[variants, m], 3) for m in used},
    }


def _nested(marks, by_pair):
    """What there is of each pair of numbers, by name of the exposure and then of the outcome."""
    found = {}
    for (x, y), value in by_pair.items():
        found.setdefault(marks[x], {})[marks[y]] = value
    return found


def _without_each(effect, se, chosen, exposure, outcome):
    """IVW without each instrument in turn: estimates and standard errors."""
    left = leave_one_out(effect[chosen, exposure], se[chosen, exposure], effect[chosen, outcome], se[chosen, outcome])
    return {"estimate": rounded(left.estimate), "se": rounded(left.se, 3)}
