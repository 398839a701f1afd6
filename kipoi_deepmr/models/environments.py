"""Which Python a model runs in: `--python`, `--env`, or this process."""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence

from ..errors import InputError, nearest
from .host.file_model import is_file

OLDEST = (3, 6)
# Python 2 must understand it too, to be told that it is too old
CHECK = """
import sys
missing = []
if sys.version_info >= (3, 6):
    from importlib.util import find_spec
    missing = [name for name in ("numpy", "kipoi") if find_spec(name) is None]
print("%d %d %s" % (sys.version_info[0], sys.version_info[1], ",".join(missing)))
"""


def interpreters(models: Sequence[str], pythons: Sequence[str] | None = None,
                 env: str | None = None) -> list[str | None]:
    """The interpreter of each model.

    Parameters
    ----------
    models : sequence of str
    pythons : sequence of str, optional
        Paths of interpreters (`--python`): one for each model, or one for all.
    env : str, optional
        Name of an environment that `kipoi env create` made (`--env`).

    Returns
    -------
    list of str or None
        Absolute paths, one for each model; None for this process.

    Raises
    ------
    InputError
        Both are given, there are too few or too many, or an interpreter is missing or cannot run a model.
    """
    if pythons and env:
        raise InputError("--python and --env both name an interpreter: give one")
    pythons = [environment_python(env)] if env else pythons
    if not pythons:
        return [None] * len(models)
    if len(pythons) not in (1, len(models)):
        raise InputError(f"--python names {len(pythons)} interpreters for {len(models)} models: give one for all, "
                         "or one for each")
    found = [interpreter_path(python) for python in pythons] * (len(models) // len(pythons))
    for python, model in zip(found, models, strict=True):
        check_interpreter(python, is_file(model))
    return found


def environment_python(name: str) -> str:
    """The interpreter of an environment in Kipoi's database, beside the kipoi executable recorded there.

    Raises
    ------
    InputError
        No such environment, or its files are gone.
    """
    import kipoi
    from kipoi.env_db import EnvDb

    path = kipoi.config._env_db_path
    if not os.path.isfile(path):
        raise InputError(f"--env {name}: Kipoi knows no environments ({path} is not there); "
                         "`kipoi env create` makes them, or give --python")
    try:
        entries = EnvDb(path).get_all()
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"--env {name}: {path} is not Kipoi's database of environments ({error})") from error
    known = {entry.create_args.env: entry for entry in sorted(entries, key=lambda entry: entry.timestamp)}
    if name not in known:
        raise InputError(f'--env {name}: not among the environments of {path}' + nearest(name, known))
    executable = known[name].cli_path
    python = os.path.join(os.path.dirname(executable or ""), "python")
    if not executable or not os.path.isfile(python):
        raise InputError(f"--env {name}: {path} names {executable or 'no kipoi executable'}, and there is no python "
                         "beside it; make the environment again with `kipoi env create`")
    return os.path.abspath(python)


@functools.cache
def check_interpreter(python: str, of_file: bool = False) -> None:
    """Raise `InputError` unless a worker can run in this interpreter; the file of a network needs no kipoi there."""
    try:
        checked = subprocess.run([python, "-E", "-c", CHECK], capture_output=True, text=True, timeout=60,
                                 stdin=subprocess.DEVNULL)
        major, minor, *missing = checked.stdout.replace(",", " ").split()
        version = int(major), int(minor)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise InputError(f"--python {python}: not a Python interpreter that runs") from error
    if version < OLDEST:
        raise InputError(f"--python {python}: Python {major}.{minor}; a model's own Python must be 3.6 or newer")
    missing = [name for name in missing if name != "kipoi" or not of_file]
    if missing:
        raise InputError(f"--python {python}: it has no {' and no '.join(missing)}; install them there "
                         f"(`pip install {'numpy' if of_file else 'kipoi numpy'}`)")


def interpreter_path(python: str) -> str:
    """Absolute path of an interpreter given by path or name; links are kept, since they tell a venv from its origin."""
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise InputError(f"--python {python}: no such program")
    return os.path.abspath(found)
