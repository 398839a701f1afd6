"""The subcommands and their parser, made from the declared options. Imports nothing heavy, so `--help` is fast."""

import argparse
import difflib
import sys
from typing import NamedTuple

from .. import __version__
from .. import options as o
from ..errors import InputError, listed, nearest, printable
from ..options.kinds import Flag, explained
from .examples import EXAMPLES, EXIT_CODES

# The paper's simulation compares several estimators, and chooses instruments by 2 standard deviations.
OF_SIMULATE = {"method": ("egger_robust", "egger", "ivw", "wald_mean", "median_weighted", "mode_weighted", "raps",
                          "ivw_correlated", "egger_correlated"),
               "instruments": "pooled", "instrument_z": 2.0, "se_shrinkage": "none", "uncertainty": "instrument"}


class Argument(NamedTuple):
    """What a subcommand reads or writes."""

    name: str
    metavar: str
    help: str


class Command(NamedTuple):
    """A subcommand: what it does, its options, what it reads and writes; defaults in place of the options' own; which
    arguments may be left out; which ones `--help` shows, if not all; options of its classes that it has no use for."""

    help: str
    options: tuple = ()
    reads: Argument | None = None
    writes: Argument | None = None
    defaults: dict = {}
    may_lack: tuple = ()
    basics: tuple = ()
    without: tuple = ()


LOCI_AND_MODELS = ("models", "module", "intervals_file", "fasta_file", "marks", "n_loci")
FOLDER = Argument("folder", "OUT", "folder that `run` wrote")


def _output(metavar, help_text):
    return Argument("output", metavar, help_text)


