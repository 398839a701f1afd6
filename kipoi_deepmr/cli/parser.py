"""What the subcommands take. Imports nothing heavy, so that `--help` answers at once."""

import argparse
import json

from .. import __version__
from .examples import EXAMPLES, EXIT_CODES

# Written out, since importing them takes what `--help` need not wait for; a test compares them with the modules.
METHODS = ("egger", "egger_robust", "egger_simex", "ivw", "wald_mean", "median_simple", "median_weighted",
           "median_penalized", "mode_simple", "mode_weighted", "raps", "divw", "max_likelihood",
           "contamination_mixture", "lasso", "ivw_correlated", "egger_correlated", "two_stage_least_squares",
           "mvmr_ivw", "mvmr_egger")
SIMULATED_METHODS = ("egger_robust", "egger", "ivw", "wald_mean", "median_weighted", "mode_weighted", "raps",
                     "ivw_correlated", "egger_correlated")
SCENARIOS = ("none", "sequence", "independent", "both")
GRAPHS = ("chain", "fork", "collider", "cycle", "mediator", "random")
LABELS = ("linear", "saturating")
MARK_SUMMARIES = ("sum", "mean", "max", "log_sum", "profile_mean")
SCALES = ("identity", "logit", "log", "log1p", "anscombe")
ENGINES = ("auto", "exact", "gradient", "integrated_gradients", "deeplift", "naive")
RECALIBRATIONS = ("quantile", "scale", "none")
LARGEST_STRENGTH = 1_000_000  # in counts; of too large a mean no Poisson count can be drawn
TAU2_METHODS = ("REML", "DL", "PM", "ML", "HE", "HS", "SJ", "EB")


def make_parser(prog):
    """The parser of all subcommands."""
    return add_commands(argparse.ArgumentParser(prog=prog))


