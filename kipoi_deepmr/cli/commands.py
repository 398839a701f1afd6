"""One function a subcommand: from parsed arguments to pipeline calls."""

import contextlib
import hashlib
import logging
import os
import shlex
import sys
from functools import partial

from tqdm import tqdm

from .. import options as o
from .. import pipeline
from ..effects_store import each_block, open_effects
from ..errors import InputError, printable
from ..files import STDOUT, is_stream
from ..loci import content_of
from ..models import parse_dataloader_args
from ..models.settings import columns_of_marks
from ..models.sharing import write_kipoi_models
from ..mutagenesis import agreement, engines
from ..mutagenesis.check import measure, random_sequences
from ..output.tables import check_format, ending_of, write_table
from ..output.tracks import SESSION
from ..pipeline.announcement import announce_report
from ..pipeline.estimation import members_of
from ..pipeline.progress import alone, working
from ..report import write_report
from ..runs.outputs import DIAGNOSTICS, Target, stored, writing
from . import streams, summary
from .annotate import ensemble_of_run, natural_variants_of, of_annotation, of_natural_variants
from .calibrate import calibration_of, inputs_of_calibration
from .example import copy_example
from .local_summary import LocalCounts, of_kinds, of_local, of_pairs
from .models import load_ensemble
from .parser import COMMANDS
from .plots import figure_of
from .simulate import simulate  # noqa: F401, called by name as the others
from .tables import fitted, said

log = logging.getLogger(__name__)

LOCI_OF_CHECK = 1000
HOW_TO_TALK = ("command", "config", "from_file", "quiet", "verbose", "debug")  # not what a run is made of


def example(arguments, command):
    """`example`: a copy of the example ensemble."""
    _say(arguments, copy_example(arguments))


def check(arguments, command):
    """`check`: how the models are read, what a run costs, whether they are fit; exit code 1 if not."""
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    with _steps(arguments.quiet) as now, load_ensemble(arguments, given, strict=False) as ensemble:
        selection, of_what, item = None, "a random sequence", None
        if given or arguments.intervals_file:
            selection = _select(arguments, ensemble, given)
            sequence, item = selection.loci.sequences[0], selection.loci.item_of(0)
            of_what = f"locus {selection.loci.name[0]}"
        else:
            sequence = random_sequences(1, ensemble.length)[0]
        engine = o.EngineOptions.among(arguments).engine
        now("trying engines")
        chosen = engines.choose(ensemble, engine, selection and selection.loci, arguments.quiet,
                                tried=lambda k, n: now(f"tried the engine of model {k} of {n}"))
        now("measuring speed")
        measured = measure(chosen, sequence, item)
    n_loci = len(selection.loci) if selection else arguments.n_loci or LOCI_OF_CHECK
    what = "sequences" if selection and selection.loci.plan else "mutants"
    if selection:
        measured = measured._replace(mutants_per_locus=selection.loci.sequences_per_locus)
    fitness = summary.of_fitness(measured)
    _say(arguments, summary.of_models(ensemble), summary.of_selection(selection) if selection else "",
         summary.of_reference(ensemble, measured, of_what), summary.of_engines(chosen),
         summary.of_cost(ensemble, measured, n_loci, what), summary.of_approximation(chosen.agreement),
         summary.of_caution(ensemble), fitness,
         "" if measured.problems else summary.of_next_step(command, selection is not None))
    if measured.problems and arguments.quiet:
        print(printable(fitness), file=sys.stderr)
    return int(bool(measured.problems))


@contextlib.contextmanager
def _steps(quiet):
    """A line of standard error that says what is being done, by a function of its text, unless it takes no time."""
    if not sys.stderr.isatty():
        with working("check", quiet) as doing:
            yield partial(setattr, doing, "text")
        return
    with alone(), tqdm(desc="check: loading models", bar_format="{desc} [{elapsed}]", disable=quiet,
                       leave=False) as line:
        def now(text):
            line.set_description_str(f"check: {text}", refresh=False)
            line.update()

        yield now


