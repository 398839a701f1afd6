"""run.json: what a run was made of, and whether a folder already holds that run or another."""

import hashlib
import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..effects_store import differences
from ..errors import InputError
from .tables import replacing

NAME = "run.json"
OUTPUTS = ("effects.zarr", "effects.zarr.partial", "local.tsv", "diagnostics.tsv", "diagnostics_by_pair.tsv",
           "instruments.vcf.gz", "instruments.vcf.gz.tbi", "global.tsv", "global.png", NAME)
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


def file_checksum(path):
    """SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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

    Raises
    ------
    InputError
        The folder cannot be written, or holds something else.
    """

    def __init__(self, path, settings, overwrite=False):
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self._made = not os.path.exists(path)
        self.holds_this_run = self._check(overwrite)

    def _check(self, overwrite):
        if self._made:
            make_folder(self.path)
            return False
        if not os.path.isdir(self.path):
            raise InputError(f"-o {self.path}: there is a file of that name")
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise InputError(f"-o {self.path}: the folder cannot be written")
        if not os.listdir(self.path):
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
            os.rmdir(self.path)

    def _remove_outputs(self):
        for name in OUTPUTS:
            path = self.file(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)


def make_folder(path):
    """Make a folder and those above it, or raise `InputError`."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"-o {path}: the folder cannot be made ({error.strerror})") from error
