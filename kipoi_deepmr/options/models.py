"""Options of models, loci, engines and clusters: what `check`, `calibrate`, `predict` and `run` have in common."""

from dataclasses import dataclass

from ..errors import InputError
from . import kinds
from .declare import Options, documented, option
from .needs import a_scheduler, given, mutants_of

MARK_SUMMARIES = ("sum", "mean", "max", "log_sum", "profile_mean", "counts", "total")
SCALES = ("identity", "logit", "log", "log1p", "anscombe")
RESIZE = ("summit", "center", "none")
# Options that decide the same thing; marks of stacks, members' columns and windows have names that no table holds
NOT_TOGETHER = (("mark_table", "mark_names"), ("mark_table", "stack"), ("mark_table", "member_columns"),
                ("mark_table", "mark_windows"), ("mark_groups_by", "mark_groups"))
REPLACEMENTS = ("background", "dinucleotide")
ENGINES = ("auto", "exact", "gradient", "integrated_gradients", "deeplift", "naive")

MODELS = "models: the members of one deep ensemble"
MEMBERS = "members of one model, where there is no deep ensemble (docs/ensembles.md)"
ENVIRONMENTS = "where models run (default: in this process)"
ADAPTERS = "input and output of a model (`check` shows what is detected without them)"
LOCI = "loci: from the model's own dataloader, or from BED and FASTA"
MUTANTS = "mutants of each locus"
CLUSTER = "a Dask cluster (docs/cluster.md; default: this process)"
_of_loci = given("dataloader_args", "intervals_file")
_apart = given("python", "env")
_averaged = mutants_of("windows", "regions", "pairs")


