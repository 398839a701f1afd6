"""One function a subcommand: from parsed arguments to pipeline calls."""

import os

from .. import pipeline
from ..models import parse_dataloader_args
from ..models.check import measure, random_sequences
from ..output.manifest import file_checksum
from . import summary
from .models import load_ensemble

LOCI_OF_CHECK = 1000


def check(arguments, command):
    """`check`: how the models are read, what a run costs, whether they are fit; exit code 1 if not."""
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    with load_ensemble(arguments, given, strict=False) as ensemble:
        selection, of_what, item = None, "a random sequence", None
        if given or arguments.intervals_file:
            selection = _select(arguments, ensemble, given)
            sequence, item = selection.loci.sequences[0], int(selection.loci.item[0])
            of_what = f"locus {selection.loci.name[0]}"
        else:
            sequence = random_sequences(1, ensemble.length)[0]
        measured = measure(ensemble, sequence, None if item == -1 else item, arguments.batch_size)
    n_loci = len(selection.loci) if selection else arguments.n_loci or LOCI_OF_CHECK
    _say(arguments, summary.of_models(ensemble), summary.of_loci(selection) if selection else "",
         summary.of_reference(ensemble, measured, of_what), summary.of_cost(ensemble, measured, n_loci),
         summary.of_caution(ensemble), summary.of_fitness(measured))
    return int(bool(measured.problems))


def run(arguments, command):
    """`run`: the three stages in a row."""
    ensemble, selection, details = _prepare(arguments, command)
    with ensemble:
        result = pipeline.run(
            ensemble, selection, arguments.output,
            predict_options={"ddof": arguments.ddof, "keep": arguments.keep},
            estimate_options=_estimate_options(arguments), aggregate_options={"tau2_method": arguments.tau2_method},
            details=details, overwrite=arguments.overwrite, quiet=arguments.quiet)
    _say(arguments, summary.of_loci(selection), summary.of_local(result.local), summary.of_global(result.global_),
         summary.of_caution(ensemble), summary.of_files(arguments.output))


def predict(arguments, command):
    """`predict`: steps 1 to 4."""
    ensemble, selection, details = _prepare(arguments, command)
    with ensemble:
        pipeline.predict(ensemble, selection, arguments.output, ddof=arguments.ddof, keep=arguments.keep,
                         details=details, overwrite=arguments.overwrite, quiet=arguments.quiet)
    _say(arguments, summary.of_loci(selection), summary.of_caution(ensemble))


def estimate(arguments, command):
    """`estimate`: steps 5 and 6."""
    local = pipeline.estimate(arguments.effects, arguments.output, **_estimate_options(arguments))
    _say(arguments, summary.of_local(local))


def aggregate(arguments, command):
    """`aggregate`: step 7."""
    _say(arguments, summary.of_global(pipeline.aggregate(arguments.local, arguments.output,
                                                         tau2_method=arguments.tau2_method)))


def _prepare(arguments, command):
    """The ensemble, its loci, and what the store and run.json tell of where they came from."""
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    ensemble = load_ensemble(arguments, given)
    selection = _select(arguments, ensemble, given)
    bed = arguments.intervals_file or (given or {}).get("intervals_file")
    fasta = arguments.fasta_file or (given or {}).get("fasta_file")
    details = {
        "command": command,
        "directory": os.getcwd(),
        "arguments": {key: value for key, value in vars(arguments).items() if key not in ("command", "quiet", "debug")},
        "intervals_sha256": file_checksum(bed) if bed else None,
        "fasta_file": fasta and os.path.abspath(fasta),
    }
    return ensemble, selection, details


def _select(arguments, ensemble, dataloader_args):
    return pipeline.select_loci(ensemble, dataloader_args, arguments.intervals_file, arguments.fasta_file,
                                arguments.n_loci, arguments.seed)


def _estimate_options(arguments):
    return {"exposures": arguments.exposures, "outcomes": arguments.outcomes, "method": arguments.method,
            "instruments": arguments.instruments, "instrument_z": arguments.instrument_z,
            "se_shrinkage": arguments.se_shrinkage, "uncertainty": arguments.uncertainty,
            "method_args": dict(arguments.method_args or ()), "diagnostics": arguments.diagnostics,
            "vcf": arguments.vcf, "fasta_file": arguments.fasta_file}


def _say(arguments, *parts):
    if not arguments.quiet:
        print("\n\n".join(filter(None, parts)))