FIGURE = _output("FIGURE", "file to write: .png, .pdf or .svg")
COMMANDS = {
    "example": Command("copy an ensemble whose causal effect is known, to try things on",
                       writes=_output("FOLDER", "folder to make")),
    "check": Command("whether models are fit for DeepMR, how they are read, and what a run costs",
                     (o.ModelOptions, o.EngineOptions, o.LociOptions, o.MutantOptions), basics=LOCI_AND_MODELS),
    "init": Command("Kipoi directories of your networks' files, for sharing", (o.ModelOptions,),
                    Argument("folder", "FOLDER", "folder to write, with a Kipoi directory for each network"),
                    without=("stack", "member_columns", "mc_dropout", "augment", "scale", "mark_groups",
                             "mark_groups_by")),
    "calibrate": Command(
        "calibrate the members' spread by sequences with observed values",
        (o.ModelOptions, o.LociOptions, o.CalibrateOptions), without=("mutate",),
        writes=_output("CALIBRATION.json", "file to write, for --calibration; the reliability curves are drawn beside "
                                           "it, ending in .png")),
    "run": Command(
        "predict, estimate and aggregate in a row, into one folder",
        (o.ModelOptions, o.PredictOptions, o.LociOptions, o.MutantOptions, o.PredictClusterOptions, o.EstimateOptions,
         o.AggregateOptions, o.NetworkOptions, o.RunOptions, o.TableOptions),
        may_lack=("models",), basics=(*LOCI_AND_MODELS, "preset", "output"),
        writes=_output("OUT", "folder to write: effects.zarr, instruments.vcf.gz, local.tsv, diagnostics.tsv, "
                              "diagnostics_by_pair.tsv, global.tsv, global.png, run.json, report.html")),
    "predict": Command(
        "effects of the mutants of the loci (steps 1-4)",
        (o.ModelOptions, o.PredictOptions, o.LociOptions, o.MutantOptions, o.PredictClusterOptions,
         o.OverwriteOptions),
        basics=(*LOCI_AND_MODELS, "output", "overwrite"),
        writes=_output("EFFECTS.zarr", "store of effects to write")),
    "estimate": Command(
        "instruments and local causal effects (steps 5-6)", (o.EstimateOptions, o.ClusterOptions, o.TableOptions),
        Argument("effects", "EFFECTS.zarr", "store that `predict` wrote"),
        _output("LOCAL.tsv", "table to write, with LOCAL.diagnostics.tsv, LOCAL.diagnostics_by_pair.tsv and "
                             "LOCAL.vcf.gz beside it; -: the table alone, to standard output")),
    "aggregate": Command(
        "global causal effects: meta-analysis over loci (step 7)",
        (o.EffectsOptions, o.NetworkOptions, o.StrataOptions, o.TableOptions),
        Argument("local", "LOCAL.tsv", "table that `estimate` wrote"),
        _output("GLOBAL.tsv", "table to write, with the figure GLOBAL.png and the files of the network, "
                              "GLOBAL.network.*, beside it; -: the table alone, to standard output")),
    "network": Command(
        "the causal network of the marks: direct effects, a graph, a verdict for every pair",
        (o.NetworkOptions, o.ClusterOptions, o.TableOptions),
        Argument("effects", "OUT|EFFECTS.zarr", "folder that `run` wrote, or store that `predict` wrote"),
        _output("NETWORK.tsv", "table of pairs to write, with NETWORK.marks.tsv, NETWORK.graphml, NETWORK.json "
                               "(Cytoscape) and NETWORK.png beside it; -: the table alone, to standard output")),
    "report": Command("report.html of a run: tables and charts in one file that needs no network",
                      reads=Argument("folder", "OUT", "folder that `run` wrote; report.html is written into it")),
    "table": Command(
        "print any part of the local effects of a run, as a table", (o.PartOptions, o.TableOptions),
        Argument("local", "OUT|LOCAL.tsv", "folder that `run` wrote, or table that `estimate` wrote; the array of "
                                           "local effects is read, where there is one"),
        _output("PART.tsv", "table to write; .parquet: as Parquet (default: standard output)"), may_lack=("output",)),
    "shape": Command(
        "the shape of an effect: a line, saturating or with a threshold, and whether it depends on the locus",
        (o.ShapeOptions, o.TableOptions), FOLDER,
        _output("SHAPE.tsv", "table to write, with SHAPE.loci.tsv, SHAPE.curve.tsv, SHAPE.state.tsv and SHAPE.png "
                             "beside it; -: the table alone, to standard output")),
    "interaction": Command(
        "whether the effects of two regions of a locus add up: independent, cooperative or redundant",
        (o.InteractionOptions, o.TableOptions),
        Argument("effects", "OUT|EFFECTS.zarr", "folder that `run` wrote, or store that `predict` wrote, with "
                                                "--mutants regions,pairs"),
        _output("INTERACTION.tsv", "table to write, with INTERACTION.loci.tsv and INTERACTION.png beside it; -: the "
                                   "table alone, to standard output")),
    "annotate": Command(
        "your VCF with a run's effects, instruments and causal effects in INFO", (o.AnnotateOptions,), FOLDER,
        _output("OUT.vcf.gz", "file to write: .vcf.gz (with an index where the records are sorted) or .vcf; -: "
                              "standard output")),
    "tracks": Command(
        "tracks for genome browsers: effects and instruments of each mark, and an IGV session", (o.TracksOptions,),
        Argument("effects", "OUT|EFFECTS.zarr", "folder that `run` wrote, or store that `predict` wrote, which has no "
                                                "instruments"),
        _output("FOLDER", "folder to make: MARK.effects.bedGraph, MARK.effects.bw, MARK.instruments.bed, "
                          "igv_session.xml")),
    "simulate": Command(
        "the paper's simulation: train, estimate, score against known effects",
        (o.RoundOptions, o.EstimatorOptions, o.LeverOptions, o.AggregateOptions), defaults=OF_SIMULATE,
        writes=_output("FOLDER", "folder of rounds and analyses; what it holds already is kept and completed")),
}
FIGURES = {
    "global": Command("global effects with their intervals (the paper's Fig 3)", (o.GlobalFigureOptions,),
                      Argument("table", "OUT|GLOBAL.tsv", "folder or table that `run` or `aggregate` wrote"), FIGURE),
    "spacing": Command("heat map of global effects within strata (the paper's S1 Fig)", (o.SpacingFigureOptions,),
                       Argument("table", "OUT|STRATA.tsv", "folder that `run` wrote, or table that `aggregate` wrote"),
                       FIGURE),
    "network": Command("graph of direct effects, or a heat map beyond 40 marks",
                       reads=Argument("table", "OUT|NETWORK.tsv", "folder or table that `run` or `network` wrote"),
                       writes=FIGURE),
    "heatmap": Command("heat map of all pairs, marks that behave alike side by side", (o.HeatmapFigureOptions,),
                       Argument("table", "OUT|TABLE.tsv", "folder that `run` wrote, table of a network, or table of "
                                                          "global effects"), FIGURE),
    "simulation": Command("true against estimated effects, and coverage (the paper's Fig 2)",
                          reads=Argument("table", "ROUNDS.tsv", "table that `simulate` wrote"), writes=FIGURE),
    "forest": Command("effects of one mark on another at each locus, and over all", (o.ForestFigureOptions,), FOLDER,
                      FIGURE),
    "local": Command("instruments of one locus and pair, and the fitted lines", (o.LocusFigureOptions,), FOLDER,
                     FIGURE),
    "tracks": Command("effects on both marks along one locus, as letters", (o.TracksFigureOptions,), FOLDER, FIGURE),
}
FIGURES = {name: command._replace(options=(*command.options, o.StyleOptions)) for name, command in FIGURES.items()}
NEAR = 0.6  # of names of options: what share of their letters is the same
SHELLS = ("bash", "zsh", "tcsh")


