"""A finished run, as the report and the figures read it."""

import os
from functools import cached_property

import numpy as np
import pandas as pd

from .. import effects_store, mr
from ..calibration import calibrated_by
from ..errors import InputError, nearest
from ..files import file_checksum
from ..instruments import rule_for, with_se_shrinkage
from ..meta.order import Smallest, strongest_first
from ..options import EstimatorOptions
from ..output.natural_variants import natural_of_store
from ..shape import has_pairs
from . import manifest
from .global_effects import NUMBERS, TEXT, GlobalEffects
from .outputs import CALIBRATION, INTERACTIONS, LOCAL_ARRAY, NETWORK, RULES, STORE, stored
from .tables import LOCAL_MORE, LOCAL_NUMBERS, LOCAL_TEXT, Lean, read_in_pieces, read_table

PAIR = ["exposure", "outcome"]
MOST_COMPARED = 100_000  # rows of a comparison of rules that are held


class FinishedRun:
    """The folder of a run.

    Parameters
    ----------
    path : str
    assignment : kipoi_deepmr.instruments.Assignment, optional
        On which mark each mutant acts, if it is known already; it takes long to find for many marks.

    Attributes
    ----------
    told : dict
        Contents of run.json.
    settings : dict
        Those of `told`.
    global_ : GlobalEffects
        global.tsv.

    Raises
    ------
    InputError
        The folder does not hold a finished run, or not all of its files are from that run.
    """

    def __init__(self, path, assignment=None):
        self.path, self._assignment = path, assignment
        self.told = manifest.read(path)
        self.settings = self.told["settings"]
        manifest.check_pieces(path, self.told)
        self.global_ = GlobalEffects(self._file("global.tsv"))

    def _file(self, name):
        return stored(os.path.join(self.path, name))

    @property
    def methods(self):
        """Names of the methods, in the order in which they were given."""
        return self.global_.methods

    @property
    def of_first_method(self):
        """Global effects of all pairs by the first method; see `GlobalEffects.first`."""
        return self.global_.first

    @cached_property
    def strongest(self):
        """Global effects by the first method, the largest absolute standardised effect first (pandas.DataFrame).

        Those of all pairs, or of very many the strongest.
        """
        rows = self.global_.of_method(self.methods[0])
        return rows.loc[strongest_first(rows)]

    def global_of(self, pairs):
        """The rows of global.tsv that belong to some ordered pairs (pandas.DataFrame)."""
        return self._rows_of("global.tsv", pairs, TEXT, NUMBERS, None)

    def local_of(self, pairs):
        """The rows of local.tsv that belong to some ordered pairs: a table of local effects.

        Parameters
        ----------
        pairs : iterable of (exposure, outcome)
        """
        if self.local_array:
            return self._rows_of_array(pairs)
        table = self._rows_of("local.tsv", pairs, LOCAL_TEXT, LOCAL_NUMBERS, LOCAL_MORE)
        return table.assign(note=table["note"].fillna(""))

    @cached_property
    def local_array(self):
        """The array of local effects (LocalEffects); None if all of them are in local.tsv."""
        path = self._file(LOCAL_ARRAY)
        return effects_store.LocalEffects(path) if os.path.isdir(path) else None

    @property
    def local_name(self):
        """The file that has all local effects."""
        return LOCAL_ARRAY if self.local_array else self.name_of("local.tsv")

    def name_of(self, name):
        """The name that a table has in the folder, by its name as TSV."""
        return os.path.basename(self._file(name))

    def _rows_of_array(self, pairs):
        local = self.local_array
        row, column = ({name: i for i, name in enumerate(names)} for names in (local.exposures, local.outcomes))
        tables = [mr.rows(local, exposures=[row[x]], outcomes=[column[y]], members=False)
                  for x, y in pairs if x in row and y in column]
        order = pd.concat(tables, ignore_index=True)
        return order.assign(intercept=np.nan, q_pvalue=np.nan)  # which the array has not

    def pieces_of_local(self):
        """local.tsv, piece by piece."""
        return read_in_pieces(self._file("local.tsv"), LOCAL_TEXT, LOCAL_NUMBERS, ())

    def diagnostics_of(self, pairs):
        """The rows of diagnostics.tsv that belong to some ordered pairs; None if the run made none."""
        if not os.path.isfile(self._file("diagnostics.tsv")):
            return None
        table = self._rows_of("diagnostics.tsv", pairs, ("chrom", "strand", "locus", *PAIR, "red", "note"),
                              ("start", "end"))
        return table.assign(red=table["red"].fillna(""))

    def _rows_of(self, name, pairs, text, numbers, more=()):
        wanted = pd.MultiIndex.from_tuples(list(pairs), names=PAIR)
        return pd.concat([piece[pd.MultiIndex.from_frame(piece[PAIR]).isin(wanted)]
                          for piece in read_in_pieces(self._file(name), text, numbers, more)], ignore_index=True)

    @cached_property
    def rules(self):
        """rules.tsv, of very many pairs the rows with the smallest p-values; None if no rules were compared."""
        path, held = self._file(RULES), Smallest(MOST_COMPARED, ["pvalue"])
        if not os.path.isfile(path):
            return None
        for piece in read_in_pieces(path, (*PAIR, "method"), ("n_loci", "difference", "pvalue")):
            held.add(piece)
        return held.table()

    @cached_property
    def shares_of_red(self):
        """diagnostics_by_pair.tsv, or None if the run made none."""
        path = self._file("diagnostics_by_pair.tsv")
        return read_table(path, PAIR, ("n_loci",)) if os.path.isfile(path) else None

    @cached_property
    def effects(self):
        """The effects as estimates were made from them (xarray.Dataset), or None if their store is there no more."""
        path = self._file(STORE)
        if not os.path.exists(path):
            return None
        effects = self._opened(pairs=False)
        effects_store.check_chunks(path)
        return with_se_shrinkage(effects, self.options.se_shrinkage)

    @cached_property
    def effects_with_pairs(self):
        """The same with mutants of two regions at once; None if the store is not there or has none."""
        if self.effects is None:
            return None
        effects = self._opened(pairs=True)
        return effects if has_pairs(effects) else None

    def _opened(self, pairs):
        effects = effects_store.open_effects(self._file(STORE), pairs)
        calibration = self._file(CALIBRATION)
        return calibrated_by(effects, calibration) if os.path.exists(calibration) else effects

    @property
    def interactions_path(self):
        """The table that `interaction` wrote into the folder; None if there is none."""
        path = self._file(INTERACTIONS)
        return path if os.path.isfile(path) else None

    @cached_property
    def options(self):
        """The options of estimation that the run had (EstimatorOptions)."""
        return EstimatorOptions.among(self.settings)

    @cached_property
    def rule(self):
        """The instrument rule of the run (reads all effects once)."""
        regions = self._regions() if self.options.instruments == "regions" else None
        return rule_for(self.effects, self.options.instruments, self.options.instrument_z, self._natural_variants(),
                        self.options.steiger, regions=regions, assignment=self._assignment)

    def _regions(self):
        """The BED file of the run's regions, as it was; None if the run had none."""
        path, checksum = self.told.get("instrument_regions"), self.settings.get("instrument_regions_sha256")
        if checksum and (not os.path.isfile(path) or file_checksum(path) != checksum):
            raise InputError(f"{path}: the BED file of the run's regions is missing or has changed, and without it the "
                             "run's instruments are not known; put it back, or run again")
        return path if checksum else None

    def _natural_variants(self):
        """The mutants that the run's VCF holds, read again; None if the run had none."""
        path, checksum = self.told.get("input_vcf"), self.settings.get("input_vcf_sha256")
        if checksum is None:
            return None
        if not os.path.isfile(path) or file_checksum(path) != checksum:
            raise InputError(f"{path}: the VCF of the run's natural variants is missing or has changed, and without it "
                             "the run's instruments are not known; put it back, or run again")
        return natural_of_store(path, self.effects).mutants

    def effects_at(self, index):
        """Effects and standard errors (variant, mark) as the run used them, and the `Instruments`, of one locus."""
        effect, se = (self.effects[name][index].values.astype(np.float64) for name in ("effect", "effect_se"))
        return effect, se, self.rule.instruments(effect, se, index)

    @cached_property
    def direct_effects(self):
        """The rows of network.tsv that have an effect, without each member's; None if the run inferred no network."""
        path, numbers = self._file(NETWORK[0]), ("direct", "direct_std", "ci_low", "ci_high", "qvalue",
                                                 "qvalue_min_effect")
        if not os.path.isfile(path):
            return None
        held = Lean([*PAIR, *numbers], PAIR)
        for piece in read_in_pieces(path, PAIR, numbers, ()):
            held.add(piece[piece["direct_std"].notna()])
        return held.table().astype(dict.fromkeys(PAIR, str))

    def locus_index(self, name):
        """Number of the locus of that name.

        Raises
        ------
        InputError
            There is no such locus, or there are no effects.
        """
        if self.effects is None:
            raise InputError(f"{self.path}: effects.zarr is missing, which this needs")
        names = self.effects["name"].values.tolist()
        if name not in names:
            raise InputError(f"{self.path}: no locus {name!r}{nearest(name, names)}")
        return names.index(name)