def init(arguments, command):
    """`init`: networks' files as Kipoi directories."""
    with load_ensemble(arguments, strict=False) as ensemble:
        written = write_kipoi_models(arguments.folder, ensemble)
    pattern = os.path.join(arguments.folder, "*")
    _say(arguments, "\n".join(f"written: {folder}" for folder in written),
         f"Say who made them in each model.yaml. Use them by:\n  kipoi deepmr check {shlex.quote(pattern)}")


def calibrate(arguments, command):
    """`calibrate`: from observed values to a calibration file."""
    streams.refuse_stream(arguments, "a file and a figure")
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    target = Target("calibrate", arguments.output)
    with writing("calibrate", target, inputs_of_calibration(arguments)) as files:
        with load_ensemble(arguments, given) as ensemble:
            found = calibration_of(arguments, ensemble, partial(_select, arguments, ensemble, given),
                                   {"command": command, "directory": os.getcwd()}, files)
    _say(arguments, found, f"written: {', '.join(target.paths)}")


def run(arguments, command):
    """`run`: the three stages in a row."""
    streams.refuse_stream(arguments, "a folder")
    ending_of(o.TableOptions.among(arguments).format)
    if arguments.effects:
        _run_again(arguments, command)
    elif arguments.models:
        _run_models(arguments, command)
    else:
        raise InputError("run needs MODEL, or the effects of an earlier run: --effects EFFECTS.zarr")


def _run_models(arguments, command):
    with _prepared(arguments, command) as (ensemble, selection, details), _cluster(arguments) as cluster:
        estimate_options, counts = o.EstimateOptions.among(arguments), LocalCounts()
        natural = natural_variants_of(estimate_options, loci=selection.loci)
        result = pipeline.run(
            ensemble, selection, arguments.output,
            predict_options=o.PredictOptions.among(arguments), estimate_options=estimate_options,
            aggregate_options=o.AggregateOptions.among(arguments),
            network_options=o.NetworkOptions.among(arguments), variants=natural, details=details,
            overwrite=bool(arguments.overwrite), quiet=arguments.quiet, cluster=cluster, each=counts.add,
            report=not arguments.no_report, table_format=o.TableOptions.among(arguments).format)
    rule = _rule(estimate_options, len(ensemble.names), o.PredictOptions.among(arguments).keep)
    _say_briefly(arguments, *_of_effects(result.global_, stored(os.path.join(arguments.output, "global.tsv"))),
                 summary.of_selection(selection, result.dropped), of_natural_variants(natural), of_local(counts, rule),
                 _of_agreement(result.agreement), summary.of_caution(ensemble), summary.of_files(arguments.output))


def _run_again(arguments, command):
    """`run --effects`: all that follows the predictions."""
    options, counts = o.EstimateOptions.among(arguments), LocalCounts()
    natural = natural_variants_of(options, arguments.effects)
    with _cluster(arguments) as cluster:
        result = pipeline.run_again(
            arguments.effects, arguments.output, estimate_options=options,
            aggregate_options=o.AggregateOptions.among(arguments),
            network_options=o.NetworkOptions.among(arguments), variants=natural,
            details={"command": command, "directory": os.getcwd(), "arguments": _said(arguments)},
            overwrite=bool(arguments.overwrite), quiet=arguments.quiet, cluster=cluster, each=counts.add,
            report=not arguments.no_report, table_format=o.TableOptions.among(arguments).format)
    _say_briefly(arguments, *_of_effects(result.global_, stored(os.path.join(arguments.output, "global.tsv"))),
                 of_natural_variants(natural), of_local(counts, _rule_of(options, arguments.effects)),
                 _of_agreement(result.agreement), summary.of_files(arguments.output))


def _of_effects(table, where):
    """What global effects say: verdicts, what was left out, and how two instrument rules compare."""
    return (summary.of_global(table, where), summary.of_notes(table.attrs.get("notes")),
            summary.of_rules(table.attrs.get("rules")))


def _named(path):
    """The name of a file; empty for a stream, which has none."""
    return "" if is_stream(path) else path


def _of_file(path):
    return said(f"written: {path}" if _named(path) else "")


