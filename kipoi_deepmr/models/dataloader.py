"""A Kipoi model's own dataloader as a source of loci.

Kipoiseq's dataloaders fail silently in several ways (short arrays at contig ends, contigs renamed, letters other than
ACGT turned into zeros), so what they are asked for is checked before, and what they give afterwards.
"""

import inspect
import os
import tempfile
from types import SimpleNamespace

import numpy as np

from .. import dna
from ..errors import InputError, nearest, one_line
from ..loci import OVER_THE_END, DroppedLocus, Genome, Locus, check_lengths, read_bed


def parse_dataloader_args(texts):
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


def dataloader_defaults(model):
    """Default arguments of a Kipoi model's dataloader, those set in its model.yaml included."""
    from kipoi_utils.utils import default_kwargs

    return default_kwargs(model.default_dataloader) if model.default_dataloader else {}


class DataloaderSource:
    """Loci given by a Kipoi model's own dataloader; indexing gives a `Locus` or raises `DroppedLocus`.

    Parameters
    ----------
    model : Kipoi model
    name : str
        Of the model, for messages.
    length : int
        Bases that the model takes.
    arguments : dict
        For the dataloader. An `intervals_file` is checked and handed on without comments or track lines.
    genome : Genome, optional
        By default the `fasta_file` among the arguments.

    Raises
    ------
    InputError
        An argument is unknown or missing, a file is missing or malformed, or the dataloader cannot be opened.
    """

    def __init__(self, model, name, length, arguments, genome=None):
        _check_arguments(model, name, arguments)
        self._name, self._length = name, length
        self._settings = {**dataloader_defaults(model), **arguments}
        fasta = arguments.get("fasta_file")
        self._genome = genome or (Genome(fasta) if fasta else None)
        self._intervals = None  # of Kipoiseq's dataloaders, which give one locus an interval
        self._folder = tempfile.TemporaryDirectory()  # for the dataloader, as long as it lives
        if "intervals_file" in arguments:
            arguments = {**arguments, **self._intervals_arguments(model, arguments["intervals_file"])}
        self._items = _open(model, name, arguments)

    def _intervals_arguments(self, model, path):
        """Arguments that hand the intervals on as a checked copy without comments and track lines."""
        intervals = read_bed(path)
        copy = os.path.join(self._folder.name, "intervals.bed")
        if not _is_kipoiseq(model.default_dataloader):
            _write_bed(copy, [(i, i.rest) for i in intervals])
            return {"intervals_file": copy}
        self._intervals = intervals
        self._check_lengths(path)
        stranded = self._settings.get("use_strand")
        _write_bed(copy, [(i, (i.name, "0", i.strand) if stranded else ()) for i in intervals])
        # Kipoiseq prepends "chr" to every contig when the first lacks it, unless told otherwise: names stay as they are
        return {"num_chr_fasta": not intervals[0].chrom.startswith("chr"), "intervals_file": copy}

    def _check_lengths(self, path):
        """Kipoiseq's dataloaders take intervals as they are, or resize them all: what cannot fit is an error."""
        resized = self._settings.get("auto_resize_len")
        if resized and int(resized) != self._length:
            raise InputError(f"the dataloader resizes intervals to auto_resize_len = {resized} bases, "
                             f"but model {self._name} takes {self._length}")
        if not resized:
            check_lengths(self._intervals, self._length, path)

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        interval = self._intervals[index] if self._intervals else None
        if interval and self._genome:
            self._genome.check(self._resized(interval))
        name = interval.name if interval else None
        try:
            item = self._items[index]
        except Exception as error:
            reason = f"the dataloader fails on it: {one_line(error)}"
            raise DroppedLocus(name or f"number {index + 1}", reason) from error
        return self._locus(item, name)

    def _resized(self, interval):
        if not self._settings.get("auto_resize_len"):
            return interval
        from kipoiseq.transforms.functional import resize_interval

        bounds = resize_interval(SimpleNamespace(start=interval.start, end=interval.end), self._length)
        return interval._replace(start=bounds.start, end=bounds.end)

    def _locus(self, item, name):
        ranges = item.get("metadata", {}).get("ranges")
        if ranges is None:
            raise InputError(f"the dataloader of model {self._name} gives no metadata.ranges: "
                             "loci without a place in the genome cannot be used")
        chrom, start, end = str(ranges["chr"]), int(ranges["start"]), int(ranges["end"])
        name = name or _given_name(ranges) or f"{chrom}:{start}-{end}"
        sequence = self._sequence(item["inputs"], name)
        return Locus(chrom, start, end, self._strand(sequence, ranges, name), name, sequence)

    def _sequence(self, array, name):
        array = np.asarray(array)
        if array.ndim != 2 or array.shape[1] != 4:
            raise InputError(f"the dataloader of model {self._name} gives input of shape {array.shape}; "
                             f"only one-hot DNA, ({self._length}, 4), can be used")
        if len(array) < self._length:
            raise DroppedLocus(name, OVER_THE_END)
        if len(array) > self._length:
            raise InputError(f"{name}: the dataloader gives {len(array)} bases, but model {self._name} "
                             f"takes {self._length}")
        return dna.from_one_hot(array, "".join(self._settings.get("alphabet") or dna.ALPHABET))

    def _strand(self, sequence, ranges, name):
        """The strand that the sequence is on: as the FASTA shows it, else as the dataloader says."""
        said = "-" if str(ranges.get("strand")) == "-" else "+"
        if self._genome is None:
            return said
        forward = self._genome.fetch(str(ranges["chr"]), int(ranges["start"]), int(ranges["end"]))
        clear = ~dna.is_ambiguous(sequence)
        strands = {"+": forward, "-": dna.reverse_complement(forward)}
        for strand in (said, "-" if said == "+" else "+"):
            there = strands[strand]
            if len(there) == len(sequence) and (there[clear] == sequence[clear]).all():
                return strand
        raise InputError(f"{name}: the dataloader of model {self._name} gives another sequence than "
                         f"{self._genome.path} holds at {ranges['chr']}:{ranges['start']}-{ranges['end']}")


