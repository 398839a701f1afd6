"""run.json: what a run was made of, and the checksums of what it wrote."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from ..effects_store import RECORD
from ..errors import InputError, one_line
from ..files import file_checksum, replacing
from .outputs import ARRAYS_OF_LOCAL, LOCAL_ARRAY, RUN_JSON, STORE, TABLES, Target, array_of

PACKAGES = ("kipoi_deepmr", "kipoi", "kipoiseq", "numpy", "scipy", "pandas", "xarray", "zarr", "pysam", "pyfaidx",
            "tensorflow", "keras", "tf_keras")
REQUIRED = ("settings", "effects", "finished", "files")


def versions():
    """Versions of Python and of the packages that results may depend on; None where not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def read(folder):
    """The contents of a folder's run.json.

    Returns
    -------
    dict
        `settings` (all that decides the results), `effects` (those of them that decide the effects), `finished`
        (None before the run is), `files` (SHA-256 of what it wrote), and what else the run says of itself.

    Raises
    ------
    InputError
        There is none, or it is not one that `run` writes.
    """
    path = os.path.join(folder, RUN_JSON)
    if not os.path.isfile(path):
        raise InputError(f"{folder}: not a run folder: it has no {RUN_JSON}")
    try:
        with open(path, encoding="utf-8") as content:
            told = json.load(content)
        wrong = [name for name in ("settings", "effects", "files") if not isinstance(told[name], dict)]
        missing = [name for name in REQUIRED if name not in told]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from error
    if wrong or missing:
        raise InputError(f"{path}: cannot be read (no valid {', '.join(wrong or missing)})")
    return told


def write(folder, told):
    """Write run.json, whole or not at all."""
    with replacing(os.path.join(folder, RUN_JSON)) as temporary, open(temporary, "w", encoding="utf-8") as out:
        json.dump(told, out, indent=2)
        out.write("\n")


def checksums(folder):
    """SHA-256 of each table of a run, of its VCF and of the records of its arrays, by their names in the folder."""
    names = (*TABLES, f"{STORE}/{RECORD}", *(f"{name}/{RECORD}" for name in ARRAYS_OF_LOCAL))
    return {name: file_checksum(os.path.join(folder, name)) for name in names
            if name and os.path.isfile(os.path.join(folder, name))}


def check_pieces(folder, told):
    """Check that a run is finished and its files are those that it wrote.

    Parameters
    ----------
    folder : str
    told : dict
        As `read` gives it.

    Raises
    ------
    InputError
        The run is not finished, or files come from another command.
    """
    path = os.path.join(folder, RUN_JSON)
    if told["finished"] is None:
        raise InputError(f"{folder}: the run is not finished; repeat its command, which goes on with it")
    found = checksums(folder)
    lost = [name for name in told["files"] if name not in found and not name.startswith(STORE)]
    if lost:
        raise InputError(f"{folder}: {', '.join(lost)} of this run {_is(lost)} missing; repeat the run's command")
    other = [name for name, digest in told["files"].items() if name in found and found[name] != digest]
    if other:
        raise InputError(f"{folder}: {', '.join(other)} {_is(other)} not what the run wrote that {path} describes, but "
                         f"from another command; repeat the run's command, or run --effects {folder}/{STORE} -o NEW")


def array_of_table(table):
    """`outputs.array_of`, of the table of a run's folder only where the run wrote both.

    Raises
    ------
    InputError
        As `array_of`, or the array that the run wrote beside this table is missing, or is that of another command.
    """
    array, (folder, name) = array_of(table), os.path.split(table)
    if os.path.isdir(table) or not Target("estimate", table).in_run:
        return array
    files = read(folder)["files"]
    record = f"{LOCAL_ARRAY}/{RECORD}"
    if record not in files or files.get(name) != file_checksum(table):
        return array  # both are those of another command
    if array is None:
        raise InputError(f"{folder}: {LOCAL_ARRAY} of this run is missing, and {name} holds only a part of its pairs; "
                         "repeat the run's command")
    if file_checksum(os.path.join(folder, record)) != files[record]:
        raise InputError(f"{folder}: {LOCAL_ARRAY} is not what the run wrote beside {name}, but from another command; "
                         "repeat the run's command")
    return array


def _is(names):
    return "is" if len(names) == 1 else "are"
