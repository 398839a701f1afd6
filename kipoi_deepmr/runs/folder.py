"""The folder that a run writes: taken over, refused or emptied at the start, whole at the end."""

import contextlib
import json
import os
import shutil

from .. import effects_store
from ..effects_store import differences
from ..errors import InputError
from ..files import lock_of, locked, remove_leftovers, replacing
from ..output.tables import TSV, in_format_of
from . import manifest
from .outputs import OUTPUTS, RUN_JSON, STAGES, STORE, Target, check_inputs, leftovers_in, remove_outputs


@contextlib.contextmanager
def run_folder(path, settings, of_effects, overwrite=False, store=None, inputs=()):
    """A `RunFolder` that no other command writes to meanwhile; `inputs` are files that the run reads.

    Raises
    ------
    InputError
        Another command writes there, an input is one of the files that the run replaces, or as `RunFolder`.
    """
    for name in OUTPUTS:
        check_inputs(os.path.join(path, name), [each for each in inputs if each])
    made = not os.path.exists(path)
    if made:
        make_folder(path)
    _check_writable(path)
    with locked(os.path.join(path, STORE)):
        yield RunFolder(path, settings, of_effects, overwrite, made, store)


class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    path : str
        Made if need be.
    settings : dict
        What decides the results; JSON values only.
    of_effects : dict
        Those of the settings that decide the effects. A folder that holds the same effects is taken over: they are
        kept, whatever the other settings.
    overwrite : bool
        Remove another run's files, and those of a finished run of the same effects, instead of refusing or keeping
        them. What an unfinished run of the same effects left is kept all the same, so that the same command resumes.
    made : bool
        The folder was made for this run just now.
    store : str, optional
        The store of effects that the run begins with; it is never removed.

    Raises
    ------
    InputError
        The folder cannot be written, or holds something else.
    """

    def __init__(self, path, settings, of_effects, overwrite=False, made=False, store=None):
        self.path = path
        self.settings, self._of_effects = json.loads(json.dumps([settings, of_effects]))
        self._made = made or not os.path.exists(path)
        self._before = None
        self.holds_effects = self._check(overwrite, store)

    def _check(self, overwrite, store):
        if self._made:
            make_folder(self.path)
            return False
        _check_writable(self.path)
        for name in OUTPUTS:
            remove_leftovers(self.file(name))
        if not set(os.listdir(self.path)) - leftovers_in(self.path):
            return False
        old, reason = self._earlier()
        own = store and os.path.exists(self.file(STORE)) and os.path.samefile(store, self.file(STORE))
        if old == self._of_effects and (own or not overwrite or not self._is_finished()):
            self._before = self._manifest_bytes()
            return True
        if not overwrite or own:
            raise InputError(f"-o {self.path}: {reason or self._differing(old)}")
        remove_outputs(self.path)
        return False

    def _earlier(self):
        """The settings of the effects that the folder holds, or None and why it is not known."""
        if os.path.isfile(self.file(RUN_JSON)):
            try:
                return manifest.read(self.path)["effects"], None
            except InputError as error:
                return None, f"{error}; choose another folder, or --overwrite"
        names = set(os.listdir(self.path)) - leftovers_in(self.path)
        if STORE in names and names <= {*OUTPUTS}:
            return effects_store.settings_of(self.file(STORE)), None
        return None, "the folder is not empty and holds no DeepMR run; choose another folder"

    def _differing(self, old):
        differing = "; ".join(differences(old, self._of_effects)[:3])
        return (f"it holds the effects of another run ({differing}). Choose another folder, or --overwrite to predict "
                f"again. To estimate again from its effects: run --effects {self.file(STORE)} -o NEW")

    def _is_finished(self):
        return not os.path.isfile(self.file(RUN_JSON)) or manifest.read(self.path)["finished"] is not None

    def _manifest_bytes(self):
        with contextlib.suppress(FileNotFoundError), open(self.file(RUN_JSON), "rb") as file:
            return file.read()

    def file(self, name):
        """Path of one of the outputs."""
        return os.path.join(self.path, name)

    def target(self, stage, ending=TSV):
        """The `Target` of a stage in this folder, with tables of this ending."""
        return Target(stage, self.file(in_format_of(STAGES[stage].main, ending)), in_run=True, held=True)

    def begin(self, details):
        """Write run.json as that of a run that has begun; `details` are JSON values."""
        manifest.write(self.path, {"settings": self.settings, "effects": self._of_effects, **details, "finished": None,
                                   "files": {}})

    def finish(self, details, finished):
        """Write run.json as that of a finished run, with the checksums of its files."""
        manifest.write(self.path, {"settings": self.settings, "effects": self._of_effects, **details,
                                   "finished": finished, "files": manifest.checksums(self.path)})

    def give_up(self):
        """Put back run.json of the run that was there before, whose tables still stand."""
        if self._before:
            with replacing(self.file(RUN_JSON)) as temporary, open(temporary, "wb") as file:
                file.write(self._before)

    def discard(self):
        """Remove what a failed run wrote, and the folder if the run made it; what was there before stays."""
        if self.holds_effects:
            self.give_up()
            return
        remove_outputs(self.path)
        if self._made:
            with contextlib.suppress(FileNotFoundError):
                os.remove(lock_of(self.file(STORE)))
            os.rmdir(self.path)


def copy_store(source, target):
    """Give a store a second name: chunks, which are never changed in place, as hard links where that is possible."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    staged = f"{target}{effects_store.PARTIAL_SUFFIX}"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(source, staged, copy_function=_linked_or_copied)
    os.replace(staged, target)


def _linked_or_copied(source, target):
    if os.path.basename(source)[:1].isdigit():  # a chunk
        with contextlib.suppress(OSError):
            os.link(source, target)
            return target
    return shutil.copy2(source, target)


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
