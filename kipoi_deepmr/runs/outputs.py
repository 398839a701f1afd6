"""The files that a command writes: their names, the right to write them, what is replaced and what is removed."""

import contextlib
import glob
import gzip
import itertools
import os
import shutil
import tempfile
from functools import cached_property
from typing import NamedTuple

from ..errors import InputError
from ..files import ARRAYS, disk_full_told, is_stream, locked, remove_leftovers, together
from ..options import COMPARED
from ..output.tables import OURS, PARQUET, TSV, in_format_of, is_parquet, parquet

RUN_JSON = "run.json"
STORE = "effects.zarr"
LOCAL_ARRAY = "local.zarr"  # local effects of a run with too many pairs for a table
CALIBRATION = "local.calibration.json"
DIAGNOSTICS = ("diagnostics.tsv", "diagnostics_by_pair.tsv")
VCF = "instruments.vcf.gz"
BY_RULE = {rule: f"local_{rule}.tsv" for rule in COMPARED}  # local effects by the rule that a run is compared with
ARRAY_BY_RULE = {rule: f"local_{rule}.zarr" for rule in COMPARED}
RULES = "rules.tsv"
INTERACTIONS = "interaction.tsv"  # of regions, if `interaction` wrote them into the folder of a run
NETWORK = ("network.tsv", "network_marks.tsv", "network.graphml", "network.json", "network.png")
MARK_OF_OURS = OURS.encode()
COPIED = b'"copied_from"'  # in a calibration that a command copied beside its table, not in those of the user
HEAD_BYTES = 1 << 16
PACKED = (".gz", ".bgz", ".bz2", ".xz", ".zip", ".zst")  # endings by which readers would unpack a table
NO_TABLES = ("report", "calibrate", "plot", "annotate")
BESIDE_INPUTS = (".fai", ".gzi", ".tbi", ".csi")  # indexes without which a file cannot be read


class Stage(NamedTuple):
    """What a stage writes, by the names of tables as TSV; those of Parquet have its ending instead.

    Attributes
    ----------
    main : str
        Name of its main file in the folder of a run; empty for a stage that writes into none.
    beside : dict of str to str
        What it writes beside the main file: name in the folder of a run, and elsewhere the ending that takes the
        place of the main file's own.
    """

    main: str
    beside: dict


STAGES = {
    "estimate": Stage("local.tsv", {
        **{name: f".{name}" for name in DIAGNOSTICS}, **{name: f".{rule}.tsv" for rule, name in BY_RULE.items()},
        CALIBRATION: ".calibration.json", VCF: ".vcf.gz",
        f"{VCF}.tbi": ".vcf.gz.tbi", LOCAL_ARRAY: ".estimates.zarr",
        **{name: f".{rule}.estimates.zarr" for rule, name in ARRAY_BY_RULE.items()}}),
    "aggregate": Stage("global.tsv", {
        "global.png": ".png", "strata.tsv": ".strata.tsv", "strata_tests.tsv": ".strata_tests.tsv",
        "strata.png": ".strata.png", RULES: f".{RULES}", **{name: f".{name}" for name in NETWORK}}),
    "network": Stage(NETWORK[0], dict(zip(NETWORK[1:], (".marks.tsv", ".graphml", ".json", ".png"), strict=True))),
    "report": Stage("report.html", {}),
    "calibrate": Stage("", {"figure": ".png"}),
    "plot": Stage("", {}),
    "table": Stage("", {}),
    "shape": Stage("", {"loci": ".loci.tsv", "curve": ".curve.tsv", "state": ".state.tsv", "figure": ".png"}),
    "interaction": Stage("", {"loci": ".loci.tsv", "figure": ".png"}),
    "annotate": Stage("", {"tbi": ".vcf.gz.tbi", "csi": ".vcf.gz.csi"}),
}
_NAMES = tuple(dict.fromkeys(in_format_of(name, like) for stage in STAGES.values() if stage.main
                             for name in (stage.main, *stage.beside) for like in (TSV, PARQUET)))
TABLES = tuple(name for name in _NAMES if name.endswith((TSV, PARQUET, ".json", ".vcf.gz", ".graphml")))
FIGURES = {"global.png", "strata.png", "network.png"}  # which nothing reads
ARRAYS_OF_LOCAL = (LOCAL_ARRAY, *ARRAY_BY_RULE.values())
OUTPUTS = (STORE, f"{STORE}.partial", *(f"{name}.partial" for name in ARRAYS_OF_LOCAL), *_NAMES, RUN_JSON)


def stored(path):
    """Where a table of a run is, by its name as TSV: there, or beside it as Parquet; other files as they are."""
    other = in_format_of(path, PARQUET)
    return other if not os.path.exists(path) and os.path.isfile(other) else path


