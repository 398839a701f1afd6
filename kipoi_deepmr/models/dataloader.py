"""A Kipoi model's own dataloader as a source of loci.

Kipoiseq's dataloaders fail silently in several ways (short arrays at contig ends, contigs renamed, letters other than
ACGT turned into zeros), so what they are asked for is checked before, and what they give afterwards.
"""

import os
import tempfile
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .. import dna
from ..errors import InputError, nearest
from ..files import escaped
from ..loci import (
    OVER_THE_END,
    OVER_THE_START,
    DroppedLocus,
    Genome,
    Locus,
    check_place,
    common_length,
    compare,
    read_bed,
    resized,
)
from .host.errors import ItemError
from .model import Model

if TYPE_CHECKING:
    from .kipoi_model import KipoiModel


def parse_dataloader_args(texts: list[str]) -> dict:
    """Arguments of `--dataloader_args`, in the three forms that Kipoi takes.

    Parameters
    ----------
    texts : list of str
        A JSON object, the path of a JSON file, or `key=value` items.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        Neither of the three.
    """
    from kipoi_utils.utils import parse_json_file_str_or_arglist

    try:
        parsed = parse_json_file_str_or_arglist(texts)
    except Exception as error:
        raise InputError(f"--dataloader_args {' '.join(texts)}: neither JSON, a JSON file nor key=value items "
                         f"({error})") from error
    if not isinstance(parsed, dict):
        raise InputError(f"--dataloader_args {' '.join(texts)}: a JSON object is needed")
    return parsed


def arguments_for_bed(model: Model, intervals_file: str, fasta_file: str) -> dict:
    """Arguments that make a model's own dataloader read a BED and a FASTA file, strands included.

    Raises
    ------
    InputError
        Its dataloader does not take the two.
    """
    described = model.describe()
    taken = described.dataloader["arguments"] if described.dataloader else {}
    if not {"intervals_file", "fasta_file"} <= set(taken):
        raise InputError(f"model {described.name} needs more than DNA, and its dataloader does not take intervals_file "
                         "and fasta_file: give --dataloader_args instead of --intervals_file")
    arguments = {"intervals_file": intervals_file, "fasta_file": fasta_file}
    return {**arguments, "use_strand": True} if "use_strand" in taken else arguments