def _check_arguments(model, name, arguments):
    if model.default_dataloader is None:
        raise InputError(f"model {name} has no dataloader; give --intervals_file and --fasta_file instead")
    described = model.default_dataloader.args
    for key in arguments:
        if key not in described:
            raise InputError(f'--dataloader_args: the dataloader of model {name} has no argument "{key}"'
                             + nearest(key, described))
    needed = [key for key, argument in described.items() if not argument.optional and key not in arguments]
    if needed:
        raise InputError(f"--dataloader_args: the dataloader of model {name} needs {', '.join(needed)}")
    for key, value in arguments.items():
        if key.endswith("_file") and isinstance(value, str) and not os.path.exists(value):
            raise InputError(f"{value}: no such file ({key} in --dataloader_args)")


def _is_kipoiseq(dataloader):
    from kipoiseq.dataloaders import SeqIntervalDl, StringSeqIntervalDl

    return inspect.isclass(dataloader) and issubclass(dataloader, (SeqIntervalDl, StringSeqIntervalDl))


def _given_name(ranges):
    """The identifier among the ranges, unless it is a mere count."""
    name = str(ranges.get("id", ""))
    return None if name.isdigit() else name


def _write_bed(path, rows):
    """Write (interval, columns after the third) as a plain BED file."""
    with open(path, "w", encoding="utf-8") as bed:
        for interval, rest in rows:
            bed.write("\t".join((interval.chrom, str(interval.start), str(interval.end), *rest)) + "\n")


def _open(model, name, arguments):
    """The items of the dataloader: the dataset itself if it can be indexed, else a list of all that it gives."""
    from kipoi.data import Dataset
    from kipoi_utils.data_utils import get_dataset_item, get_dataset_lens

    try:
        dataset = model.default_dataloader(**arguments)
        if isinstance(dataset, Dataset):
            len(dataset)
            return dataset
        return [get_dataset_item(batch, i) for batch in dataset.batch_iter()
                for i in range(get_dataset_lens(batch, require_numpy=True)[0])]
    except Exception as error:
        raise InputError(f"the dataloader of model {name} cannot be opened: {one_line(error)}") from error
