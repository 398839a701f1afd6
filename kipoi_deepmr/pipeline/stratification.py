"""Global causal effects within strata of loci: all at once, or of many pairs some exposures at a time."""

from functools import partial
from typing import NamedTuple

import pandas as pd

from .. import effects_store, meta, mr, strata
from ..meta.order import Smallest
from ..options import StrataOptions
from ..plots.global_effects import MAX_PAIRS
from ..plots.spacing import strongest_strata
from ..runs.manifest import array_of_table
from ..runs.tables import read_local
from .progress import progress, working

MOST_PAIRS = 100_000  # and methods, whose tables are held as a whole
ROWS = 500_000  # local effects that are held at a time
MOST_TESTS = 2_000  # tests that are held of more pairs
PAIR = ["exposure", "outcome"]


class StrataResult(NamedTuple):
    """Tables as written to strata.tsv (None if no covariate makes strata) and strata_tests.tsv, and what to know."""

    strata: pd.DataFrame | None
    tests: pd.DataFrame
    notes: list

    def pieces(self):
        """Parts of the two tables, one after the other."""
        yield self.strata, self.tests


class ManyStrata:
    """The strata of many pairs, which are made while `pieces` passes them on.

    Parameters
    ----------
    local : kipoi_deepmr.effects_store.LocalEffects
    options : StrataOptions
    quiet : bool

    Attributes
    ----------
    strata, tests : pandas.DataFrame
        After `pieces`, as those of `StrataResult`: for each covariate and method the rows of the strongest pairs, and
        the tests with the smallest p-values. `attrs` has how many there are: "pairs" of a method, "rows" of tests.
    notes : list of str
    """

    def __init__(self, local, options, quiet):
        self._local, self._options, self._quiet = local, options, quiet
        self.strata, self.tests, self.notes = None, pd.DataFrame(), []
        sources = _sources(options, (local.locus("name").tolist(), local.exposures, local.outcomes))
        first = mr.rows(local, exposures=local.groups(ROWS)[0])
        # by source and number, or says what is wrong with a file
        self._covariates = [(source, number) for source in sources for number in range(len(source(first)))]

    def pieces(self):
        """Parts of the two tables, one after the other: of one covariate after the other, in the order of pairs."""
        groups, self.strata = self._local.groups(ROWS), None
        smallest = Smallest(MOST_TESTS, ["q_between_pvalue", "slope_pvalue"])
        notes = [_Note() for _ in self._covariates]
        steps = [(*of_source, note, group) for of_source, note in zip(self._covariates, notes, strict=True)
                 for group in groups]
        for source, number, note, group in progress("aggregate: strata", len(steps), self._quiet)(steps):
            local = mr.rows(self._local, exposures=group)
            covariate = source(local)[number]
            note.add(covariate)
            within, tests = _stratified(local, [covariate], self._options.tau2_method)
            smallest.add(tests)
            if within is not None:
                table = within if self.strata is None else pd.concat([self.strata, within], ignore_index=True)
                self.strata = strongest_strata(table, MAX_PAIRS)
            yield within, tests
        self.notes = [str(note) for note in notes if str(note)]
        self.tests = smallest.table()
        self.tests.attrs["rows"] = smallest.n_rows
        if self.strata is not None:
            self.strata.attrs["pairs"] = self._local.n_pairs


class _Note:
    """What to know of a covariate, as its parts say it."""

    def __init__(self):
        self._name, self._text, self._loci = "", "", frozenset()

    def add(self, covariate):
        self._name, self._text = covariate.name, covariate.note
        self._loci |= covariate.loci

    def __str__(self):
        return f"{self._name}: {self._text.replace(strata.N_LOCI, str(len(self._loci)))}" if self._text else ""


def stratify(local_path, options=None, *, quiet=True, **changes):
    """Global causal effects within strata of loci, the tests between them, and meta-regressions.

    Parameters
    ----------
    local_path : str
    options : StrataOptions, optional
    quiet : bool
        No progress bar.
    **changes
        Options by name, in place of those.

    Returns
    -------
    StrataResult or ManyStrata
        The latter if there are more than 100,000 pairs and methods: its tables are made while `aggregate` writes them.

    Raises
    ------
    InputError
        The local effects or the covariates cannot be read, or do not belong together.
    """
    options = StrataOptions.of(options, **changes)
    array = array_of_table(local_path)
    local = None if array is None else effects_store.LocalEffects(array)
    if local is not None and local.n_pairs * len(local.methods) > MOST_PAIRS:
        return ManyStrata(local, options, quiet)
    if local is not None:
        many = ManyStrata(local, options, quiet)
        parts = zip(*many.pieces(), strict=True)
        return StrataResult(*(_joined(each) for each in parts), many.notes)
    with working("aggregate: strata", quiet):
        local = read_local(local_path)
        names = [local[name].unique().tolist() for name in ("locus", *PAIR)]
        covariates, notes = [each for source in _sources(options, names) for each in source(local)], []
        for one in covariates:
            note = _Note()
            note.add(one)
            notes += [str(note)] if str(note) else []
        return StrataResult(*_stratified(local, covariates, options.tau2_method), notes)


def _joined(parts):
    parts = [part for part in parts if part is not None]
    return pd.concat(parts, ignore_index=True) if parts else None


def _sources(options, names):
    """Functions that give the covariates of some rows of local effects, one for each file.

    `names` are all loci, exposures and outcomes that there are.
    """
    spacing = options.bins or strata.SPACING_BINS
    return [*([lambda local: strata.from_table(options.strata, local, options.bins, names)] if options.strata else []),
            *([lambda local: [strata.from_motifs(options.motifs, local, spacing, names)]] if options.motifs else []),
            *(partial(_of_annotation, path) for path in options.annotate or ())]


def _of_annotation(path, local):
    return [strata.from_annotation(path, local)]


def _stratified(local, covariates, tau2_method):
    """Tables of strata, None if no covariate makes any, and of tests, of a table of local effects."""
    within, tests = [], []
    for one in covariates:
        table = None if one.stratum is None else meta.aggregate_strata(local, one.stratum, tau2_method)
        if table is not None:
            within.append(table.assign(covariate=one.name))
        tests.append(meta.compare_strata(local, table, one.value, tau2_method).assign(covariate=one.name))
    return [pd.concat(each, ignore_index=True).set_index("covariate").reset_index() if each else None
            for each in (within, tests)]