def add_commands(parser):
    """Make the parser of all subcommands of an empty one, and return it."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = ("DeepMR: which marks does a trained sequence model believe cause which others?\n"
                          "Mendelian randomization on the in-silico mutants of a multi-task Kipoi model.")
    parser.epilog = f"{EXAMPLES['']}\n\n{EXIT_CODES}"
    parser.add_argument("--version", action="version", version=f"kipoi_deepmr {__version__}")
    parser.set_defaults(verbose=False, debug=False)
    commands = parser.add_subparsers(dest="command", title="commands (each has its own --help)", metavar="COMMAND",
                                     required=True)
    _add_model_commands(commands)
    _add_stages(commands)
    _add_further_commands(commands)
    return parser


def _add_model_commands(commands):
    """What looks at models alone."""
    check = _command(commands, "check", "whether models are fit for DeepMR, how they are read, and what a run costs")
    _add_models(check)
    _add_engine(check)
    _add_loci(check)
    _add_fasta_of_estimate(check, with_loci=True)

    calibrate = _command(commands, "calibrate", "calibrate the members' spread by sequences with observed values")
    _add_models(calibrate)
    _add_loci(calibrate)
    _add_fasta_of_estimate(calibrate, with_loci=True)
    _add_calibration(calibrate)
    _add_output(calibrate, "CALIBRATION.json", "file to write, for --calibration; the reliability curves are drawn "
                                               "beside it, ending in .png")


def _add_stages(commands):
    """`run`, and the three stages that it takes."""
    run = _command(commands, "run", "predict, estimate and aggregate in a row, into one folder")
    _add_models(run)
    _add_engine(run)
    _add_loci(run)
    _add_prediction(run)
    _add_cluster(run, "that predicts and estimates", predicts=True)
    _add_estimation(run)
    _add_fasta_of_estimate(run, with_loci=True)
    _add_aggregation(run)
    _add_output(run, "OUT", "folder to write: effects.zarr, instruments.vcf.gz, local.tsv, diagnostics.tsv, "
                            "diagnostics_by_pair.tsv, global.tsv, global.png, run.json, report.html")
    run.add_argument("--no_report", action="store_true", help="do not write report.html")
    _add_overwrite(run)

    predict = _command(commands, "predict", "effects of all single mutants of the loci (steps 1-4)")
    _add_models(predict)
    _add_engine(predict)
    _add_loci(predict)
    _add_prediction(predict)
    _add_cluster(predict, "that predicts", predicts=True)
    _add_fasta_of_estimate(predict, with_loci=True)
    _add_output(predict, "EFFECTS.zarr", "store of effects to write")
    _add_overwrite(predict)

    estimate = _command(commands, "estimate", "instruments and local causal effects (steps 5-6)")
    estimate.add_argument("effects", metavar="EFFECTS.zarr", help="store that `predict` wrote")
    _add_estimation(estimate)
    _add_cluster(estimate, "that estimates")
    _add_fasta_of_estimate(estimate, with_loci=False)
    _add_output(estimate, "LOCAL.tsv", "table to write, with diagnostics.tsv, diagnostics_by_pair.tsv and "
                                       "instruments.vcf.gz beside it; -: the table alone, to standard output")

    aggregate = _command(commands, "aggregate", "global causal effects: meta-analysis over loci (step 7)")
    aggregate.add_argument("local", metavar="LOCAL.tsv", help="table that `estimate` wrote")
    _add_aggregation(aggregate)
    _add_strata(aggregate)
    _add_output(aggregate, "GLOBAL.tsv", "table to write, with the figure beside it, ending in .png; -: the table "
                                         "alone, to standard output")


def _add_further_commands(commands):
    """What begins with a finished run, or with none."""
    report = _command(commands, "report", "report.html of a run: tables and charts in one file that needs no network")
    report.add_argument("folder", metavar="OUT", help="folder that `run` wrote; report.html is written into it")

    annotate = _command(commands, "annotate", "a VCF of your variants, with what a run tells of them in INFO")
    annotate.add_argument("folder", metavar="OUT", help="folder that `run` wrote")
    _add_annotation(annotate)
    _add_output(annotate, "OUT.vcf.gz", "file to write: .vcf.gz (with an index where the records are sorted) or .vcf; "
                                        "-: standard output")

    simulate = _command(commands, "simulate", "the paper's simulation: train, estimate, score against known effects")
    _add_simulation(simulate)
    _add_aggregation(simulate)
    _add_output(simulate, "FOLDER", "folder of rounds and analyses; what it holds already is kept and gone on with")

    completion = commands.add_parser("completion", help="print a script with which a shell completes our options")
    _describe(completion, "completion", "Print a script with which a shell completes our commands and options.")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")

    plot = commands.add_parser("plot", help="a figure for a paper: PNG, PDF or SVG",
                               description="Draw a figure; the format goes by the end of its name.")
    _add_figures(plot.add_subparsers(dest="figure", metavar="{global,local,tracks,spacing,simulation}", required=True))


def _add_annotation(command):
    command.add_argument("--input_vcf", required=True, metavar="VCF", help="variants: VCF (plain or packed) or BCF")
    command.add_argument("--causal_effects", choices=("all", "instruments"), default="all",
                         help="of which pairs each record in a locus tells the causal effects: all of the run, or "
                              "those that it is an instrument of (default: %(default)s)")
    command.add_argument("--predict_indels", action="store_true",
                         help="load the run's models again, and predict insertions, deletions and changes of several "
                              "bases in windows that hold them (docs/annotate.md)")
    command.add_argument("--fasta_file", metavar="FASTA", help="genome for --predict_indels (default: that of the run)")


def _add_simulation(command):
    group = command.add_argument_group("rounds: data, networks and effects of their own (docs/simulation.md)")
    group.add_argument("--rounds", type=_positive, default=10, metavar="N",
                       help="how many of each scenario (default: %(default)s)")
    group.add_argument("--scenarios", type=_names, metavar="A,B",
                       help=f"where confounders act from: {', '.join(SCENARIOS)}; with --graph, how labels follow from "
                            f"it: {', '.join(LABELS)} (default: all)")
    group.add_argument("--seed", type=_count, default=1, help="of all rounds (default: %(default)s)")
    group.add_argument("--members", type=_positive, default=5, metavar="N",
                       help="networks of each ensemble (default: %(default)s)")
    group.add_argument("--n_training", type=_positive, metavar="N",
                       help="training sequences (default: 10000; with --graph 6000, or 10000 for more than 5 marks)")
    group.add_argument("--eta", type=_strength,
                       help="strength of the confounder that the sequence shows, on the exposure (default: 20)")
    group.add_argument("--nu", type=_strength, help="the same, on the outcome (default: 30)")
    group.add_argument("--tau", type=_strength,
                       help="strength of the confounder that the sequence does not show, on both (default: 25)")
    group.add_argument("--gamma", type=_strength,
                       help="strength of the exposure on the outcome "
                            "(default: drawn for each round, near 1 or near 10)")
    group.add_argument("--sweep", type=_factors, metavar="X,Y",
                       help="eta, nu and tau times each of these: an experiment a strength in FOLDER/strength-X, and "
                            "FOLDER/sweep.tsv and sweep.png (the paper's S2 Text); without scenario none, which has "
                            "no confounder")
    group.add_argument("--confounder_mark", action="store_true",
                       help="the networks predict the confounder that the sequence shows too, as a third mark, SOX2: "
                            "scenarios sequence and both")
    group.add_argument("--dropout", type=_rate, default=0.0, metavar="RATE",
                       help="train the networks with dropout after each layer, for --mc_dropout (default: none)")
    group.add_argument("--stored", action="store_true", help="make no round: analyse those that the folder holds")
    _add_graphs(command)
    group = command.add_argument_group("their analysis, through estimate and aggregate")
    group.add_argument("--analysis", default="main", metavar="NAME",
                       help="folder below FOLDER/analyses for these options (default: %(default)s)")
    _add_estimators(group, SIMULATED_METHODS, z=2.0)
    _add_levers(command)


def _add_graphs(command):
    group = command.add_argument_group("rounds of a causal graph with more than two marks, instead of the paper's")
    group.add_argument("--graph", choices=GRAPHS, help="which marks act on which (docs/simulation.md)")
    group.add_argument("--marks", type=_positive, metavar="D", help="how many marks (default: 4)")
    group.add_argument("--hidden", type=_count, metavar="N",
                       help="causes of two or three marks each that are no marks themselves (default: 0)")


def _add_levers(command):
    group = command.add_argument_group("what the analysis does to effects first, kept in its own folder")
    group.add_argument("--use_members", type=_positive, metavar="N",
                       help="ask the first N networks of each ensemble alone (default: all)")
    group.add_argument("--augment", type=_names, default=(), metavar="rc,shift=-3:3",
                       help="make members of each network by views of the sequence, as predict does")
    group.add_argument("--mc_dropout", type=_positive, metavar="N",
                       help="make N members of each network by dropout masks, as predict does; needs rounds made with "
                            "--dropout")
    group.add_argument("--recalibration", choices=RECALIBRATIONS, default="none",
                       help="calibrate by the labels of each round's validation sequences, as calibrate does "
                            "(default: %(default)s)")
    group.add_argument("--noise_sd", type=_noise, default=0.0, metavar="SD",
                       help="noise in those labels, which the members' spread is not to stand for: that of Poisson "
                            "counts is 1 on their scale; with --recalibration scale (default: 0)")


def _add_figures(figures):
    of_tables = (("global", "GLOBAL.tsv", "global effects with ±2 standard errors and ±2 tau (the paper's Fig 3)"),
                 ("spacing", "STRATA.tsv", "heat map of global effects within strata (the paper's S1 Fig)"),
                 ("simulation", "ROUNDS.tsv", "true against estimated effects, and coverage (the paper's Fig 2)"))
    for name, table, help_text in of_tables:
        figure = _command(figures, name, help_text)
        figure.add_argument("table", metavar=table)
        if name != "simulation":
            figure.add_argument("--method", help="which of the table's methods")
        if name == "spacing":
            figure.add_argument("--covariate", help="which of the table's covariates (default: the first)")
        _add_output(figure, "FIGURE", "file to write: .png, .pdf or .svg")
    for name, help_text in (("local", "instruments of one locus and pair, and the fitted lines"),
                            ("tracks", "effects on both marks along one locus, as letters")):
        figure = _command(figures, name, help_text)
        figure.add_argument("folder", metavar="OUT", help="folder that `run` wrote")
        for option in ("--locus", "--exposure", "--outcome"):
            figure.add_argument(option, required=True)
        if name == "tracks":
            figure.add_argument("--window", type=_window, metavar="START:END", help="positions from 0 (default: all)")
        _add_output(figure, "FIGURE", "file to write: .png, .pdf or .svg")


def _command(commands, name, help_text):
    command = commands.add_parser(name, help=help_text)
    _describe(command, name, help_text[0].upper() + help_text[1:] + ".")
    command.add_argument("--config", metavar="FILE", help="options from a YAML or JSON file, or from a run's run.json; "
                                                          "those on the command line win")
    loudness = command.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no summary")
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell on standard error what is being done")
    command.add_argument("--debug", action="store_true", help="show where an internal error arose")
    return command


def _describe(command, name, description):
    command.description, command.epilog = description, EXAMPLES.get(name)
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def _add_models(command):
    group = command.add_argument_group("models: the members of one deep ensemble")
    group.add_argument("models", nargs="+", metavar="MODEL",
                       help="Kipoi models trained apart on the same marks, or patterns such as 'folds/*'; a directory "
                            "each with --source dir")
    group.add_argument("--source", default="kipoi", help="Kipoi model source: kipoi (the zoo), dir, or one of "
                                                         "~/.kipoi/config.yaml (default: %(default)s)")
    group.add_argument("--stack", action="store_true",
                       help="the models are parts of one that predicts all their marks: MODEL, or MARK=MODEL to name "
                            "the mark, or MARK=MODEL,MODEL for members")
    group.add_argument("--batch_size", type=_positive,
                       help="sequences in one call of a model (default: measured once for each model)")
    _add_members(command)
    _add_environments(command)
    _add_adapters(command)


def _add_engine(command):
    group = command.add_argument_group("mutants of each locus")
    group.add_argument("--engine", choices=ENGINES, default="auto",
                       help="how they are predicted. exact: by the differences they make, for networks that it "
                            "knows (docs/engine.md); naive: each as a whole; auto: exact where it agrees with the "
                            "model on a sample, else naive; gradient, integrated_gradients, deeplift: approximations, "
                            "with their error on a sample of loci (docs/approximations.md) (default: %(default)s)")


def _add_members(command):
    group = command.add_argument_group("members of one model, where there is no deep ensemble (docs/ensembles.md)")
    group.add_argument("--member_columns", nargs="+", type=_named_columns, metavar="NAME=COL,COL",
                       help="for one MODEL with replicate columns: each member's columns, by number from 0 or label")
    group.add_argument("--mc_dropout", type=_positive, metavar="N",
                       help="make N members of each model by dropout masks, drawn with --seed and then held fixed")
    group.add_argument("--augment", type=_names, metavar="rc,shift=-3:3",
                       help="make members of each model by views of the sequence: its reverse complement, shifts")


def _add_environments(command):
    group = command.add_argument_group("where models run (default: in this process)")
    group.add_argument("--python", nargs="+", metavar="PATH",
                       help="a Python that has what the models need; one for all, or one for each")
    group.add_argument("--env", metavar="NAME", help="the same, by the name that `kipoi env create` gave it")
    group.add_argument("--jobs", type=_positive, metavar="N",
                       help="how many models of --python or --env compute at once (default: all)")
    group.add_argument("--worker_timeout", type=_positive_number, metavar="SECONDS",
                       help="how long one batch may take there before the process is started anew (default: 600)")


def _add_adapters(command):
    group = command.add_argument_group("input and output of a model (`check` shows what is found without them)")
    group.add_argument("--seq_input", type=_names, metavar="NAME,NAME=rc",
                       help="which input is DNA, and which is its reverse complement, by name or number")
    group.add_argument("--seq_layout", metavar="AXES", help="axes of the DNA input, such as L,4 or 4,1,L or string")
    group.add_argument("--alphabet", metavar="ACGT", help="order of the letters along their axis")
    group.add_argument("--marks", type=_names, metavar="A,B",
                       help="marks to use, by name, pattern or number from 0 (default: all)")
    group.add_argument("--mark_names", metavar="FILE", help="names of the model's outputs, one a line")
    group.add_argument("--mark_summary", choices=MARK_SUMMARIES,
                       help="how an output of many positions becomes one number (default: log_sum for the profiles of "
                            "named outputs, else sum)")
    group.add_argument("--mark_window", type=_window, metavar="START:END",
                       help="positions of the output that count, from 0, without END (default: all)")
    group.add_argument("--scale", choices=SCALES, default="identity",
                       help="scale on which marks are compared (default: %(default)s)")
    group.add_argument("--mark_groups", nargs="+", type=_named_columns, metavar="NAME=COL,COL",
                       help="use means of outputs as marks: their outputs, by name, pattern or number from 0")


def _add_loci(command):
    group = command.add_argument_group("loci: from the model's own dataloader, or from BED and FASTA")
    group.add_argument("--dataloader_args", nargs="+", metavar="JSON",
                       help='arguments of the model\'s dataloader: JSON, a JSON file, or key=value items')
    group.add_argument("--intervals_file", metavar="BED", help="loci, each as long as the model's input; those on the "
                                                               "- strand are reverse-complemented")
    group.add_argument("--n_loci", type=_positive, help="use a random sample of so many (default: all)")
    group.add_argument("--seed", type=_count, default=42,
                       help="of the random sample, and of --mc_dropout (default: %(default)s)")


def _add_prediction(command):
    group = command.add_argument_group("effects")
    group.add_argument("--ddof", type=int, choices=(0, 1), default=1,
                       help="of the standard deviation over members (default: %(default)s)")
    group.add_argument("--keep", choices=("members", "summary"), default="members",
                       help="store every member's effects, or only mean and standard error (default: %(default)s)")


def _add_calibration(command):
    group = command.add_argument_group("calibration (docs/calibration.md)")
    group.add_argument("--observed", required=True, metavar="TSV",
                       help="observed values on the scale of the marks, NA where missing: a column a mark, and one "
                            "named locus (names of the loci), or sequence (then no loci are given)")
    group.add_argument("--recalibration", choices=RECALIBRATIONS, default="scale",
                       help="scale: one factor a mark, which leaves effects as they are; quantile: isotonic, the "
                            "paper's; none: only measure (default: %(default)s)")
    group.add_argument("--noise_sd", type=_noise, default=0.0, metavar="SD",
                       help="standard deviation of the noise in the observed values (1 on the Anscombe scale), which "
                            "the members' spread is not to stand for; with scale (default: 0)")
    group.add_argument("--ddof", type=int, choices=(0, 1), default=1,
                       help="of the standard deviation over members, as in predict (default: %(default)s)")


def _add_cluster(command, what, predicts=False):
    group = command.add_argument_group(f"a Dask cluster {what} (docs/cluster.md; default: this process)")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--dask", metavar="local:N|ADDRESS",
                       help="local:N for N processes on this machine, or a scheduler such as tcp://host:8786")
    where.add_argument("--dask_scheduler_file", "--dask-scheduler-file", metavar="FILE",
                       help="a scheduler by the file that `dask scheduler --scheduler-file` wrote")
    group.add_argument("--dask_tls_config", "--dask-tls-config", metavar="FILE",
                       help="certificates, as a Dask configuration file names them (distributed.comm.tls)")
    command.set_defaults(dask_resources=None)
    if predicts:
        group.add_argument("--dask_resources", "--dask-resources", nargs="+", type=_resource, metavar="NAME=N",
                           help="what a worker must declare to predict a block, and how much of it that takes, such as "
                                "GPU=1 (dask worker --resources GPU=1)")


def _add_estimation(command):
    group = command.add_argument_group("local causal effects")
    group.add_argument("--exposures", type=_names, metavar="A,B", help="marks that may be causes (default: all)")
    group.add_argument("--outcomes", type=_names, metavar="A,B", help="marks that may be effects (default: all)")
    _add_estimators(group)
    group.add_argument("--input_vcf", metavar="VCF",
                       help="natural variants for --instruments variants: VCF (plain or packed) or BCF")
    group.add_argument("--calibration", metavar="FILE",
                       help="calibrate the effects first, by a file that `calibrate` wrote for the same models; needs "
                            "every member's effects")
    group.add_argument("--diagnostics", choices=("quick", "all", "none"), default="quick",
                       help="diagnostics.tsv and diagnostics_by_pair.tsv; all: with MR-PRESSO's global test, which "
                            "takes 1,000 draws a locus and pair (default: %(default)s)")
    group.add_argument("--vcf", choices=("instruments", "all", "none"), default="instruments",
                       help="which mutants the VCF holds (default: %(default)s)")


def _add_estimators(group, methods=("egger",), z=3.0):
    """Options that decide estimates and their intervals."""
    group.add_argument("--method", type=_names, default=list(methods), metavar="NAME,NAME",
                       help=f"estimators: {', '.join(METHODS)} (default: {','.join(methods)})")
    group.add_argument("--method_args", nargs="+", type=_setting, metavar="NAME=VALUE",
                       help="options of the estimators, such as model=fixed penalized=true alpha=0.01; each goes to "
                            "the estimators that have it (see docs/method.md)")
    group.add_argument("--adjust", type=_names, metavar="A,B",
                       help="marks that the methods mvmr_ivw and mvmr_egger hold fixed, or all: an effect on the "
                            "outcome that does not go through these (see docs/method.md)")
    group.add_argument("--instruments", choices=("pooled", "own", "variants"), default="pooled",
                       help="a mutant is an instrument if its effect is large among all mutants of all loci (pooled), "
                            "or large against its own standard error (own), or as pooled and a variant of --input_vcf "
                            "(variants) (default: %(default)s)")
    group.add_argument("--instrument_z", type=_not_negative, default=z, metavar="Z",
                       help="how large, in standard deviations or standard errors (default: %(default)s)")
    group.add_argument("--steiger", action="store_true",
                       help="of the instruments of an exposure, those alone serve for a pair that move the exposure "
                            "more than the outcome, each in that mark's standard deviations (Steiger's filter)")
    group.add_argument("--se_shrinkage", choices=("none", "moderated"), default="none",
                       help="moderated: draw the mutants' standard errors, of few members each, towards what all "
                            "mutants of a mark have (default: %(default)s)")
    group.add_argument("--uncertainty", choices=("instrument", "members", "combined", "cross_fitted"),
                       default="instrument",
                       help="intervals from the estimator, from the spread of the estimates that each member's own "
                            "effects give, or from both; cross_fitted: from the members, each with instruments that "
                            "the others chose (default: %(default)s)")
    group.add_argument("--spread_shrinkage", choices=("moderated", "none"), default="moderated",
                       help="moderated: draw the members' spread at a locus towards what the pair has at all loci; "
                            "takes every fit twice (default: %(default)s)")


def _add_fasta_of_estimate(command, with_loci):
    used = "genome of --intervals_file, and of the VCF" if with_loci else "genome of the VCF (default: that of predict)"
    command.add_argument("--fasta_file", metavar="FASTA", help=used)


def _add_aggregation(command):
    group = command.add_argument_group("global causal effects")
    group.add_argument("--tau2_method", choices=TAU2_METHODS, default="REML",
                       help="estimator of the variance between loci; the paper used DL (default: %(default)s)")


def _add_strata(command):
    group = command.add_argument_group("strata of loci: writes strata.tsv, strata_tests.tsv and strata.png as well "
                                       "(docs/strata.md)")
    group.add_argument("--strata", metavar="FILE",
                       help="table of covariates: a column locus, and columns of strata or of numbers")
    group.add_argument("--motifs", metavar="BED",
                       help="motif instances, named by mark: the distance of the nearest ones of exposure and outcome")
    group.add_argument("--annotate", nargs="+", metavar="BED", default=[], help="loci in and out of its intervals")
    group.add_argument("--bins", type=_numbers, metavar="A,B,C", help="edges of the strata of distances (default: "
                                                                      "0,35,70,150,1000) and of numbers of --strata")


def _add_output(command, metavar, help_text):
    command.add_argument("-o", "--output", required=True, metavar=metavar, help=help_text)


def _add_overwrite(command):
    command.add_argument("--overwrite", action="store_true", help="replace what another run wrote there")


def _names(text):
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name")
    return names


def _named_columns(text):
    name, equals, columns = text.partition("=")
    if not (name and equals and columns):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=COLUMN,COLUMN")
    return name, _names(columns)


def _window(text):
    start, colon, end = text.partition(":")
    if not (colon and start.isdecimal() and end.isdecimal() and int(start) < int(end)):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form START:END")
    return [int(start), int(end)]


_window.joined_by = ":"


def _setting(text):
    """NAME=VALUE, the value as JSON if it is that (a number, true), else as text."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _resource(text):
    name, _, amount = text.partition("=")
    try:
        return name, _positive_number(amount)
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=N, N above 0") from None


def _numbers(text):
    return [float(number) for number in text.split(",")]


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _count(text):
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def _not_negative(text):
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


def _strength(text):
    number = float(text)
    if not 0 <= number <= LARGEST_STRENGTH:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {LARGEST_STRENGTH:,}")
    return number


def _factors(text):
    try:
        numbers = [_strength(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between them") from None
    if len({f"{number:g}" for number in numbers}) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text} has a number twice")
    return numbers


def _rate(text):
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a rate from 0 to below 1")
    return number


def _positive_number(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _noise(text):
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return number
