"""Other Pythons for the tests: those installed here, and environments of them with what a worker needs."""

import functools
import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ENVIRONMENTS = Path(__file__).resolve().parent.parent / ".envs"
MADE = {"3.7": ("bpnet-py37", "make bpnet-env"), "3.8": ("keras2-py38", "make keras2-env")}
OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@functools.cache
def installed(version):
    """Path of a Python of this version, or None."""
    known = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python"))
    for python in filter(None, [shutil.which(f"python{version}"), *known]):
        asked = subprocess.run([python, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.strip()
    return None


def with_kipoi(version, cache):
    """Path of a Python of this version with numpy and kipoi: the one running, one that make made, or one made here."""
    if version == OURS:
        return sys.executable
    if version in MADE:
        name, command = MADE[version]
        if not (ENVIRONMENTS / name / ".created").exists():
            pytest.skip(f".envs/{name} is not there: `{command}` makes it")
        return str(ENVIRONMENTS / name / "bin" / "python")
    folder = Path(cache.mkdir("deepmr_workers"))
    with FileLock(folder / f"{version}.lock"):  # tests run side by side
        return _made_once(version, folder / version)


def _made_once(version, folder):
    base = installed(version)
    if base is None:
        pytest.skip(f"there is no Python {version} here")
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        install = [python, "-m", "pip", "install", "-q", "--no-input", "-U"]
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for command in ([base, "-m", "venv", folder], [*install, "pip<24", "setuptools<60"],
                            [*install, "kipoi==0.8.6", "numpy"]):
                subprocess.run(command, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"Python {version} cannot be given kipoi ({error})")
        complete.touch()
    return str(python)


def without_kipoi(folder):
    """A new environment of this Python with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder / "bin" / "python")