class DataloaderSource:
    """Loci given by a Kipoi model's own dataloader; indexing gives a `Locus` or raises `DroppedLocus`.

    Parameters
    ----------
    model : KipoiModel
    arguments : dict
        For the dataloader. An `intervals_file` is checked and handed on without comments or track lines.
    genome : Genome, optional
        By default the `fasta_file` among the arguments.
    resize : str, optional
        How intervals are resized, as `kipoi_deepmr.loci.resized` takes it.

    Attributes
    ----------
    arguments : dict
        As handed on.
    notes : tuple of str
        As those of `kipoi_deepmr.loci.Selection`.

    Raises
    ------
    InputError
        An argument is unknown or missing, a file is missing or malformed, or the dataloader cannot be opened.
    """

    def __init__(self, model: "KipoiModel", arguments: Mapping, genome: Genome | None = None,
                 resize: str | None = None):
        described = model.describe()
        self._model, self._name, self._length = model, described.name, described.length
        self._needs_item = described.needs_item
        _check_arguments(described, arguments)
        self._settings = {**described.dataloader["defaults"], **arguments}
        fasta = arguments.get("fasta_file")
        self._opened = Genome(fasta) if fasta and genome is None else None
        self._genome = genome or self._opened
        self._intervals = None  # of Kipoiseq's dataloaders, which give one locus an interval
        self._resize, self.notes = resize, ()
        self._folder = tempfile.TemporaryDirectory()  # for the dataloader, as long as it lives
        self.arguments = dict(arguments)
        try:
            if "intervals_file" in arguments:
                self.arguments.update(self._intervals_arguments(described.dataloader, arguments["intervals_file"]))
            self._n_items = model.open_loci(self.arguments)
        except BaseException:
            self.close()
            raise
        self._length = self._length or model.describe().length
        self._needs_item = model.describe().needs_item

    def close(self) -> None:
        """Close the genome, if it was opened here; the model still has its dataloader."""
        if self._opened:
            self._opened.close()

    def __enter__(self) -> "DataloaderSource":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _intervals_arguments(self, dataloader, path):
        """Arguments that hand the intervals on as a checked copy without comments and track lines."""
        copy = os.path.join(self._folder.name, "intervals.bed")
        if not dataloader["is_kipoiseq"]:
            if self._resize not in (None, "none"):
                raise InputError(f"--resize {self._resize}: the dataloader of model {self._name} is one of its own, "
                                 "which takes intervals as they are")
            _write_bed(copy, [(i, i.rest) for i in read_bed(path)])
            return {"intervals_file": copy}
        self._intervals = intervals = self._of_one_length(read_bed(path, below_zero=True), path)
        stranded = self._settings.get("use_strand")
        _write_bed(copy, [(i, (i.name, "0", i.strand) if stranded else ()) for i in intervals])
        # Kipoiseq prepends "chr" to every contig when the first lacks it, unless told otherwise: names stay as they are
        return {"num_chr_fasta": not intervals[0].chrom.startswith("chr"), "intervals_file": copy}

    def _of_one_length(self, intervals, path):
        """The intervals that the dataloader gets; those that it resizes itself as they are."""
        notes = compare(intervals, path, self._genome) if self._genome else []
        own = self._settings.get("auto_resize_len")
        if self._length is None:
            self._length = int(own) if own else common_length(intervals, path)
        if own and int(own) != self._length:
            raise InputError(f"the dataloader resizes intervals to auto_resize_len = {own} bases, "
                             f"but model {self._name} takes {self._length}")
        if own and self._resize:
            raise InputError(f"--resize {self._resize}: the dataloader resizes intervals itself (auto_resize_len)")
        if not own:
            intervals, note = resized(intervals, self._length, path, self._resize)
            notes = [note] * bool(note) + notes
        self.notes = tuple(notes)
        return intervals

    def __len__(self) -> int:
        return self._n_items

    def __getitem__(self, index: int) -> Locus:
        index = int(index)
        interval = self._intervals[index] if self._intervals else None
        if interval:
            self._check_place(self._resized(interval))
        name = interval.name if interval else None
        try:
            locus = self._model.locus(index)
        except ItemError as error:
            raise DroppedLocus(name or f"number {index + 1}", str(error)) from error
        return self._locus(locus["ranges"], locus["sequence"], name, index)

    def _check_place(self, interval):
        if self._genome:
            check_place(interval, self._genome)
        elif interval.start < 0:
            raise DroppedLocus(interval.name, OVER_THE_START)

    def _resized(self, interval):
        if not self._settings.get("auto_resize_len"):
            return interval
        from kipoiseq.transforms.functional import resize_interval

        bounds = resize_interval(SimpleNamespace(start=interval.start, end=interval.end), self._length)
        return interval._replace(start=bounds.start, end=bounds.end)

    def _locus(self, ranges, sequence, name, index):
        chrom, start, end = ranges["chr"], ranges["start"], ranges["end"]
        name = name or escaped(_given_name(ranges) or "") or f"{chrom}:{start}-{end}"
        if len(sequence) < self._length:
            raise DroppedLocus(name, OVER_THE_END)
        if len(sequence) > self._length:
            raise InputError(f"{name}: the dataloader gives {len(sequence)} bases, but model {self._name} "
                             f"takes {self._length}")
        item = index if self._needs_item else -1
        return Locus(chrom, start, end, self._strand(sequence, ranges, name), name, sequence, item)

    def _strand(self, sequence, ranges, name):
        """The strand that the sequence is on: as the FASTA shows it, else as the dataloader says."""
        said = "-" if ranges["strand"] == "-" else "+"
        if self._genome is None:
            return said
        forward = self._genome.fetch(ranges["chr"], ranges["start"], ranges["end"])
        clear = ~dna.is_ambiguous(sequence)
        strands = {"+": forward, "-": dna.reverse_complement(forward)}
        for strand in (said, "-" if said == "+" else "+"):
            there = strands[strand]
            if len(there) == len(sequence) and (there[clear] == sequence[clear]).all():
                return strand
        raise InputError(f"{name}: the dataloader of model {self._name} gives another sequence than "
                         f"{self._genome.path} holds at {ranges['chr']}:{ranges['start']}-{ranges['end']}")


def _check_arguments(described, arguments):
    name = described.name
    if described.dataloader is None:
        raise InputError(f"model {name} has no dataloader; give --intervals_file and --fasta_file instead")
    taken = described.dataloader["arguments"]
    for key in arguments:
        if key not in taken:
            raise InputError(f'--dataloader_args: the dataloader of model {name} has no argument "{key}"'
                             + nearest(key, taken))
    needed = [key for key, is_optional in taken.items() if not is_optional and key not in arguments]
    if needed:
        raise InputError(f"--dataloader_args: the dataloader of model {name} needs {', '.join(needed)}")
    for key, value in arguments.items():
        if key.endswith("_file") and isinstance(value, str) and not os.path.exists(value):
            raise InputError(f"{value}: no such file ({key} in --dataloader_args)")


def _given_name(ranges):
    """The identifier among the ranges, unless it is a mere count."""
    return None if ranges["id"].isdigit() else ranges["id"]


def _write_bed(path, rows):
    """Write (interval, columns after the third) as a plain BED file.

    Starts below 0, which Kipoiseq cannot read, become 0: such loci are dropped before the dataloader is asked for them.
    """
    with open(path, "w", encoding="utf-8") as bed:
        for interval, rest in rows:
            start, end = max(interval.start, 0), max(interval.end, 1)
            bed.write("\t".join((interval.chrom, str(start), str(end), *rest)) + "\n")
