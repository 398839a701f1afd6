"""Options of estimation, and what they need: marks, members, variables of the store."""

from dataclasses import dataclass

from ..errors import InputError, nearest
from ..methods import ALL_MEMBERS, COVARIATES, METHODS
from . import kinds
from .declare import DEFAULT, PRESETS, ByPreset, Options, documented, option
from .needs import one_of

LOCAL = "local causal effects"
CROSS_FITTED = ("cross_fitted", "ensemble")
FROM_MEMBERS = ("members", "combined", *CROSS_FITTED)
LEAST_TO_CROSS_FIT = 3  # members: of the others, two at least must give a standard error
ALL_MARKS = ("all",)
PAPER = "paper"
COMPARED = ("direct", "regions")  # rules that are compared where there are regions
# the default z of each rule
Z_OF = {3.0: ("pooled", "variants"), 1.75: ("direct", "regions"), 1.0: ("own",)}


@documented
@dataclass(frozen=True, kw_only=True)
class EstimatorOptions(Options):
    """What decides local causal effects and their intervals.
    """

    preset: str = option(
        kinds.Choice(*PRESETS), DEFAULT, group=LOCAL,
        help="values of all options that are not given. paper: as in Malina et al. 2022; quick: fewer files and no "
             "second round of fits")
    method: tuple = option(
        kinds.Items(kinds.OneOf(METHODS), "NAME,NAME", once=True),
        ByPreset(default=("egger_additive",), paper=("egger_robust",), quick=("egger",)), group=LOCAL,
        help=f"estimators: {', '.join(METHODS)}")
    method_args: dict = option(
        kinds.settings(), {}, group=LOCAL,
        help="options of the estimators, such as model=fixed penalized=true alpha=0.01; each goes to the estimators "
             "that have it (see docs/method.md)")
    adjust: tuple = option(
        kinds.Items(kinds.Text(), "A,B", once=True), group=LOCAL,
        help="marks that the methods mvmr_ivw and mvmr_egger hold fixed, or all: an effect on the outcome that does "
             "not go through these (see docs/method.md)")
    instruments: str = option(
        kinds.Choice("direct", "regions", "pooled", "own", "variants"),
        ByPreset(default="direct", paper="pooled", quick="direct"), group=LOCAL,
        help="which mutants are instruments. pooled: those whose effect is large among all mutants of all loci; own: "
             "large against its own standard error; direct: as own, and the mutant acts directly on the exposure and "
             "on no other mark; regions: as own, and it lies in a region of the exposure and of no other mark "
             "(--instrument_regions); variants: as pooled, and it is a variant of --input_vcf")
    instrument_z: float = option(
        kinds.Number(0, metavar="Z"), group=LOCAL,
        default_text="; ".join(f"{z:g} for {' and '.join(rules)}" for z, rules in Z_OF.items()),
        help="how large, in standard deviations or standard errors")
    min_instruments: int = option(
        kinds.Integer(1, metavar="N"), ByPreset(default=1, paper=11, quick=1), group=LOCAL,
        help="a pair with fewer instruments at a locus has no estimate there")
    steiger: bool = option(
        kinds.Flag(), False, group=LOCAL,
        help="keep an instrument for a pair only if it moves the exposure more than the outcome, each in that mark's "
             "standard deviations (Steiger's filter)")
    se_shrinkage: str = option(
        kinds.Choice("none", "moderated", "trend"), ByPreset(default="trend", paper="none", quick="trend"), group=LOCAL,
        help="moderated: draw the mutants' standard errors, of few members each, towards what all mutants of a mark "
             "have; trend: towards what mutants of their size have, so that an error of exactly 0 is no trouble")
    uncertainty: str = option(
        kinds.Choice("instrument", *FROM_MEMBERS),
        ByPreset(default="ensemble", paper="instrument", quick="ensemble"), group=LOCAL,
        help="intervals from the estimator, from the spread of the estimates that each member's own effects give, or "
             "from both; cross_fitted: from the members, each with instruments that the others chose; ensemble: as "
             "cross_fitted, with the error of the members' mean instead of that of one member")
    spread_shrinkage: str = option(
        kinds.Choice("moderated", "none"), ByPreset(default="moderated", paper="moderated", quick="none"), group=LOCAL,
        needs=(one_of("uncertainty", *FROM_MEMBERS),),
        help="moderated: draw the members' spread at a locus towards what the pair has at all loci; takes every fit "
             "twice")

    def _check_together(self):
        if self.instrument_z is None:
            z = next(z for z, rules in Z_OF.items() if self.instruments in rules)
            object.__setattr__(self, "instrument_z", z)
        methods = [METHODS[name] for name in self.method]
        multivariable = [method.name for method in methods if COVARIATES in method.needs]
        if self.adjust and not multivariable:
            possible = " and ".join(name for name, method in METHODS.items() if COVARIATES in method.needs)
            raise InputError(f"--adjust is for the methods {possible}, not for {', '.join(self.method)}")
        if multivariable and not self.adjust:
            raise InputError(f"method {multivariable[0]} needs marks to hold fixed: --adjust names them, or is all")
        whole = [method.name for method in methods if ALL_MEMBERS in method.needs]
        if self.is_cross_fitted and whole:
            raise InputError(f"method {whole[0]} takes all members at once, so that it cannot be cross-fitted: "
                             "give --uncertainty members or instrument")

    @property
    def is_cross_fitted(self):
        """Whether each member is fitted over what the others chose."""
        return self.uncertainty in CROSS_FITTED

    @property
    def psi_is_measured(self):
        """Whether the correlation of an instrument's two errors is measured from the members."""
        return self.method_args.get("psi") == "members"

    def held_fixed(self, marks):
        """Numbers of the marks that multivariable methods hold fixed."""
        return indices_of("mark to adjust for", None if self.adjust == ALL_MARKS else self.adjust or (), marks)

    def needs_members(self):
        """Which option needs every member's effects, in words; empty if none does."""
        if self.uncertainty != "instrument":
            return f"uncertainty={self.uncertainty!r}"
        if self.instruments == "direct":
            return "instruments='direct'"
        if self.psi_is_measured:
            return "psi='members'"
        return next((f"method {name}" for name in self.method if METHODS[name].needs_members), "")

    def for_members(self, n_members, keep="members"):
        """These options, or where a preset needs more members than there are those of the preset paper.

        Options that were given stay.

        Parameters
        ----------
        n_members : int
        keep : {"members", "summary"}
            As for `check`.

        Returns
        -------
        options : EstimatorOptions
        caution : str
            What a user must know of them; empty if they are the same.
        """
        enough = keep == "members" and n_members >= LEAST_TO_CROSS_FIT
        by_preset = {name: getattr(self, name) for name in ("instruments", "uncertainty") if name not in self.given}
        if enough or by_preset.items() <= {"instruments": "pooled", "uncertainty": "instrument"}.items():
            return self, ""
        lacking = "every member's effects were left out (--keep summary)" if keep != "members" else (
            f"there {'is' if n_members == 1 else 'are'} {n_members} member{'s' * (n_members != 1)}, and it takes "
            f"{LEAST_TO_CROSS_FIT}")
        consequence = ": intervals do not show how much members differ" if "instruments" in self.given else (
            ": mutants that act on other marks count as instruments too, so an effect may be reported in the wrong "
            "direction")
        try:
            instead = self.replace(preset=PAPER)
        except InputError as error:
            raise InputError(f"--preset {self.preset} cannot be used, since {lacking}; with --preset paper {error}"
                             ) from error
        instead._check_members(n_members, keep)
        return instead, (
            f"caution: --preset {self.preset} cannot be used, since {lacking}. These estimates are made as in the "
            f"paper (--preset paper){consequence}")

    def check(self, marks, n_members, keep="members"):
        """Raise InputError where these options cannot be used with some effects.

        Parameters
        ----------
        marks : sequence of str
        n_members : int
        keep : {"members", "summary"}
            What of the members the store holds; see `PredictOptions`.
        """
        self.pairs(marks)
        self.held_fixed(marks)
        self._check_members(n_members, keep)

    def _check_members(self, n_members, keep):
        needing = self.needs_members()
        if needing and keep != "members":
            raise InputError(f"{needing} needs every member's effects: predict with --keep members")
        if needing and n_members < 2:
            raise InputError(f"{needing} needs two members or more")
        crossed = f"uncertainty={self.uncertainty!r}" if self.is_cross_fitted else ""
        needing = "instruments='direct'" if self.instruments == "direct" else crossed
        if needing and n_members < LEAST_TO_CROSS_FIT:
            raise InputError(f"{needing} needs {LEAST_TO_CROSS_FIT} members or more, not {n_members}")

    def n_pairs(self, n_marks):
        """How many ordered pairs of two different ones of so many marks there are."""
        exposures, outcomes = (getattr(self, f"{role}s", None) for role in ("exposure", "outcome"))
        both = set(exposures or outcomes or ()) & set(outcomes or exposures or ())
        n_both = len(both) if exposures or outcomes else n_marks
        return (len(exposures) if exposures else n_marks) * (len(outcomes) if outcomes else n_marks) - n_both

    def pairs(self, marks):
        """Outcomes of each exposure, as numbers of marks: all pairs of two different ones (dict of int to list)."""
        marks = [str(mark) for mark in marks]
        exposures, outcomes = (indices_of(role, getattr(self, f"{role}s", None), marks)
                               for role in ("exposure", "outcome"))
        pairs = {x: [y for y in outcomes if y != x] for x in exposures}
        if not any(pairs.values()):
            raise InputError(f"no pair of two different marks: {', '.join(marks[x] for x in exposures)}")
        return pairs


