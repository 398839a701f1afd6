"""run.json: what a run was made of, and whether a folder already holds that run or another."""

import json
import os
import platform
import shutil
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from ..effects_store import LOCK_SUFFIX, differences, locked
from ..errors import InputError
from ..files import replacing

NAME = "run.json"
STORE = "effects.zarr"
CALIBRATION_SUFFIX = ".calibration.json"  # of the copy beside the table of local effects
CALIBRATION = "local" + CALIBRATION_SUFFIX
OUTPUTS = (STORE, "effects.zarr.partial", "local.tsv", CALIBRATION, "diagnostics.tsv", "diagnostics_by_pair.tsv",
           "instruments.vcf.gz", "instruments.vcf.gz.tbi", "global.tsv", "global.png", "strata.tsv",
           "strata_tests.tsv", "strata.png", "report.html", NAME)
PACKAGES = ("kipoi_deepmr", "kipoi", "kipoiseq", "numpy", "scipy", "pandas", "xarray", "zarr", "pysam", "pyfaidx",
            "tensorflow", "keras", "tf_keras")


def versions():
    """Versions of Python and of the packages that results may depend on; None where not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@contextmanager
def output_folder(path, settings, overwrite=False):
    """An `OutputFolder` that no other run writes to meanwhile.

    Raises
    ------
    InputError
        Another run writes there, or as `OutputFolder`.
    """
    made = not os.path.exists(path)
    if made:
        make_folder(path)
    _check_writable(path)
    with locked(os.path.join(path, STORE)):
        yield OutputFolder(path, settings, overwrite, made)


class OutputFolder:
    """The folder of one run.

    Parameters
    ----------
    path : str
        Made if need be.
    settings : dict
        What decides the results; JSON values only. A folder that holds a run of the same settings is taken over.
    overwrite : bool
        Remove another run's files instead of refusing.
    made : bool
        The folder was made for this run just now.

    Raises
    ------
    InputError
        The folder cannot be written, or holds something else.
    """

    def __init__(self, path, settings, overwrite=False, made=False):
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._made = made or not os.path.exists(path)
        self.holds_this_run = self._check(overwrite)

    def _check(self, overwrite):
        if self._made:
            make_folder(self.path)
            return False
        _check_writable(self.path)
        if not set(os.listdir(self.path)) - {STORE + LOCK_SUFFIX}:
            return False
        differing = self._differences()
        if not differing:
            return True
        if not overwrite:
            raise InputError(f"-o {self.path}: {differing}; choose another folder, or --overwrite")
        self._remove_outputs()
        return False

    def _differences(self):
        """Why the folder does not hold this run; empty if it does."""
        manifest = self.file(NAME)
        if not os.path.isfile(manifest):
            return "the folder is not empty and holds no DeepMR run"
        try:
            with open(manifest, encoding="utf-8") as content:
                old = json.load(content)["settings"]
        except (ValueError, KeyError, TypeError):
            return f"its {NAME} cannot be read"
        differing = differences(old, self.settings)
        return f"it holds a different run ({'; '.join(differing[:3])})" if differing else ""

    def file(self, name):
        """Path of one of the outputs."""
        return os.path.join(self.path, name)

    def write_manifest(self, details):
        """Write run.json: the settings and `details` (JSON values)."""
        with replacing(self.file(NAME)) as temporary, open(temporary, "w", encoding="utf-8") as out:
            json.dump({"settings": self.settings, **details}, out, indent=2)
            out.write("\n")

    def discard(self):
        """Remove what a failed run wrote, and the folder if the run made it."""
        self._remove_outputs()
        if self._made:
            with suppress(FileNotFoundError):
                os.remove(self.file(STORE + LOCK_SUFFIX))
            os.rmdir(self.path)

    def _remove_outputs(self):
        for name in OUTPUTS:
            path = self.file(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)


def _check_writable(path):
    if not os.path.isdir(path):
        raise InputError(f"-o {path}: there is a file of that name")
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"-o {path}: the folder cannot be written")


def make_folder(path):
    """Make a folder and those above it, or raise `InputError`."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"-o {path}: the folder cannot be made ({error.strerror})") from error