class Parser(argparse.ArgumentParser):
    """A parser in whose options - and _ are the same, and which suggests the nearest name for a wrong one.

    Attributes
    ----------
    basics : tuple of str
        Options that `--help` shows; the others only `--help_all`. Empty: it shows all.
    """

    basics = ()

    def print_help(self, file=None):
        """Print the help that `--help` asks for; `format_help` has all options."""
        self._print_message(self._format_basics() if self.basics else self.format_help(), file or sys.stdout)

    def _format_basics(self):
        shown = sorted((action for action in self._actions if action.dest in self.basics),
                       key=lambda action: self.basics.index(action.dest))
        formatter = self._get_formatter()
        formatter.add_usage(None, shown, ())
        formatter.add_text(self.description)
        formatter.start_section("what most runs need")
        formatter.add_arguments(shown)
        formatter.end_section()
        formatter.add_text(f"all options: {self.prog} --help-all")
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def parse_known_args(self, args=None, namespace=None):
        words = [_with_underscores(word) for word in args] if "--" not in args else [
            *map(_with_underscores, args[:args.index("--")]), *args[args.index("--"):]]
        if not subcommands(self):
            self._refuse_unknown(words)
        return super().parse_known_args(words, namespace)

    def _print_message(self, message, file=None):
        """argparse's own says nothing of a disk that is full."""
        if message:
            print(printable(message), end="", file=file or sys.stderr, flush=True)

    def _refuse_unknown(self, words):
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for word in words:
            name = word.partition("=")[0]
            if name == "--":
                return
            if name.startswith("--") and " " not in name and not any(each.startswith(name) for each in known):
                self.error(f"unknown option {name}{_of_others(name) or _near(name, known)}")

    def _check_value(self, action, value):
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            raise argparse.ArgumentError(None, f"unknown command {value!r}{nearest(value, action.choices)}")
        super()._check_value(action, value)


def _of_others(name):
    """A hint that an option is one of other commands; empty if it is none of any."""
    every = {**COMMANDS, **{f"plot {figure}": command for figure, command in FIGURES.items()}}
    commands = [called for called, command in every.items() if name[2:] in _names(command)]
    return f"; it is one of {listed(commands)}" if commands else ""


def _names(command):
    return {each.name for options in command.options for each in options.declared()} - set(command.without)


def _near(name, known):
    """The hint of `nearest`, but only where a name is near: of many options, one is always a little like another."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
    return nearest(name, near) if near else "; --help lists those that there are"


class _HelpAll(argparse.Action):
    """Print every option, and end."""

    def __call__(self, parser, *_):
        parser._print_message(parser.format_help(), sys.stdout)
        parser.exit()


def _with_underscores(word):
    """A word of the command line; in the name of a long option _ for -."""
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") and " " not in name else word


def subcommands(parser):
    """Parsers of a parser's subcommands, by name."""
    return next((action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)), {})


def make_parser(prog):
    """The parser of all subcommands."""
    return add_commands(Parser(prog=prog))


