"""What the subcommands take. Imports nothing heavy, so that `--help` answers at once."""

import argparse

from .. import __version__

# Written out, since importing them takes what `--help` need not wait for; a test compares them with the modules.
METHODS = ("egger", "ivw", "wald_mean")
TAU2_METHODS = ("REML", "DL", "PM", "ML", "HE", "HS", "SJ", "EB")

EXAMPLE = """\
example:
  %(prog)s run model/1 model/2 model/3 --source dir \\
      --dataloader_args '{"intervals_file": "loci.bed", "fasta_file": "genome.fa"}' -o OUT
"""


def make_parser(prog):
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLE,
        description="DeepMR: which marks does a trained sequence model believe cause which others?\n"
                    "Mendelian randomization on the in-silico mutants of a multi-task Kipoi model.")
    parser.add_argument("--version", action="version", version=f"kipoi_deepmr {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="{run,predict,estimate,aggregate}", required=True)

    run = _command(commands, "run", "predict, estimate and aggregate in a row, into one folder")
    _add_models(run)
    _add_loci(run)
    _add_prediction(run)
    _add_estimation(run)
    _add_fasta_of_estimate(run, with_loci=True)
    _add_aggregation(run)
    _add_output(run, "OUT", "folder to write: effects.zarr, instruments.vcf.gz, local.tsv, global.tsv, global.png, "
                            "run.json")
    _add_overwrite(run)

    predict = _command(commands, "predict", "effects of all single mutants of the loci (steps 1-4)")
    _add_models(predict)
    _add_loci(predict)
    _add_prediction(predict)
    _add_fasta_of_estimate(predict, with_loci=True)
    _add_output(predict, "EFFECTS.zarr", "store of effects to write")
    _add_overwrite(predict)

    estimate = _command(commands, "estimate", "instruments and local causal effects (steps 5-6)")
    estimate.add_argument("effects", metavar="EFFECTS.zarr", help="store that `predict` wrote")
    _add_estimation(estimate)
    _add_fasta_of_estimate(estimate, with_loci=False)
    _add_output(estimate, "LOCAL.tsv", "table to write; instruments.vcf.gz is written beside it")

    aggregate = _command(commands, "aggregate", "global causal effects: meta-analysis over loci (step 7)")
    aggregate.add_argument("local", metavar="LOCAL.tsv", help="table that `estimate` wrote")
    _add_aggregation(aggregate)
    _add_output(aggregate, "GLOBAL.tsv", "table to write; the figure is written beside it, ending in .png")
    return parser


def _command(commands, name, help_text):
    command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no summary")
    command.add_argument("--debug", action="store_true", help="show where an internal error arose")
    return command


def _add_models(command):
    group = command.add_argument_group("models: the members of one deep ensemble")
    group.add_argument("models", nargs="+", metavar="MODEL",
                       help="Kipoi models trained apart on the same marks; a directory each with --source dir")
    group.add_argument("--source", default="kipoi", help="Kipoi model source: kipoi (the zoo), dir, or one of "
                                                         "~/.kipoi/config.yaml (default: %(default)s)")
    group.add_argument("--member_columns", nargs="+", type=_member_columns, metavar="NAME=COL,COL",
                       help="for one MODEL with replicate columns: each member's columns, by number from 0 or label")
    group.add_argument("--marks", type=_names, metavar="A,B", help="marks to use (default: all)")
    group.add_argument("--batch_size", type=_positive, default=512, help="sequences in one call of a model "
                                                                         "(default: %(default)s)")


def _add_loci(command):
    group = command.add_argument_group("loci: from the model's own dataloader, or from BED and FASTA")
    group.add_argument("--dataloader_args", nargs="+", metavar="JSON",
                       help='arguments of the model\'s dataloader: JSON, a JSON file, or key=value items')
    group.add_argument("--intervals_file", metavar="BED", help="loci, each as long as the model's input; those on the "
                                                               "- strand are reverse-complemented")
    group.add_argument("--n_loci", type=_positive, help="use a random sample of so many (default: all)")
    group.add_argument("--seed", type=_seed, default=42, help="of the random sample (default: %(default)s)")


def _add_prediction(command):
    group = command.add_argument_group("effects")
    group.add_argument("--ddof", type=int, choices=(0, 1), default=1,
                       help="of the standard deviation over members (default: %(default)s)")
    group.add_argument("--keep", choices=("members", "summary"), default="members",
                       help="store every member's effects, or only mean and standard error (default: %(default)s)")


def _add_estimation(command):
    group = command.add_argument_group("local causal effects")
    group.add_argument("--exposures", type=_names, metavar="A,B", help="marks that may be causes (default: all)")
    group.add_argument("--outcomes", type=_names, metavar="A,B", help="marks that may be effects (default: all)")
    group.add_argument("--method", type=_names, default=["egger"], metavar="NAME,NAME",
                       help=f"estimators: {', '.join(METHODS)} (default: egger)")
    group.add_argument("--instruments", choices=("pooled", "own"), default="pooled",
                       help="a mutant is an instrument if its effect is large among all mutants of all loci (pooled), "
                            "or large against its own standard error (own) (default: %(default)s)")
    group.add_argument("--instrument_z", type=_positive_number, default=3.0, metavar="Z",
                       help="how large, in standard deviations or standard errors (default: %(default)s)")
    group.add_argument("--vcf", choices=("instruments", "all", "none"), default="instruments",
                       help="which mutants the VCF holds (default: %(default)s)")


def _add_fasta_of_estimate(command, with_loci):
    used = "genome of --intervals_file, and of the VCF" if with_loci else "genome of the VCF (default: that of predict)"
    command.add_argument("--fasta_file", metavar="FASTA", help=used)


def _add_aggregation(command):
    group = command.add_argument_group("global causal effects")
    group.add_argument("--tau2_method", choices=TAU2_METHODS, default="REML",
                       help="estimator of the variance between loci; the paper used DL (default: %(default)s)")


def _add_output(command, metavar, help_text):
    command.add_argument("-o", "--output", required=True, metavar=metavar, help=help_text)


def _add_overwrite(command):
    command.add_argument("--overwrite", action="store_true", help="replace what another run wrote there")


def _names(text):
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name")
    return names


def _member_columns(text):
    name, equals, columns = text.partition("=")
    if not (name and equals and columns):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=COLUMN,COLUMN")
    return name, _names(columns)


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _positive_number(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _seed(text):
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number
