"""Options of what follows estimation, and of what stands apart: aggregate, annotate, calibrate, simulate, plot."""

from dataclasses import dataclass

from ..errors import InputError
from . import kinds
from .declare import DEFAULT, PRESETS, ByPreset, Options, documented, option
from .estimation import LEAST_TO_CROSS_FIT, EstimateOptions
from .models import ClusterOptions, LociOptions, ModelOptions, MutantOptions, PredictClusterOptions, PredictOptions
from .needs import absent, given, one_of

RECALIBRATIONS = ("quantile", "scale", "none")
TAU2_METHODS = ("REML", "DL", "PM", "ML", "HE", "HS", "SJ", "EB")
SCENARIOS = ("none", "sequence", "independent", "both")
GRAPHS = ("chain", "fork", "collider", "cycle", "mediator", "random")
LABELS = ("linear", "saturating")
LARGEST_STRENGTH = 1_000_000  # in counts; of too large a mean no Poisson count can be drawn

NETWORK = "the network of direct effects (docs/causal.md)"
FORMATS = ("tsv", "parquet")  # of tables, by their endings
STRATA = "strata of loci: writes strata.tsv, strata_tests.tsv and strata.png as well (docs/strata.md)"
ROUNDS = "rounds: data, networks and effects of their own (docs/simulation.md)"
GRAPH_ROUNDS = "rounds of a causal graph with more than two marks, instead of the paper's"
OF_INDELS = "models and genome for --predict_indels (docs/annotate.md)"
LOOKS = "looks"
STATE = "what the effect may depend on (docs/shape.md)"
LEVERS = "what the analysis does to effects first, kept in its own folder"

# what `run` predicts by, but for what its later stages take as well
PREDICTING = tuple(dict.fromkeys(
    name for cls in (ModelOptions, PredictOptions, LociOptions, MutantOptions, PredictClusterOptions)
    for name in cls.names() if name not in (*EstimateOptions.names(), *ClusterOptions.names())))

_strength = kinds.Number(0, LARGEST_STRENGTH)
_of_paper = (absent("graph"),)
_of_graph = (given("graph"),)
_of_indels = (given("predict_indels"),)


@documented
@dataclass(frozen=True, kw_only=True)
class AggregateOptions(Options):
    """How local causal effects are combined.
    """

    preset: str = option(
        kinds.Choice(*PRESETS), DEFAULT, group="global causal effects",
        help="values of all options that are not given. paper: as in Malina et al. 2022")
    tau2_method: str = option(
        kinds.Choice(*TAU2_METHODS), ByPreset(default="REML", paper="DL", quick="REML"), group="global causal effects",
        help="estimator of the variance between loci")