def _of_agreement(told):
    return said(agreement.sentence(told)) if told else None


def _rule(options, n_members, keep):
    """By which rule instruments were chosen of so many members' effects."""
    return options.for_members(n_members, keep)[0].instruments


def _rule_of(options, effects_path):
    return _rule(options, *members_of(open_effects(effects_path)))


def predict(arguments, command):
    """`predict`: steps 1 to 4."""
    streams.refuse_stream(arguments, "a store of many files")
    with _prepared(arguments, command) as (ensemble, selection, details), _cluster(arguments) as cluster:
        dropped = pipeline.predict(ensemble, selection, arguments.output, o.PredictOptions.among(arguments),
                                   details=details, overwrite=bool(arguments.overwrite), quiet=arguments.quiet,
                                   cluster=cluster)
        told = open_effects(arguments.output).attrs.get("approximation")
    _say_briefly(arguments, summary.of_selection(selection, dropped), _of_agreement(told), summary.of_caution(ensemble),
                 _of_file(arguments.output))


def estimate(arguments, command):
    """`estimate`: steps 5 and 6."""
    check_format(arguments.output, arguments.format)
    options, counts = o.EstimateOptions.among(arguments), LocalCounts()
    natural = natural_variants_of(options, arguments.effects)
    with _cluster(arguments) as cluster:
        pipeline.estimate(arguments.effects, arguments.output, options, variants=natural, each=counts.add,
                          cluster=cluster, quiet=arguments.quiet)
    by_pair = Target("estimate", arguments.output).beside.get(DIAGNOSTICS[1], "")
    _say_briefly(arguments, of_pairs(counts), of_kinds(by_pair), of_natural_variants(natural),
                 of_local(counts, _rule_of(options, arguments.effects)), _of_file(arguments.output))


def aggregate(arguments, command):
    """`aggregate`: step 7."""
    check_format(arguments.output, arguments.format)
    options, within = o.AggregateOptions.among(arguments), o.StrataOptions.among(arguments)
    if within.covariates_given:
        streams.refuse_stream(arguments, "tables of strata beside that of global effects")
    strata = pipeline.stratify(arguments.local, within, quiet=arguments.quiet) if within.covariates_given else None
    table = pipeline.aggregate(
        arguments.local, arguments.output, options, effects_path=arguments.effects,
        network_options=o.NetworkOptions.among(arguments), strata=strata,
        inputs=[within.strata, within.motifs, *(within.annotate or ()), arguments.config],
        quiet=arguments.quiet)
    _say_briefly(arguments, *_of_effects(table, _named(arguments.output)),
                 *((summary.of_strata(strata), summary.of_notes(strata.notes)) if strata else ()),
                 _of_file(arguments.output))


def network(arguments, command):
    """`network`: direct effects, a graph, verdicts."""
    check_format(arguments.output, arguments.format)
    with _cluster(arguments) as cluster:
        found = pipeline.network(arguments.effects, arguments.output, o.NetworkOptions.among(arguments),
                                 cluster=cluster, quiet=arguments.quiet)
    _say_briefly(arguments, summary.of_network(found, _named(arguments.output)), summary.of_marks(found),
                 _of_file(arguments.output))


def shape(arguments, command):
    """`shape`: the curve of one pair, and what its effect depends on."""
    check_format(arguments.output, arguments.format)
    found = pipeline.shape(arguments.folder, arguments.output, o.ShapeOptions.among(arguments), quiet=arguments.quiet)
    _say(arguments, fitted([summary.of_shape(found), summary.of_state(found)]))


def interaction(arguments, command):
    """`interaction`: whether the effects of two regions add up."""
    check_format(arguments.output, arguments.format)
    found = pipeline.interaction(arguments.effects, arguments.output, o.InteractionOptions.among(arguments),
                                 quiet=arguments.quiet)
    _say(arguments, fitted([summary.of_interactions(found, _named(arguments.output))]))


