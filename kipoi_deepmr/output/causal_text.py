"""Causal effects of a run as INFO of a VCF: of each locus, and over all loci, for its ordered pairs of marks."""

from functools import lru_cache

import numpy as np

from ..errors import InputError
from ..network.verdicts import DIRECT
from .brief_vcf import EffectsOfPairs
from .vcf import CausalEffects, encoded, info_keys, served_together

PREFIX = "DEEPMR_"
MOST_PAIRS = 1000  # in every record
HELD_BYTES = 100_000_000  # of texts
NUMBER_BYTES = 32
SCOPES = {"CE": "at the locus", "GLOBAL": "over all loci"}


class CausalText:
    """INFO fields of causal effects.

    Parameters
    ----------
    run : FinishedRun
    exposures, outcomes : list of str
        The run's marks in either role.
    which : {"all", "instruments"}
        Whether a record tells all pairs, or those that it is an instrument of.
    folder : str
        Where a temporary file of the local effects may lie.

    Attributes
    ----------
    pairs : list of (exposure, outcome)
        All; of a run whose local effects are an array, those with a direct effect.
    together : list of list of int
        Numbers of the pairs that always have the same instruments, as `vcf.served_together` gives them.

    Raises
    ------
    InputError
        There are too many pairs to tell them all, or local.tsv is not that of the run.
    """

    def __init__(self, run, exposures, outcomes, which, folder):
        self.pairs = _direct(run, exposures, outcomes) if run.local_array else [
            (x, y) for x in exposures for y in outcomes if x != y]
        if which == "all" and len(self.pairs) > MOST_PAIRS:
            raise InputError(f"the run has {len(self.pairs):,} pairs of marks, too many for every record of a VCF; "
                             "give --causal_effects instruments for the pairs that each record is an instrument of")
        self._every = which == "all"
        self._names = [f"{encoded(x)}>{encoded(y)}" for x, y in self.pairs]
        self.together = served_together(self.pairs, run.rule)
        self._methods, self._local = _local_effects(run, self.pairs, folder)
        self._keys = info_keys(self._methods)
        self._global = _global_effects(run, self.pairs, self._methods)
        longest = NUMBER_BYTES * max(1, len(self.pairs)) * (1 + 4 * len(self._methods))
        self.of = lru_cache(max(1, HELD_BYTES // longest))(self._of)

    def fields(self):
        """Key, Number, Type and Description of each INFO field."""
        of = "of the run" if self._every else "that the record is an instrument of"
        yield f"{PREFIX}PAIRS", ".", "String", f"Pairs exposure>outcome {of} (names percent-encoded)"
        for key, method in zip(self._keys, self._methods, strict=True):
            for scope, where in SCOPES.items():
                what = f"Causal effects {where}, one for each of {PREFIX}PAIRS"
                yield f"{PREFIX}{scope}_{key}", ".", "Float", f"{what}, . where not estimated; method: {method}"
                yield f"{PREFIX}{scope}_SE_{key}", ".", "Float", f"Standard errors of {PREFIX}{scope}_{key}"

    def _of(self, locus, served):
        """The fields of a record at a locus, as text that begins with `;`; empty where there is no pair to tell.

        `served` is a tuple of numbers in `together`: the pairs that the record is an instrument of.
        """
        pairs = list(range(len(self.pairs))) if self._every else [i for group in served for i in self.together[group]]
        if not pairs:
            return ""
        parts = [f";{PREFIX}PAIRS={','.join(self._names[i] for i in pairs)}"]
        for method, key in enumerate(self._keys):
            of_scope = self._local[locus, pairs, method], self._global[pairs, method]
            for scope, values in zip(SCOPES, of_scope, strict=True):
                estimate, se = (",".join(map(number, column)) for column in np.asarray(values).T.tolist())
                parts.append(f";{PREFIX}{scope}_{key}={estimate};{PREFIX}{scope}_SE_{key}={se}")
        return "".join(parts)


def number(value):
    """A number as VCF has it, with the nine digits that its Float keeps; `.` for NaN."""
    return "." if value != value else f"{value:.9g}"


def _direct(run, exposures, outcomes):
    """Pairs with a direct effect, in the order of exposures and outcomes: of very many pairs those that matter."""
    table = run.of_first_method[run.of_first_method["verdict"] == DIRECT]
    found = set(zip(table["exposure"], table["outcome"], strict=True))
    return [(x, y) for x in exposures for y in outcomes if (x, y) in found]


def _local_effects(run, pairs, folder):
    """Methods, and estimates and standard errors (locus, pair, method, 2), of local.tsv."""
    if run.local_array:
        return run.local_array.methods, EffectsOfPairs(run.local_array, pairs)
    start, causal, n_rows = run.effects["start"].values, CausalEffects(folder), 0
    expected = [(x, y, method) for x, y in pairs for method in run.methods]
    for piece in run.pieces_of_local():
        if not n_rows and list(piece[["exposure", "outcome", "method"]].head(len(expected)).itertuples(
                index=False, name=None)) != expected:
            break
        place = (n_rows + np.arange(len(piece))) // len(expected)
        if place[-1] >= len(start) or (piece["start"].to_numpy() != start[place]).any():
            break
        causal.add(piece)
        n_rows += len(piece)
    if n_rows != len(start) * len(expected):
        raise InputError(f"{run.path}: {run.local_name} is not the table of the run that run.json and "
                         "effects.zarr tell of")
    methods, values = causal.of(len(start), len(pairs))
    return list(methods), values


def _global_effects(run, pairs, methods):
    """Estimates and standard errors (pair, method, 2) of global.tsv; NaN where it has none."""
    known = {(row.exposure, row.outcome, row.method): (row.estimate, row.se)
             for row in run.global_of(pairs).itertuples()}
    nothing = np.nan, np.nan
    found = [[known.get((x, y, method), nothing) for method in methods] for x, y in pairs]
    return np.array(found, np.float64).reshape(len(pairs), len(methods), 2)