@documented
@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Whether and how the network of direct effects is estimated.
    """

    preset: str = option(
        kinds.Choice(*PRESETS), DEFAULT, group=NETWORK,
        help="values of all options that are not given. paper: as in Malina et al. 2022")
    network: str = option(
        kinds.Choice("direct", "inspre", "none"), ByPreset(default="direct", paper="none", quick="none"), group=NETWORK,
        help="direct: by the mutants that act on one mark alone; inspre: the sparse inverse of total effects (Brown "
             "2023); both need three members or more")
    network_min_effect: float = option(
        kinds.Number(0, metavar="SD"), 0.05, group=NETWORK, needs=(one_of("network", "direct", "inspre"),),
        help="the least direct effect that counts, in standard deviations of the outcome per standard deviation of the "
             "exposure")

    @property
    def asks_for_network(self):
        """Whether a network was asked for by name."""
        return self.network != "none" and ("network" in self.given or "network_min_effect" in self.chosen)

    def for_members(self, n_members, keep="members"):
        """These options; without the network where a preset asks for it and there are too few members' effects.

        Raises
        ------
        InputError
            The network, or what counts in it, was asked for by name.
        """
        if self.network == "none" or (keep == "members" and n_members >= LEAST_TO_CROSS_FIT):
            return self
        if not self.asks_for_network:
            return self.replace(network="none")
        there = f"those of {n_members}" if keep == "members" else "none (--keep summary)"
        raise InputError(f"--network {self.network} needs the effects of {LEAST_TO_CROSS_FIT} members or more; here "
                         f"are {there}")


@documented
@dataclass(frozen=True, kw_only=True)
class StrataOptions(AggregateOptions):
    """Strata of loci, within which effects are combined, too.
    """

    strata: str = option(
        kinds.Text("FILE"), group=STRATA,
        help="table of covariates: a column locus, and columns of strata or of numbers")
    motifs: str = option(
        kinds.Text("BED"), group=STRATA,
        help="motif instances, named by mark: the distance of the nearest ones of exposure and outcome")
    annotate: tuple = option(
        kinds.Items(kinds.Text(), "BED", several=True), group=STRATA, help="loci in and out of its intervals")
    bins: tuple = option(
        kinds.Items(kinds.Number(), "A,B,C"), group=STRATA, needs=(given("strata", "motifs"),),
        help="edges of the strata of distances (default: 0,35,70,150,1000) and of numbers of --strata")

    @property
    def covariates_given(self):
        """Whether there is a covariate of loci to make strata of."""
        return bool(self.strata or self.motifs or self.annotate)


@documented
@dataclass(frozen=True, kw_only=True)
class EffectsOptions(Options):
    """Which effects a table comes from.
    """

    effects: str = option(
        kinds.Text("EFFECTS.zarr"), group=NETWORK, default_text="effects.zarr beside the table, if there is one",
        help="store that the table was estimated from, for standardised effects, the network and the verdicts")


@documented
@dataclass(frozen=True, kw_only=True)
class AnnotateOptions(Options):
    """What is written of a VCF's variants.
    """

    input_vcf: str = option(
        kinds.Text("VCF"), required=True, help="variants: VCF (plain or packed) or BCF")
    causal_effects: str = option(
        kinds.Choice("all", "instruments"), "all",
        help="which pairs' causal effects each record in a locus lists: all of the run, or those that it is an "
             "instrument of")
    predict_indels: bool = option(
        kinds.Flag(), False,
        help="load the run's models again, and predict insertions, deletions and changes of several bases in windows "
             "that hold them (docs/annotate.md)")
    models: tuple = option(
        kinds.Items(kinds.Text(), "MODEL", several=True), group=OF_INDELS, needs=_of_indels, shared=True,
        help="the run's models: they are code, and a run's folder does not say whose is run")
    source: str = option(
        kinds.Text(), default_text="dir for paths, else kipoi", group=OF_INDELS, needs=_of_indels, shared=True,
        help="their source, as for run")
    module: str = option(
        kinds.Text("FILE.py:CLASS"), group=OF_INDELS, needs=_of_indels, shared=True, help="their class, as for run")
    python: tuple = option(
        kinds.Items(kinds.Text(), "PATH", several=True), group=OF_INDELS, needs=_of_indels, shared=True,
        help="their Python, as for run")
    env: str = option(
        kinds.Text("NAME"), group=OF_INDELS, needs=_of_indels, shared=True, help="their environment, as for run")
    fasta_file: str = option(
        kinds.Text("FASTA"), default_text="that of the run", group=OF_INDELS, needs=_of_indels, shared=True,
        help="genome")


@documented
@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(Options):
    """How members are calibrated.
    """

    observed: str = option(
        kinds.Text("TSV"), required=True, group="calibration (docs/calibration.md)",
        help="observed values on the scale of the marks, NA where missing: a column a mark, and one named locus (names "
             "of the loci), or sequence (then no loci are given)")
    recalibration: str = option(
        kinds.Choice(*RECALIBRATIONS), "scale", group="calibration (docs/calibration.md)",
        help="scale: one factor a mark, which leaves effects as they are; quantile: isotonic, the paper's; none: only "
             "measure")
    noise_sd: float = option(
        kinds.Number(0, metavar="SD"), 0.0, group="calibration (docs/calibration.md)",
        needs=(one_of("recalibration", "scale", "none"),),
        help="standard deviation of the noise in the observed values (1 on the Anscombe scale), which the members' "
             "spread does not include; with scale")
    ddof: int = option(
        kinds.IntegerChoice(0, 1), 1, group="calibration (docs/calibration.md)",
        help="of the standard deviation over members, as in predict")


@documented
@dataclass(frozen=True, kw_only=True)
class RoundOptions(Options):
    """Which rounds are simulated.
    """

    rounds: int = option(kinds.Integer(1, metavar="N"), 10, group=ROUNDS, help="how many of each scenario")
    scenarios: tuple = option(
        kinds.Items(kinds.OneOf(SCENARIOS + LABELS), "A,B", once=True), group=ROUNDS, default_text="all",
        help=f"where confounders act from: {', '.join(SCENARIOS)}; with --graph, how labels follow from it: "
             f"{', '.join(LABELS)}")
    seed: int = option(kinds.Integer(0), 1, group=ROUNDS, help="of all rounds")
    members: int = option(kinds.Integer(1, metavar="N"), 5, group=ROUNDS, help="networks of each ensemble")
    n_training: int = option(
        kinds.Integer(1, metavar="N"), group=ROUNDS, help="training sequences",
        default_text="10000; with --graph 6000, or 10000 for more than 5 marks")
    eta: float = option(
        _strength, 20.0, group=ROUNDS, needs=_of_paper,
        help="strength of the confounder that the sequence shows, on the exposure")
    nu: float = option(_strength, 30.0, group=ROUNDS, needs=_of_paper, help="the same, on the outcome")
    tau: float = option(
        _strength, 25.0, group=ROUNDS, needs=_of_paper,
        help="strength of the confounder that the sequence does not show, on both")
    gamma: float = option(
        _strength, group=ROUNDS, needs=_of_paper, default_text="drawn for each round, near 1 or near 10",
        help="strength of the exposure on the outcome")
    sweep: tuple = option(
        kinds.Items(_strength, "X,Y", once=True), group=ROUNDS, needs=_of_paper,
        help="eta, nu and tau times each of these: an experiment a strength in FOLDER/strength-X, and FOLDER/sweep.tsv "
             "and sweep.png (the paper's S2 Text); without scenario none, which has no confounder")
    confounder_mark: bool = option(
        kinds.Flag(), False, group=ROUNDS, needs=_of_paper,
        help="the networks predict the confounder that the sequence shows too, as a third mark, SOX2: scenarios "
             "sequence and both")
    dropout: float = option(
        kinds.Number(0, 1, below=True, metavar="RATE"), 0.0, group=ROUNDS, needs=_of_paper, default_text="none",
        help="train the networks with dropout after each layer, for --mc_dropout")
    stored: bool = option(
        kinds.Flag(), False, group=ROUNDS, help="make no round: analyse those that the folder holds")
    graph: str = option(
        kinds.Choice(*GRAPHS), group=GRAPH_ROUNDS, help="which marks act on which (docs/simulation.md)")
    marks: int = option(kinds.Integer(1, metavar="D"), 4, group=GRAPH_ROUNDS, needs=_of_graph, help="how many marks")
    hidden: int = option(
        kinds.Integer(0, metavar="N"), 0, group=GRAPH_ROUNDS, needs=_of_graph,
        help="causes of two or three marks each that are no marks themselves")
    analysis: str = option(
        kinds.Text("NAME"), "main", group="their analysis, through estimate and aggregate",
        help="folder below FOLDER/analyses for these options")


@documented
@dataclass(frozen=True, kw_only=True)
class LeverOptions(Options):
    """What an analysis of the simulation does to a round's effects; by default nothing, and the stored ones are used.
    """

    use_members: int = option(
        kinds.Integer(1, metavar="N"), group=LEVERS, default_text="all",
        help="use the first N networks of each ensemble only")
    augment: tuple = option(
        kinds.Items(kinds.Text(), "rc,shift=-3:3"), group=LEVERS,
        help="make members of each network by views of the sequence, as predict does")
    mc_dropout: int = option(
        kinds.Integer(1, metavar="N"), group=LEVERS,
        help="make N members of each network by dropout masks, as predict does; needs rounds made with --dropout")
    mutants: str = option(
        kinds.Text("KIND,KIND"), group=LEVERS, default_text="the stored effects of single mutants",
        help="predict these mutants, as predict does, at all loci with both motifs, also those where no single mutant "
             "moves GATA and that rounds leave out")
    recalibration: str = option(
        kinds.Choice(*RECALIBRATIONS), "none", group=LEVERS,
        help="calibrate by the labels of each round's validation sequences, as calibrate does")
    noise_sd: float = option(
        kinds.Number(0, metavar="SD"), 0.0, group=LEVERS, needs=(one_of("recalibration", "scale"),),
        help="noise in those labels, which the members' spread does not include: that of Poisson counts is 1 on their "
             "scale; with --recalibration scale")

    @property
    def predicts(self):
        """Whether networks must predict again."""
        return bool(self.use_members or self.augment or self.mc_dropout or self.mutants)

    @property
    def used(self):
        """Whether anything is done to the stored effects."""
        return self.predicts or self.recalibration != "none"


@documented
@dataclass(frozen=True, kw_only=True)
class OverwriteOptions(Options):
    """What happens to an earlier result.
    """

    overwrite: bool = option(kinds.Flag(), False, help="replace what another run wrote there")


@documented
@dataclass(frozen=True, kw_only=True)
class TableOptions(Options):
    """How tables are written.
    """

    format: str = option(
        kinds.Choice(*FORMATS), default_text="tsv, or as -o NAME.parquet says",
        help="format of all tables; parquet needs pyarrow (docs/output.md)")
    safe_tables: bool = option(
        kinds.Flag(), False,
        help="put ' before names that begin with = + - or @, which a spreadsheet would compute (docs/output.md)")


@documented
@dataclass(frozen=True, kw_only=True)
class RunOptions(OverwriteOptions):
    """What `run` writes beside its tables.
    """

    no_report: bool = option(kinds.Flag(), False, help="do not write report.html")
    effects: str = option(
        kinds.Text("EFFECTS.zarr"), replaces=("holds predictions that are there already", PREDICTING),
        help="estimate and aggregate from the effects of an earlier run, in place of MODEL and all that predicts")


@documented
@dataclass(frozen=True, kw_only=True)
class PartOptions(Options):
    """Which local effects are printed. In names, * stands for any text and ? for any letter.
    """

    exposure: tuple = option(
        kinds.Items(kinds.Text(), "A,B*"), default_text="all", help="exposures, by name or pattern")
    outcome: tuple = option(kinds.Items(kinds.Text(), "A,B*"), default_text="all", help="outcomes, by name or pattern")
    locus: tuple = option(kinds.Items(kinds.Text(), "A,B*"), default_text="all", help="loci, by name or pattern")


@documented
@dataclass(frozen=True, kw_only=True)
class TracksOptions(OverwriteOptions):
    """What tracks for genome browsers show.
    """

    marks: tuple = option(kinds.Items(kinds.Text(), "A,B*", once=True), default_text="all",
                           help="which marks, by name or pattern")
    value: str = option(
        kinds.Choice("largest", "mean"), "largest",
        help="of the three mutants of a base. largest: the effect with the largest absolute value, with its sign; "
             "mean: their mean")
    fasta_file: str = option(
        kinds.Text("FASTA"), default_text="that of predict", help="genome, for the lengths of contigs")


@documented
@dataclass(frozen=True, kw_only=True)
class StyleOptions(Options):
    """How a figure looks.
    """

    style: str = option(
        kinds.Text("STYLE"), "paper", group=LOOKS,
        help="paper: a journal's column, 89 mm; notebook: a page, 165 mm; talk: a slide, 254 mm; or a style that "
             "matplotlib knows, or a file of such settings")
    width: float = option(
        kinds.Number(20, 2000, metavar="MM"), group=LOOKS, default_text="that of the style", help="width of the figure")


@documented
@dataclass(frozen=True, kw_only=True)
class ShapeOptions(Options):
    """The pair whose shape is asked for, and what its effect may depend on.
    """

    exposure: str = option(kinds.Text("MARK"), required=True, help="mark that is the cause")
    outcome: str = option(kinds.Text("MARK"), required=True, help="mark that is affected")
    state: tuple = option(
        kinds.Items(kinds.Text(), "A,B"), default_text="the exposure and the outcome", group=STATE,
        help="marks on whose level at a locus the effect there may depend")
    motifs: str = option(
        kinds.Text("BED"), group=STATE,
        help="motif instances or other regions, named by mark: whether the effect depends on the distance between the "
             "nearest ones of exposure and outcome")
    min_bend: float = option(
        kinds.Number(0, metavar="SHARE"), 0.2,
        help="the least difference between slopes that counts, as a share of the mean slope")


@documented
@dataclass(frozen=True, kw_only=True)
class InteractionOptions(Options):
    """Which regions are compared, and on which outcomes.
    """

    exposures: tuple = option(
        kinds.Items(kinds.Text(), "A,B*", once=True), default_text="all",
        help="marks whose regions are compared, by name or pattern")
    outcomes: tuple = option(
        kinds.Items(kinds.Text(), "A,B*", once=True), default_text="all",
        help="marks on which the regions act, by name or pattern")
    min_interaction: float = option(
        kinds.Number(0, metavar="SHARE"), 0.2,
        help="the least interaction that counts, as a share of the two effects together")


@documented
@dataclass(frozen=True, kw_only=True)
class GlobalFigureOptions(Options):
    """What a figure of global effects shows.
    """

    method: str = option(kinds.Text(), help="which of the table's methods", default_text="all")


@documented
@dataclass(frozen=True, kw_only=True)
class SpacingFigureOptions(Options):
    """What a figure of strata shows.
    """

    method: str = option(kinds.Text(), help="which of the table's methods", default_text="the first")
    covariate: str = option(kinds.Text(), help="which of the table's covariates", default_text="the first")


@documented
@dataclass(frozen=True, kw_only=True)
class HeatmapFigureOptions(Options):
    """What a heat map of all pairs shows.
    """

    method: str = option(kinds.Text(), help="which of the methods of a table of global effects",
                         default_text="the first")
    mark_table: str = option(
        kinds.Text("FILE"), needs=(given("color_by"),), shared=True,
        help="a table with a row for each mark, as `run --mark_table` takes it")
    color_by: str = option(
        kinds.Text("COLUMN"),
        help="give marks with the same value in this column the same colour; a column of --mark_table, or else of the "
             "table that `run --mark_table` was given")


@documented
@dataclass(frozen=True, kw_only=True)
class ForestFigureOptions(Options):
    """The pair of marks whose local effects a figure shows.
    """

    exposure: str = option(kinds.Text("MARK"), required=True, help="mark that is the cause")
    outcome: str = option(kinds.Text("MARK"), required=True, help="mark that is affected")
    method: str = option(kinds.Text(), help="which of the run's methods", default_text="the first")


@documented
@dataclass(frozen=True, kw_only=True)
class LocusFigureOptions(Options):
    """The locus and the pair of marks that a figure shows.
    """

    locus: str = option(kinds.Text(), required=True, help="name of the locus")
    exposure: str = option(kinds.Text("MARK"), required=True, help="mark that is the cause")
    outcome: str = option(kinds.Text("MARK"), required=True, help="mark that is affected")


@documented
@dataclass(frozen=True, kw_only=True)
class TracksFigureOptions(LocusFigureOptions):
    """The part of a locus that a figure shows.
    """

    window: tuple = option(
        kinds.Window("START:END"), default_text="all", help="positions of the locus, from 0 and without END")