def add_commands(parser):
    """Make the parser of all subcommands of an empty one, and return it."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = ("DeepMR: which marks does a trained sequence model believe cause which others?\n"
                          "Mendelian randomization on the in-silico mutants of a multi-task Kipoi model.")
    parser.epilog = f"{EXAMPLES['']}\n\n{EXIT_CODES}"
    parser.add_argument("--version", action="version", version=f"kipoi_deepmr {__version__}")
    parser.set_defaults(verbose=False, debug=False, from_file=())
    commands = parser.add_subparsers(dest="command", title="commands (each has its own --help)", metavar="COMMAND",
                                     required=True, parser_class=Parser)
    for name, command in COMMANDS.items():
        _add_command(commands, name, command)
    completion = commands.add_parser("completion", help="print a script with which a shell completes our options")
    _describe(completion, "completion", "Print a script with which a shell completes our commands and options.")
    completion.add_argument("shell", choices=SHELLS, help="whose script to print")
    plot = commands.add_parser("plot", help="a figure for a paper: PNG, PDF or SVG",
                               description="Draw a figure. The file extension sets the format.")
    figures = plot.add_subparsers(dest="figure", metavar=f"{{{','.join(FIGURES)}}}", required=True, parser_class=Parser)
    for name, command in FIGURES.items():
        _add_command(figures, name, command, "plot ")
    return parser


def check_together(arguments):
    """Check all options of a command together, before anything is read.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    list of str
        What to say of options that have no effect and are not refused.

    Raises
    ------
    InputError
        Options do not go together, or one of them has no effect with the others.
    """
    command = FIGURES[arguments.figure] if arguments.command == "plot" else COMMANDS.get(arguments.command, Command(""))
    defaults = defaults_of(arguments)
    values = {name: value for name, value in vars(arguments).items() if value != []}  # as of a MODEL that may lack
    notes, dropped = o.without_effect(command.options, values, defaults, arguments.from_file)
    for name in dropped:
        values[name] = None
        setattr(arguments, name, None)
    _check_each(command.options, values, defaults, arguments)
    return list(notes.values())


def _check_each(classes, values, defaults, arguments):
    """Check the options of each class; an error names the one that stands in a file and makes it, if one does."""
    for options in classes:
        try:
            options.among(values, **defaults)
        except InputError as error:
            for name in sorted(set(arguments.from_file) & set(options.names())):
                if _goes(options, {**values, name: None}, defaults):
                    raise InputError(f"{error} (--{name} stands in {arguments.config}: change it there, or give it on "
                                     "the command line)") from error
            raise


def _goes(options, values, defaults):
    try:
        return bool(options.among(values, **defaults))
    except InputError:
        return False


def defaults_of(arguments):
    """Defaults of a command that stand in for those of its options."""
    if arguments.command == "simulate" and arguments.graph:
        return {}
    return COMMANDS[arguments.command].defaults if arguments.command in COMMANDS else {}


def _add_command(commands, name, command, before=""):
    parser = commands.add_parser(name, help=command.help)
    _describe(parser, before + name, f"{command.help[0].upper()}{command.help[1:]}.")
    if command.basics:
        parser.basics = command.basics
        parser.add_argument("--help_all", action=_HelpAll, nargs=0, dest=argparse.SUPPRESS, default=argparse.SUPPRESS,
                            help="show all options and exit")
    if command.reads:
        parser.add_argument(command.reads.name, metavar=command.reads.metavar, help=command.reads.help)
    _add_options(parser, command)
    if command.writes:
        parser.add_argument("-o", "--output", required="output" not in command.may_lack,
                            metavar=command.writes.metavar, help=command.writes.help)
    parser.add_argument("--config", metavar="FILE", help="options from a YAML or JSON file, or from a run's run.json; "
                                                         "those on the command line win")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no summary")
    loudness.add_argument("-v", "--verbose", action="store_true", help="log each step to standard error")
    parser.add_argument("--debug", action="store_true", help="show where an internal error arose")


def _add_options(parser, command):
    """The options of a subcommand's classes, in groups; one that two classes have is one option, for both."""
    groups, exclusive, added = {}, {}, set(command.without)
    for each in (each for options in command.options for each in options.declared()):
        if each.name in added:
            continue
        added.add(each.name)
        group = parser if not each.option.group else groups.get(each.option.group) or groups.setdefault(
            each.option.group, parser.add_argument_group(each.option.group))
        if each.option.excludes:
            key = group, each.option.excludes
            group = exclusive[key] if key in exclusive else exclusive.setdefault(
                key, group.add_mutually_exclusive_group())
        if each.name in command.defaults:
            plain = each.option._replace(presets=None, default_text="")
            each = each._replace(default=command.defaults[each.name], option=plain)
        _add_option(group, each, each.name in command.may_lack)


def _add_option(group, declared, may_lack=False):
    """One option. Without it on the command line its value is None, and its class has the default."""
    option, kind = declared.option, declared.option.kind
    default = f" (default: {declared.default_text})".replace("%", "%%") if declared.default_text else ""
    how = {"help": option.help.replace("%", "%%") + default, "default": None}
    if isinstance(kind, Flag):
        group.add_argument(f"--{declared.name}", action="store_const", const=True, **how)
        return
    how.update(metavar=kind.metavar, choices=kind.choices, type=None if kind.plain else _converter(kind))
    if kind.several:
        how["nargs"] = "*" if may_lack else "+"
    if option.positional:
        del how["default"]
        group.add_argument(declared.name, **how)
    else:
        group.add_argument(f"--{declared.name}", required=option.required, **how)


def _converter(kind):
    """The function by which argparse makes a value of a word."""
    def convert(text):
        try:
            return kind.of_text(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(explained(text, error)) from None

    convert.join = kind.join
    return convert


def _describe(command, name, description):
    command.description, command.epilog = description, EXAMPLES.get(name)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