class Target:
    """Where a stage writes: the path of its main file, and of those beside it.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    path : str
    in_run : bool, optional
        Whether the files have the names of a run's folder; by default where the folder is one and `path` has the name.
    held : bool
        Whether the caller holds the right to write to them.
    """

    def __init__(self, stage, path, in_run=None, held=False):
        self.stage, self.path, self.held = stage, os.fspath(path), held
        self.alone = is_stream(self.path)
        folder, name = os.path.split(self.path)
        if in_run is None:
            in_run = name == in_format_of(STAGES[stage].main, name) and os.path.isfile(os.path.join(folder, RUN_JSON))
        self.in_run = in_run
        stem = _without_ending(self.path)
        self.beside = {} if self.alone or self.path.endswith(".vcf") else {
            key: os.path.join(folder, in_format_of(key, name)) if in_run else stem + in_format_of(ending, name)
            for key, ending in STAGES[stage].beside.items()}

    def __fspath__(self):
        return self.path

    @property
    def paths(self):
        """All files, the main one first."""
        return [self.path, *self.beside.values()]

    @property
    def in_other_format(self):
        """The tables among them under the names of the other format."""
        like = TSV if is_parquet(self.path) else PARQUET
        return [other for path in self.paths if (other := in_format_of(path, like)) != path]

    @contextlib.contextmanager
    def locked(self):
        """Hold the right to write all files; that of a run's folder is one."""
        folder = os.path.dirname(self.path)
        if self.held or self.alone:
            yield
            return
        with contextlib.ExitStack() as stack:
            for path in [os.path.join(folder, STORE)] if self.in_run else self.paths:
                stack.enter_context(locked(path))
            remove_leftovers(self.path)
            yield

    def check(self, inputs):
        """Raise `InputError` where a file is an input, is needed by something else, or is not ours to replace."""
        if is_parquet(self.path):
            parquet()
        if self.alone:
            return
        if self.stage not in NO_TABLES and self.path.endswith(PACKED):
            plain = _without_ending(self.path).removesuffix(TSV)
            raise InputError(f"-o {self.path}: tables are not compressed as text; give -o {plain}{PARQUET}, which is "
                             f"smaller, or -o {plain}{TSV}")
        _check_folder(self.path)
        if self.path in self.beside.values():
            raise InputError(f"-o {self.path}: {self.stage} writes another file of that name beside it; choose another "
                             "ending")
        for path in [*self.paths, *(self.in_other_format if self.in_run else [])]:
            check_inputs(path, inputs)
        other = in_format_of(self.path, TSV if is_parquet(self.path) else PARQUET)
        if other != self.path and not self.in_run and self.beside and os.path.isfile(other) and is_ours(other):
            raise InputError(f"-o {self.path}: the files beside it have the names of those beside {other}; choose "
                             f"another name, or remove {other}")
        _check_needed(self.path, self.in_run)
        for path in () if self.in_run else self.beside.values():
            if os.path.exists(path) and not is_ours(path):
                raise InputError(f"{path}: {self.stage} would replace this file, which DeepMR did not write; move it, "
                                 f"or choose another name than -o {self.path}")


class Writing:
    """The files of one stage while they are written; see `writing`.

    Attributes
    ----------
    path : str
        Name to write the main file to.
    alone : bool
        Whether the main file is a stream, beside which there is no place for others.
    """

    def __init__(self, target, beside):
        self._target, self._beside, self.made = target, beside, set()
        self.alone = target.alone

    @cached_property
    def path(self):
        return self._beside(self._target.path)

    def beside(self, key):
        """Name to write one of the files to that stand beside the main one."""
        self.made.add(key)
        return self._beside(self._target.beside[key])

    def finished(self, key):
        """Where a file beside the main one will be."""
        return self._target.beside[key]

    def unfinished(self, key):
        """Name of a file, or folder, beside the main one while it is written; it outlives a command that is killed."""
        return self._target.beside[key] + ".partial"

    @property
    def folder(self):
        """Where temporary files may lie."""
        return tempfile.gettempdir() if self.alone else os.path.dirname(self.path)


@contextlib.contextmanager
def writing(stage, path, inputs=(), kept="free some space and start again"):
    """Write the files of a stage: all appear at the end, or none; what an earlier command left beside them goes.

    Parameters
    ----------
    stage : str
    path : str or Target
    inputs : sequence of str
        Files and stores that the command reads; None entries count for nothing.
    kept : str
        What to say where the disk is full.

    Yields
    ------
    Writing

    Raises
    ------
    InputError
        Another command writes there, or the files must not be replaced.
    DiskFull
    """
    target = path if isinstance(path, Target) else Target(stage, path)
    target.check([each for each in inputs if each])
    gone = []
    with target.locked(), disk_full_told(lambda: kept, target.path), together(gone) as beside:
        files = Writing(target, beside)
        yield files
        gone += [path for key, path in target.beside.items() if key not in files.made and os.path.exists(path)]
        gone += [path for path in target.in_other_format if target.in_run and os.path.exists(path)]


