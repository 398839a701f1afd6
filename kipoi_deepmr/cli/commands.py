"""One function a subcommand: from parsed arguments to pipeline calls."""

import os

from .. import pipeline
from ..errors import InputError
from ..models import Ensemble, parse_dataloader_args
from ..output.manifest import file_checksum
from . import summary


def run(arguments, command):
    """`run`: the three stages in a row."""
    ensemble, selection, details = _prepare(arguments, command)
    result = pipeline.run(
        ensemble, selection, arguments.output,
        predict_options={"ddof": arguments.ddof, "keep": arguments.keep},
        estimate_options=_estimate_options(arguments), aggregate_options={"tau2_method": arguments.tau2_method},
        details=details, overwrite=arguments.overwrite, quiet=arguments.quiet)
    _say(arguments, summary.of_loci(selection), summary.of_local(result.local), summary.of_global(result.global_),
         summary.of_files(arguments.output))


def predict(arguments, command):
    """`predict`: steps 1 to 4."""
    ensemble, selection, details = _prepare(arguments, command)
    pipeline.predict(ensemble, selection, arguments.output, ddof=arguments.ddof, keep=arguments.keep, details=details,
                     overwrite=arguments.overwrite, quiet=arguments.quiet)
    _say(arguments, summary.of_loci(selection))


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
    columns = arguments.member_columns and dict(arguments.member_columns)
    if columns and len(columns) < len(arguments.member_columns):
        raise InputError("--member_columns: two members of the same name")
    given = arguments.dataloader_args and parse_dataloader_args(arguments.dataloader_args)
    ensemble = Ensemble.from_kipoi(arguments.models, arguments.source, marks=arguments.marks, member_columns=columns,
                                   batch_size=arguments.batch_size)
    selection = pipeline.select_loci(ensemble, given, arguments.intervals_file, arguments.fasta_file, arguments.n_loci,
                                     arguments.seed)
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


def _estimate_options(arguments):
    return {"exposures": arguments.exposures, "outcomes": arguments.outcomes, "method": arguments.method,
            "instruments": arguments.instruments, "instrument_z": arguments.instrument_z, "vcf": arguments.vcf,
            "fasta_file": arguments.fasta_file}


def _say(arguments, *parts):
    if not arguments.quiet:
        print("\n\n".join(parts))