@documented
@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Which models make the ensemble, and how they are read.
    """

    models: tuple = option(
        kinds.Items(kinds.Text(), "MODEL", several=True), positional=True, required=True, group=MODELS,
        help="models trained independently on the same marks: files of networks (.pt, .safetensors, .pt2, .keras, .h5, "
             "SavedModel folders), Kipoi directories, or names in Kipoi's zoo; or patterns such as 'folds/*'")
    source: str = option(
        kinds.Text(), group=MODELS, default_text="dir for paths, else kipoi",
        help="Kipoi model source: kipoi (the zoo), dir, or one of ~/.kipoi/config.yaml")
    module: str = option(
        kinds.Text("FILE.py:CLASS"), group=MODELS,
        help="class of the networks whose weights the files hold, or a function that makes one; runs that file's code")
    module_args: dict = option(
        kinds.JsonObject("JSON"), group=MODELS, needs=(given("module"),),
        help="its arguments: a JSON object, or a file of one")
    length: int = option(
        kinds.Integer(1, metavar="BASES"), group=MODELS, default_text="as the model says, else as the loci are",
        help="bases that the model takes, where its file does not say")
    stack: bool = option(
        kinds.Flag(), False, group=MODELS,
        help="the models are parts of one that predicts all their marks: MODEL, or MARK=MODEL to name the mark, or "
             "MARK=MODEL,MODEL for members")
    batch_size: int = option(
        kinds.Integer(1), group=MODELS, default_text="measured once for each model",
        help="sequences in one call of a model")
    member_columns: dict = option(
        kinds.columns(), group=MEMBERS,
        help="for one MODEL with replicate columns: each member's columns, by number from 0 or label")
    mc_dropout: int = option(
        kinds.Integer(1, metavar="N"), group=MEMBERS,
        help="make N members of each model by dropout masks, drawn with --seed and then held fixed")
    augment: tuple = option(
        kinds.Items(kinds.Text(), "rc,shift=-3:3"), group=MEMBERS,
        help="make members of each model by views of the sequence: its reverse complement, shifts")
    python: tuple = option(
        kinds.Items(kinds.Text(), "PATH", several=True), group=ENVIRONMENTS,
        help="a Python that has what the models need; one for all, or one for each")
    env: str = option(
        kinds.Text("NAME"), group=ENVIRONMENTS, help="the same, by the name that `kipoi env create` gave it")
    jobs: int = option(
        kinds.Integer(1, metavar="N"), group=ENVIRONMENTS, default_text="all", needs=(_apart,), only_warns=True,
        help="how many models of --python or --env compute at once")
    worker_timeout: float = option(
        kinds.Number(0, above=True, metavar="SECONDS"), group=ENVIRONMENTS, default_text="600", needs=(_apart,),
        only_warns=True,
        help="how long one batch may take there before the process is restarted")
    seq_input: tuple = option(
        kinds.Items(kinds.Label(), "NAME,NAME=rc"), group=ADAPTERS,
        help="which input is DNA, and which is its reverse complement, by name or number")
    seq_layout: str = option(
        kinds.Text("AXES"), group=ADAPTERS, help="axes of the DNA input, such as L,4 or 4,1,L or string")
    alphabet: str = option(kinds.Text("ACGT"), group=ADAPTERS, help="order of the letters along their axis")
    marks: tuple = option(
        kinds.Items(kinds.Label(), "A,B"), group=ADAPTERS, default_text="all",
        help="marks to use, by name, pattern or number from 0; with --mark_table also by COLUMN=VALUE, as in "
             "'assay=ATAC'; or names for all outputs of a model that names none")
    mark_names: str = option(
        kinds.Text("FILE"), group=ADAPTERS, help="names of the model's outputs, one a line")
    mark_table: str = option(
        kinds.Text("FILE"), group=ADAPTERS,
        help="a tab-separated table of the model's outputs with a header: a row for each, in the model's order or in "
             "that of a column index (from 0); the column name names them, --marks and --mark_groups_by use the others")
    mark_summary: str = option(
        kinds.Choice(*MARK_SUMMARIES), group=ADAPTERS,
        default_text="counts for profiles with log counts, log_sum for the profiles of named outputs, else sum",
        help="how an output of many positions becomes one number; with log counts, a summary of the counts expected at "
             "each position, softmax(profile) x exp(counts): total is their sum, counts are the log counts alone")
    mark_window: tuple = option(
        kinds.Window("START:END"), group=ADAPTERS, default_text="all", excludes="mark_window",
        help="positions of the output that count, from 0, without END")
    mark_windows: dict = option(
        kinds.windows(), group=ADAPTERS, excludes="mark_window",
        help="a window for each mark, so that one output at two places makes two marks; +N and -N count from the "
             "middle, as in acceptor=-10:+11; other outputs are dropped")
    mark_layout: str = option(
        kinds.Text("AXES"), group=ADAPTERS,
        help="axes of the output, such as positions,marks or marks,strands,positions")
    scale: str = option(
        kinds.Choice(*SCALES), "identity", group=ADAPTERS, help="scale on which marks are compared")
    mark_groups: dict = option(
        kinds.columns(), group=ADAPTERS,
        help="use means of outputs as marks: their outputs, by name, pattern or number from 0")
    mark_groups_by: str = option(
        kinds.Text("COLUMN"), group=ADAPTERS, needs=(given("mark_table"),),
        help="use means of the outputs that have the same value in this column of --mark_table as marks")

    def _check_together(self):
        for first, second in NOT_TOGETHER:
            if getattr(self, first) and getattr(self, second):
                raise InputError(f"--{first} and --{second} exclude each other")


@documented
@dataclass(frozen=True, kw_only=True)
class LociOptions(Options):
    """Which loci are used.
    """

    dataloader_args: tuple = option(
        kinds.Items(kinds.Text(), "JSON", several=True), group=LOCI,
        help="arguments of the model's dataloader: JSON, a JSON file, or key=value items")
    intervals_file: str = option(
        kinds.Text("BED"), group=LOCI,
        help="loci, or peaks of any length; those on the - strand are reverse-complemented")
    resize: str = option(
        kinds.Choice(*RESIZE), group=LOCI, default_text="summit for narrowPeak, else center", needs=(_of_loci,),
        help="how intervals get the length of the model's input: around the summit of narrowPeak (column 10), around "
             "their middle, or not at all, so that another length is an error (docs/peaks.md)")
    fasta_file: str = option(
        kinds.Text("FASTA"), group=LOCI, needs=(_of_loci,), shared=True,
        help="genome of --intervals_file, and of the VCF")
    mutate: str = option(
        kinds.Text("START:END|BED"), group=LOCI, default_text="all", needs=(_of_loci,),
        help="mutate only some positions: those from START, without END, of each locus as the model sees it, from 0; "
             "or those in the intervals of a BED file (docs/peaks.md)")
    n_loci: int = option(
        kinds.Integer(1), group=LOCI, default_text="all", help="use a random sample of this many loci")
    seed: int = option(
        kinds.Integer(0), 42, group=LOCI, only_warns=True,
        needs=(given("n_loci", "mc_dropout") | _averaged | given("observed"),),
        help="of the random sample, of --mc_dropout and of --mutants")


@documented
@dataclass(frozen=True, kw_only=True)
class MutantOptions(Options):
    """Which mutants of each locus are predicted.
    """

    mutants: str = option(
        kinds.Text("KIND,KIND"), "single", group=MUTANTS, needs=(_of_loci,),
        help="which mutants of each locus: single bases (single), windows of W bases, by default side by side "
             "(windows:W[:STEP]), deletions (deletions:W[:STEP]), each region of --instrument_regions and its single "
             "bases (regions), each two of these regions together (pairs); docs/mutants.md")
    mutant_draws: int = option(
        kinds.Integer(1, metavar="R"), 10, group=MUTANTS, needs=(_averaged,),
        help="sequences that replace a window or region; its effect is their mean")
    mutant_bases: str = option(
        kinds.Choice(*REPLACEMENTS), "background", group=MUTANTS, needs=(_averaged,),
        help="what replaces it: bases drawn as often as the locus has them, or its own, shuffled so that each two are "
             "neighbours as often as before")
    instrument_regions: str = option(
        kinds.Text("BED"), group=MUTANTS, needs=(mutants_of("regions", "pairs"),), shared=True,
        help="regions of marks, such as motif instances: the names are marks. For --mutants regions and pairs, and for "
             "--instruments regions; effects by direct and by regions are then compared (rules.tsv), and so they are "
             "where direct is the rule")


@documented
@dataclass(frozen=True, kw_only=True)
class ClusterOptions(Options):
    """A Dask cluster that estimates.
    """

    dask: str = option(
        kinds.Text("local:N|ADDRESS"), group=CLUSTER, excludes="dask",
        help="local:N for N processes on this machine, or a scheduler such as tcp://host:8786")
    dask_scheduler_file: str = option(
        kinds.Text("FILE"), group=CLUSTER, excludes="dask",
        help="a scheduler by the file that `dask scheduler --scheduler-file` wrote")
    dask_tls_config: str = option(
        kinds.Text("FILE"), group=CLUSTER, needs=(a_scheduler(),),
        help="certificates, as a Dask configuration file names them (distributed.comm.tls)")

    def _check_together(self):
        if self.dask and self.dask_scheduler_file:
            raise InputError("--dask and --dask_scheduler_file exclude each other")


@documented
@dataclass(frozen=True, kw_only=True)
class PredictClusterOptions(ClusterOptions):
    """A Dask cluster that predicts.
    """

    dask_resources: dict = option(
        kinds.amounts(), group=CLUSTER, needs=(a_scheduler(),),
        help="what a worker must declare to predict a block, and how much of it that takes, such as GPU=1 (dask worker "
             "--resources GPU=1)")


@documented
@dataclass(frozen=True, kw_only=True)
class EngineOptions(Options):
    """How the mutants of each locus are predicted.
    """

    engine: str = option(
        kinds.Choice(*ENGINES), "auto", group=MUTANTS,
        help="how they are predicted. exact: by the differences they make, for networks that it knows "
             "(docs/engine.md); naive: each as a whole; auto: exact where it agrees with the model on a sample, else "
             "naive; gradient, integrated_gradients, deeplift: approximations, with their error on a sample of loci "
             "(docs/approximations.md)")


@documented
@dataclass(frozen=True, kw_only=True)
class PredictOptions(EngineOptions):
    """How effects are predicted, and what of them is stored.
    """

    ddof: int = option(
        kinds.IntegerChoice(0, 1), 1, group="effects", help="of the standard deviation over members")
    keep: str = option(
        kinds.Choice("members", "summary"), "members", group="effects",
        help="store every member's effects (float32, whatever the number of marks), or only mean and standard error: "
             "with five members less than a third of the disk, but no network and no intervals from members")