@documented
@dataclass(frozen=True, kw_only=True)
class EstimateOptions(EstimatorOptions):
    """What `estimate` computes, and which files it writes.
    """

    exposures: tuple = option(
        kinds.Items(kinds.Text(), "A,B*", once=True), group=LOCAL, default_text="all",
        help="marks that may be causes, by name or pattern")
    outcomes: tuple = option(
        kinds.Items(kinds.Text(), "A,B*", once=True), group=LOCAL, default_text="all",
        help="marks that may be effects, by name or pattern")
    input_vcf: str = option(
        kinds.Text("VCF"), group=LOCAL, needs=(one_of("instruments", "variants"),), shared=True,
        help="natural variants for --instruments variants: VCF (plain or packed) or BCF")
    instrument_regions: str = option(
        kinds.Text("BED"), group=LOCAL, needs=(one_of("instruments", *COMPARED),), shared=True,
        help="regions of marks, such as motif instances: the names are marks. For --instruments regions; effects by "
             "direct and by regions are then compared (rules.tsv), and so they are where direct is the rule")
    calibration: str = option(
        kinds.Text("FILE"), group=LOCAL,
        help="calibrate the effects first, by a file that `calibrate` wrote for the same models; needs every member's "
             "effects")
    diagnostics: str = option(
        kinds.Choice("quick", "all", "none"), ByPreset(default="quick", paper="quick", quick="none"), group=LOCAL,
        help="diagnostics.tsv and diagnostics_by_pair.tsv; all: with MR-PRESSO's global test, which takes 1,000 draws "
             "a locus and pair")
    tables: str = option(
        kinds.Choice("all", "effects", "none"), group=LOCAL,
        default_text="all up to 2 million rows, else effects",
        help="which pairs local.tsv and diagnostics.tsv hold: all; effects: those beyond the network's minimum effect; "
             "none. With effects and none, local.zarr holds the local effects of all pairs")
    vcf: str = option(
        kinds.Choice("instruments", "all", "none"),
        ByPreset(default="instruments", paper="instruments", quick="none"), group=LOCAL,
        help="which mutants the VCF holds")
    fasta_file: str = option(
        kinds.Text("FASTA"), group=LOCAL, default_text="that of predict", needs=(one_of("vcf", "instruments", "all"),),
        shared=True, help="genome of the VCF")

    def _check_together(self):
        super()._check_together()
        if self.instruments == "variants" and not self.input_vcf:
            raise InputError("--instruments variants needs the variants: --input_vcf FILE")
        if self.instruments == "regions" and not self.instrument_regions:
            raise InputError("--instruments regions needs the regions: --instrument_regions FILE")

    def needs_members(self):
        return super().needs_members() or ("a calibration" if self.calibration else "")

    def other_rule(self, n_members, keep="members"):
        """The instrument rule with which that of these options is compared; None without regions or enough members."""
        if not self.instrument_regions or keep != "members" or n_members < LEAST_TO_CROSS_FIT:
            return None
        return next(rule for rule in COMPARED if rule != self.instruments)


def indices_of(role, names, marks):
    """Numbers of some marks among all; of all if names is None."""
    if names is None:
        return list(range(len(marks)))
    for name in names:
        if name not in marks:
            raise InputError(f"unknown {role} {name!r}{nearest(name, marks)}")
    return [marks.index(name) for name in names]
