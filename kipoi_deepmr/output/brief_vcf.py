"""The VCF of a model with many marks: of each mutant the marks that it acts on, and the pairs that matter."""

from functools import lru_cache

import numpy as np

from .vcf import Records, encoded, write_records

MOST_MARKS = 20  # of one record


def write_brief_vcf(path, effects, genome, local, rule, pairs, which="instruments", index=None, shown=iter):
    """Write instruments, or all mutants, with little to say of each, as compressed VCF with its tabix index.

    As `write_vcf` writes them, but a record has the effects on the marks that the mutant is an instrument of (the
    strongest `MOST_MARKS` by effect over standard error), and causal effects of some pairs only.

    Parameters
    ----------
    path, effects, genome, rule, which, index, shown
        As for `write_vcf`.
    local : LocalEffects
        The local effects of all pairs.
    pairs : list of (exposure, outcome)
        Those that records tell of.

    Returns
    -------
    int
        Number of records.
    """
    return write_records(path, _BriefRecords(effects, genome, local, rule, pairs, which == "all", shown), index)


class _BriefRecords(Records):
    def __init__(self, effects, genome, local, rule, pairs, every, shown):
        super().__init__(effects, genome, local, rule, pairs, every, shown)
        self._exposures = np.array([self._marks.index(name) for name in local.exposures], np.intp)
        self._names = [encoded(mark) for mark in self._marks]

    def _causal_effects(self, local, pairs):
        return local.methods, EffectsOfPairs(local, pairs)

    def _fields_of_effects(self):
        yield "MARKS", ".", "String", (f"Marks that the variant is an instrument of, at most {MOST_MARKS}, the "
                                       "strongest first (names percent-encoded)")
        yield "EFFECT", ".", "Float", "Mutant minus reference, mean over ensemble members, one for each of MARKS"
        yield "SE", ".", "Float", "Standard errors of EFFECT"

    def _is_instrument(self, instruments, served):
        return instruments.mask[:, self._exposures].any(axis=1)

    def _texts_of_effects(self, effect, effect_se, instruments, order):
        for i in order:
            marks = self._exposures[instruments.mask[i, self._exposures]]
            marks = marks[strongest_first(effect[i, marks], effect_se[i, marks])][:MOST_MARKS]
            if len(marks):
                numbers = (",".join(f"{x:.9g}" for x in values[i, marks].tolist()) for values in (effect, effect_se))
                yield ";MARKS={};EFFECT={};SE={}".format(",".join(self._names[mark] for mark in marks), *numbers)
            else:
                yield ""


def strongest_first(effect, effect_se):
    """Numbers of marks by effect over standard error, the largest first."""
    with np.errstate(all="ignore"):
        strength = np.nan_to_num(np.abs(effect / effect_se), posinf=np.finfo(np.float64).max)
    return np.argsort(-strength, kind="stable")


class EffectsOfPairs:
    """Estimates and standard errors of some pairs, read from an array of local effects locus by locus.

    Parameters
    ----------
    local : LocalEffects
    pairs : list of (exposure, outcome)
    """

    def __init__(self, local, pairs):
        self._local = local
        row, column = ({name: i for i, name in enumerate(names)} for names in (local.exposures, local.outcomes))
        self._rows = np.array([row[x] for x, _ in pairs], np.intp)
        self._columns = np.array([column[y] for _, y in pairs], np.intp)
        self._read = lru_cache(maxsize=2)(self._of_block)

    def _of_block(self, number):
        """(locus, pair, method, 2) float64 of one block of loci."""
        size = self._local.shape.block
        loci = slice(number * size, (number + 1) * size)
        found = np.stack([self._local.read(name, loci)[:, :, self._rows, self._columns] for name in ("estimate", "se")],
                         axis=-1)
        return np.moveaxis(found, 0, 2).astype(np.float64)

    def __getitem__(self, key):
        locus, *rest = key
        number, place = divmod(int(locus), self._local.shape.block)
        return self._read(number)[(place, *rest)]