def annotate(arguments, command):
    """`annotate`: a VCF with what a run tells of its variants."""
    options = o.AnnotateOptions.among(arguments)
    with ensemble_of_run(arguments) as ensemble:
        result = pipeline.annotate(arguments.folder, options.input_vcf, arguments.output, options, ensemble=ensemble)
    _say(arguments, of_annotation(result))


def table(arguments, command):
    """`table`: a part of the local effects."""
    path = arguments.output or STDOUT
    check_format(path, arguments.format)
    found = pipeline.parts(arguments.local, o.PartOptions.among(arguments))
    with writing("table", path, [arguments.local]) as files:
        write_table(files.path, found)
    if arguments.output:
        _say(arguments, f"written: {arguments.output}")


def tracks(arguments, command):
    """`tracks`: bedGraph, bigWig, BED and an IGV session."""
    streams.refuse_stream(arguments, "a folder")
    options = o.TracksOptions.among(arguments)
    done = pipeline.tracks(arguments.effects, arguments.output, options, quiet=arguments.quiet)
    _say_briefly(arguments, summary.of_tracks(done, options.value), summary.of_notes(done.notes),
                 said(f"written to {arguments.output}; open {os.path.join(arguments.output, SESSION)} in IGV"))


def report(arguments, command):
    """`report`: the page of a finished run."""
    announce_report(arguments.folder, arguments.quiet)
    with working("report", arguments.quiet) as doing:
        path = write_report(arguments.folder, map_blocks=doing.counted(each_block))
    _say(arguments, f"written: {path}")


def plot(arguments, command):
    """`plot`: one figure."""
    streams.refuse_stream(arguments, "a file whose name tells its format")
    figure_of(arguments)
    _say(arguments, f"written: {arguments.output}")


@contextlib.contextmanager
def _prepared(arguments, command):
    """The ensemble, its loci, and what the store and run.json tell of where they came from."""
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    with load_ensemble(arguments, given) as ensemble:
        log.info("%s", summary.of_models(ensemble))
        selection = _select(arguments, ensemble, given)
        columns = columns_of_marks(o.ModelOptions.among(arguments))
        bed = arguments.intervals_file or (given or {}).get("intervals_file")
        yield ensemble, selection, {
            "command": command,
            "directory": os.getcwd(),
            "arguments": _arguments(arguments),
            "intervals_sha256": hashlib.sha256(content_of(bed)).hexdigest() if bed else None,
            **({"mark_columns": columns} if columns else {}),
        }


def _said(arguments):
    return {name: value for name, value in vars(arguments).items()
            if name not in HOW_TO_TALK and value is not None and value != []}


def _arguments(arguments):
    """What the command line said, as `--config` reads it: with the defaults of options that no preset decides."""
    said = _said(arguments)
    for each in (each for options in COMMANDS[arguments.command].options for each in options.declared()):
        if each.name not in said and not each.option.presets:
            said[each.name] = each.to_json(each.default)
    return {name: value for name, value in said.items()
            if value is not None and value is not False and value != {} and value != []}


def _cluster(arguments):
    """The Dask cluster that `--dask` or `--dask_scheduler_file` names, or nothing."""
    options = o.PredictClusterOptions.among(arguments)
    if not (options.dask or options.dask_scheduler_file):
        return contextlib.nullcontext()
    from ..cluster import Cluster

    return Cluster(options.dask, options.dask_scheduler_file, options.dask_tls_config, options.dask_resources)


def _select(arguments, ensemble, dataloader_args):
    options = o.LociOptions.among(arguments)
    selection = pipeline.select_loci(ensemble, dataloader_args, options.intervals_file, options.fasta_file,
                                     options.n_loci, options.seed, options.resize, options.mutate,
                                     o.MutantOptions.among(arguments))
    if not arguments.quiet:
        for note in selection.notes:
            print(printable(note), file=sys.stderr, flush=True)
    return selection


def _say_briefly(arguments, *parts):
    """What a stage says at its end, in at most 20 lines."""
    _say(arguments, fitted(parts))


def _say(arguments, *parts):
    if not arguments.quiet:
        text = printable("\n\n".join(str(part) for part in parts if part))
        print(text, file=streams.stream_of_messages(arguments), flush=True)
