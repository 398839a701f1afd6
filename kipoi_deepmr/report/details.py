"""What the page shows of single loci: instruments with their effects, and all effects along the sequence."""

import json

import numpy as np

from ..mr.influence import leave_one_out
from .numbers import rounded

MAX_BYTES = 25_000_000  # of all loci; with the rest, a page stays below 50 MB


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
                                               for name in ("name", "chrom", "start", "end", "strand"))))}
    expected = dict(zip(zip(local["number"], local["exposure"]), local["n_instruments"]))
    details, total = {}, 0
    for number in _order(run, local, len(loci)):
        key = tuple(loci.iloc[number])
        index = at.get(key)
        if index is None:
            return {}, f"effects.zarr does not hold locus {key[0]} of local.tsv"
        effect, se, mask = run.effects_at(index)
        for exposure in dict.fromkeys(x for x, _ in pairs):
            n = expected.get((number, exposure))
            if n is not None and n != mask[:, marks.index(exposure)].sum():
                return {}, "local.tsv was made with other settings than run.json tells: its instruments are others"
        sequence = "".join(run.effects["ref_base"][index].values[::3].tolist())
        text = json.dumps(_detail(effect, se, mask, marks, pairs, sequence), separators=(",", ":"), allow_nan=False)
        total += len(text)
        if total > max_bytes:
            break
        details[number] = text
    return details, ""


def _order(run, local, n_loci):
    """Rows of `loci`, the largest share in the pairs' meta-analyses (first method) first."""
    first = local[local["method"] == run.methods[0]]
    of_method = run.global_[run.global_["method"] == run.methods[0]]
    tau2 = (of_method.set_index(["exposure", "outcome"])["tau"] ** 2).fillna(0.0)
    weight = 1 / (first["se"] ** 2 + tau2.reindex(list(zip(first["exposure"], first["outcome"]))).to_numpy())
    weight = weight.where(first["estimate"].notna() & np.isfinite(weight), 0.0)
    share = weight / weight.groupby([first["exposure"], first["outcome"]]).transform("sum").replace(0, np.nan)
    total = np.bincount(first["number"], share.fillna(0), n_loci)
    return np.argsort(-total, kind="stable").tolist()


def _detail(effect, se, mask, marks, pairs, sequence):
    """One locus: variants are numbered as in the Dataset (3 a position, in the order ACGT without the reference)."""
    exposures = list(dict.fromkeys(marks.index(x) for x, _ in pairs))
    outcomes = {x: [marks.index(y) for a, y in pairs if marks.index(a) == x] for x in exposures}
    used = sorted({marks.index(mark) for pair in pairs for mark in pair})
    variants = np.flatnonzero(mask[:, exposures].any(1))
    return {
        "sequence": sequence, "variants": variants.tolist(),
        "effect": {marks[m]: rounded(effect[variants, m]) for m in used},
        "se": {marks[m]: rounded(se[variants, m], 3) for m in used},
        "instruments": {marks[x]: np.flatnonzero(mask[variants, x]).tolist() for x in exposures},
        # the height of a letter is what the locus loses, on average, when the letter is changed
        "track": {marks[m]: rounded(-effect[:, m].reshape(-1, 3).mean(1), 3) for m in used},
        "without": {marks[x]: _without_each(effect, se, mask[:, x], x, outcomes[x], marks) for x in exposures},
    }


def _without_each(effect, se, chosen, exposure, outcomes, marks):
    """IVW without each instrument in turn: estimates and standard errors by outcome."""
    bx, sx = effect[chosen, exposure][None], se[chosen, exposure][None]
    left = leave_one_out(bx, sx, effect[chosen][:, outcomes].T, se[chosen][:, outcomes].T)
    return {marks[y]: {"estimate": rounded(left.estimate[i]), "se": rounded(left.se[i], 3)}
            for i, y in enumerate(outcomes)}