def array_of(table):
    """The array of local effects that belongs to a local table, or is it itself; None if there is none.

    Parameters
    ----------
    table : str
        As `estimate` wrote it.

    Raises
    ------
    InputError
        The array is not finished, so that the table may be that of an earlier command; or a folder is no array.
    """
    if os.path.isdir(table):
        if not os.path.exists(os.path.join(table, ".zgroup")):
            main = stored(os.path.join(table, STAGES["estimate"].main))
            raise InputError(f"{table}: a folder, and no array of local effects; give a table or an array in it"
                             + f", such as {main}" * os.path.isfile(main))
        return table
    path = Target("estimate", table).beside.get(LOCAL_ARRAY)
    if path and not os.path.isdir(path) and os.path.isdir(f"{path}.partial"):
        raise InputError(f"{path}.partial: an unfinished array of local effects, of which {table} may be a part; "
                         "repeat the command that wrote them")
    return path if path and os.path.isdir(path) else None


def is_ours(path):
    """Whether DeepMR wrote a file, as far as its first bytes tell."""
    if path.endswith((".tbi", ".csi")):
        return True
    if path.endswith(ARRAYS):
        return os.path.isfile(os.path.join(path, ".zattrs")) and is_ours(os.path.join(path, ".zattrs"))
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if is_parquet(path):
        return MARK_OF_OURS in _end_of(path)
    if path.endswith(TSV):
        columns = set(head.split(b"\n")[0].split(b"\t"))
        return {b"exposure", b"outcome"} <= columns or {b"mark", b"cause"} <= columns
    if path.endswith(".calibration.json"):
        return COPIED in head
    if path.endswith(".gz"):
        with contextlib.suppress(OSError, EOFError), gzip.open(path) as file:
            head = file.read(HEAD_BYTES)
    return MARK_OF_OURS in head or (path.endswith(".graphml") and MARK_OF_OURS in _end_of(path))


def _end_of(path):
    """The last bytes of a file."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - HEAD_BYTES))
        return file.read()


def _check_folder(path):
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise InputError(f"-o {path}: there is no folder {folder}")
    if os.path.isdir(path):
        raise InputError(f"-o {path}: there is a folder of that name")


def check_inputs(path, inputs):
    """Raise `InputError` where `path` is one of the files and stores that a command reads, or lies in one."""
    if not os.path.exists(path):
        return
    for given in inputs:
        of_given = [given, *(given + ending for ending in BESIDE_INPUTS)]
        if any(os.path.exists(each) and os.path.samefile(path, each) for each in of_given):
            raise InputError(f"{path}: this output is also an input of the command; choose another name")
        # files may stand beside those of a run, which `check` protects
        is_run = os.path.isfile(os.path.join(given, RUN_JSON))
        if os.path.isdir(given) and not is_run and _is_inside(path, given):
            raise InputError(f"{path}: this output lies in {given}, which the command reads; choose another name")


def _is_inside(path, folder):
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder


def _check_needed(path, in_run):
    """Refuse to replace a file of ours that belongs to a run, to a store or to a table."""
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not in_run and name in set(OUTPUTS) - FIGURES and os.path.isfile(os.path.join(folder, RUN_JSON)):
        raise InputError(f"-o {path}: it belongs to the run in {folder}; choose another name")
    above = folder
    while above != os.path.dirname(above):
        if os.path.isfile(os.path.join(above, ".zgroup")):
            raise InputError(f"-o {path}: it lies in the store {above}; choose another name")
        above = os.path.dirname(above)
    owner = _table_of(path)
    if owner:
        raise InputError(f"-o {path}: it belongs to {owner}; choose another name")


def _table_of(path):
    """The table beside which a file stands, if it does and is more than a figure."""
    if not os.path.exists(path) or path.endswith(".png"):
        return None
    for stage in STAGES.values():
        for like, plain in itertools.product((TSV, PARQUET), stage.beside.values()):
            ending = in_format_of(plain, like)
            table = path.removesuffix(ending) + like
            if stage.main.endswith(TSV) and path.endswith(ending) and table != path and os.path.isfile(table) \
                    and is_ours(table) and is_ours(path):
                return table
    return None


def _without_ending(path):
    folder, name = os.path.split(path)
    for ending in (".vcf.gz", ".vcf"):
        if name.endswith(ending):
            return path.removesuffix(ending)
    return os.path.join(folder, os.path.splitext(name)[0])


def remove_outputs(folder):
    """Remove the files of a run, and what killed processes left of them."""
    for name in OUTPUTS:
        path = os.path.join(folder, name)
        remove_leftovers(path)
        if os.path.islink(path) or os.path.isfile(path):
            os.remove(path)
        elif os.path.isdir(path):
            shutil.rmtree(path)


def leftovers_in(folder):
    """Names of files in a folder that do not count: locks, and what killed processes left."""
    return {os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(folder), ".*.kipoi_deepmr[.-]*"))}
