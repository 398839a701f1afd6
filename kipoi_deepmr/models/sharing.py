"""Kipoi directories of networks' files, for sharing: what `init` writes."""

import inspect
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import InputError
from .ensemble import Ensemble
from .host import file_model, network_file
from .model import Description
from .patterns import short_name

OF_KIPOI = '''

from kipoi.model import BaseModel  # noqa: E402


class Model(NetworkFile, BaseModel):
    """The network, as Kipoi asks it."""
'''
PACKAGES = {network_file.KERAS_ZIP: ("keras", "tf_keras", "tensorflow"), network_file.HDF5: ("keras", "tf_keras",
                                                                                           "tensorflow"),
            network_file.SAVED_MODEL: ("tensorflow",)}  # of others torch


def write_kipoi_models(folder: str, ensemble: Ensemble) -> list[str]:
    """Write each network of an ensemble as a Kipoi directory: model.yaml, model.py, its weights and its Python.

    Parameters
    ----------
    folder : str
        To write, all of it or nothing.
    ensemble : Ensemble
        Of networks' files.

    Returns
    -------
    list of str
        The directories.

    Raises
    ------
    InputError
        There is something already, a model is no network's file, two have the same name, or a network takes more than
        one-hot DNA.
    """
    folder = os.path.normpath(folder)
    if os.path.lexists(folder):
        raise InputError(f"{folder}: there is something already; name a new folder")
    if not os.path.isdir(os.path.dirname(folder) or "."):
        raise InputError(f"{folder}: there is no folder {os.path.dirname(folder)}")
    recipe = ensemble.recipe
    names = [short_name(name) for name in recipe.names]
    for path, name in zip(recipe.models, names, strict=True):
        if recipe.source != "dir" or not file_model.is_file(path):
            raise InputError(f"{path}: it is a Kipoi model already; init takes the files of networks")
        if names.count(name) > 1:
            raise InputError(f"two models are called {name}: their directories need names of their own")
    staged = tempfile.mkdtemp(prefix=f".{os.path.basename(folder)}.", dir=os.path.dirname(folder) or ".")
    try:
        for path, name, described in zip(recipe.models, names, ensemble.described, strict=True):
            _write(Path(staged, name), path, described, recipe.settings or {})
        os.chmod(staged, 0o777 & ~_umask())
        os.rename(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return [os.path.join(folder, name) for name in names]


def _write(folder, path, described, settings):
    """One Kipoi directory."""
    import yaml

    folder.mkdir()
    weights = os.path.basename(path)
    (shutil.copytree if os.path.isdir(path) else shutil.copyfile)(path, folder / weights)
    arguments = {"weights": weights}
    if settings.get("module"):
        arguments.update(module=_copied_module(settings["module"], folder),
                         module_args=settings.get("module_args") or {})
    (folder / "model.py").write_text(inspect.getsource(network_file) + OF_KIPOI, encoding="utf-8")
    model = {
        "defined_as": "model.Model",
        "args": arguments,
        "default_dataloader": {"defined_as": "kipoiseq.dataloaders.SeqIntervalDl",
                               "default_args": _dataloader_arguments(described)},
        "info": {"authors": [{"name": "author"}], "doc": f"the network of {weights}"},
        "dependencies": _dependencies(path, described),
        "schema": {"inputs": _input(described), "targets": _targets(described)},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(model, sort_keys=False), encoding="utf-8")


def _copied_module(module, folder):
    """Copy the Python file of a class and what it imports beside itself; --module as the directory has it."""
    where, _, name = module.rpartition(":")
    if not where.endswith(".py"):
        return module
    sources = file_model.own_sources(where)
    if "model.py" in sources:
        # the directory's own model.py is Kipoi's way in
        raise InputError(f"{sources['model.py']}: a Kipoi directory has a model.py of its own; rename yours")
    for relative, path in sources.items():
        if relative.startswith(".."):
            raise InputError(f"{where}: it imports {path}, which does not lie below its folder, and cannot be shared")
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / relative)
    return f"{os.path.basename(where)}:{name}"


def _dataloader_arguments(described: Description) -> dict:
    """How kipoiseq lays one-hot DNA out."""
    shape, letters = described.internals["shape"], described.internals["letters"]
    if shape is None:
        raise InputError(f"{described.name}: init writes networks that take one-hot DNA and nothing else; this one "
                         f"takes {described.layout}")
    letter_axis, position_axis = described.internals["axes"]
    arguments = {"alphabet_axis": letter_axis, "dtype": "np.float32", "label_dtype": "str",
                 "ignore_targets": True}
    others = [axis for axis in range(len(shape)) if axis not in (letter_axis, position_axis)]
    if others:
        arguments["dummy_axis"] = others[0]
    if letters != "ACGT":
        arguments["alphabet"] = letters
    return arguments


def _input(described):
    schema = {"shape": str(tuple(described.internals["shape"])), "doc": "one-hot DNA"}
    return {"name": described.internals["input"], **schema} if described.internals["input"] else schema


def _targets(described):
    """The outputs as the network gives them: one array, or a list or dict of arrays."""
    arrays = {tuple(path): tuple(shape) for path, shape in described.internals["marks"]["shapes"]}
    if set(arrays) == {()}:
        return {"shape": str(arrays[()]), "doc": "marks", **_labels(described.marks, arrays[()])}
    if any(len(path) != 1 for path in arrays):
        raise InputError(f"{described.name}: init cannot describe outputs in lists or dicts within others")
    schemas = {path[0]: {"shape": str(shape), "doc": "marks"} for path, shape in arrays.items()}
    if not all(isinstance(key, int) for key in schemas):
        return schemas
    names = described.internals["output_names"]
    return [{"name": names[k], **one} if len(names) == len(schemas) and names[k] else one
            for k, one in schemas.items()]


def _labels(marks, shape):
    """column_labels of an output of one axis; nothing where nobody named all of its columns."""
    made_up = {f"mark_{i}" for i in range(len(marks))}
    return {"column_labels": list(marks)} if shape == (len(marks),) and set(marks) != made_up else {}


def _dependencies(path, described):
    """The packages that read the file, in the versions that have read it."""
    versions = dict(described.versions)
    packages = PACKAGES.get(network_file.kind_of(path), ("torch",))
    found = [f"{name}=={versions[name].partition('+')[0]}" for name in packages if name in versions]
    return {"conda": ["python=" + ".".join(versions["python"].split(".")[:2])],
            "pip": found + ["safetensors"] * (network_file.kind_of(path) == network_file.SAFETENSORS)}


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
