"""A network file in place of a Kipoi directory: what its model.yaml would say is read from the file, or tried."""

import ast
import os
import sys

import numpy as np

from . import checksums, nested, network_file, saturation
from .encoding import OneHot, OneHotForm
from .errors import ModelError, is_out_of_memory, model_code, one_line
from .forms import parse_layout
from .live import Array, Schema
from .tensors import as_array
from .torch_masks import is_network as is_torch

# axes of DNA that are tried: how many, which is that of the letters and which that of the positions
FORMS = [OneHotForm(*axes) for axes in ((2, 0, 1), (2, 1, 0), (3, 0, 2), (3, 0, 1), (3, 1, 2), (3, 2, 1), (3, 1, 0))]
N_TRIED = 3  # sequences: one or four could be taken for a channel or for the letters


def is_file(model):
    """Whether a model is named by its file (or SavedModel folder), not by a Kipoi directory."""
    return os.path.isfile(model) or os.path.isdir(model) and network_file.kind_of(model) is not None


class FileModel:
    """A network file with what a loaded Kipoi model has.

    Parameters
    ----------
    path : str
    settings : dict
        As for `session.HostedModel`; of it module, module_args, seq_layout, alphabet, length and interval_length are
        used.
    name : str
        What it is called in messages.

    Raises
    ------
    ModelError
        It is no network, or takes no one-hot DNA of that length.
    """

    default_dataloader = None

    def __init__(self, path, settings, name):
        module, arguments = settings.get("module"), settings.get("module_args")
        with model_code(f"model {name} cannot be loaded"):
            try:
                self.network_file = network_file.NetworkFile(path, module, arguments)
            except network_file.NetworkError as error:
                raise ModelError(str(error).replace(path, name)) from error
        self.source_dir = os.path.dirname(os.path.abspath(path))
        self.args = {"weights": os.path.abspath(path)}
        if module:
            self.args.update(module=module, module_args=arguments or {})
        inputs, outputs = self.network_file.inputs, self.network_file.outputs
        if inputs is None:
            self.schema = Schema(Array(self._tried_shape(settings, name)), Array())
            return
        targets = [Array(shape, name) for name, shape in outputs or ()]
        self.schema = Schema([Array(shape, name) for name, shape in inputs] if len(inputs) > 1
                             else Array(inputs[0][1], inputs[0][0]),
                             targets if len(targets) > 1 else Array())

    def predict_on_batch(self, x):
        """What the network answers."""
        return self.network_file.predict_on_batch(x)

    def files(self):
        """What its answers depend on: paths by names that are the same wherever the files lie."""
        found, _ = checksums.of_arguments("", {"weights": self.args["weights"]})
        where = self.args.get("module", "").rpartition(":")[0]
        if where.endswith(".py"):
            found.update(own_sources(where))
        elif where:
            found[where] = sys.modules[where].__file__
        return found

    def _tried_shape(self, settings, name):
        """Shape of the only form of one-hot DNA that the network takes."""
        length = settings.get("length") or settings.get("interval_length")
        if not length:
            raise ModelError(f"model {name}: its file does not tell how many bases the network takes; give --length")
        asked = settings.get("seq_layout")
        forms = [parse_layout(asked)] if asked else FORMS
        if () in forms:
            raise ModelError(f"model {name}: --seq_layout string: a network in a file takes one-hot DNA")
        tried = [(form, *self._tried(form, length, settings.get("alphabet") or "ACGT")) for form in forms]
        taken = [form for form, problem, _ in tried if problem is None]
        if len(taken) == 1:
            return taken[0].shape(length)
        if taken:
            raise ModelError("model {}: its network takes DNA as {}; --seq_layout says which is right".format(
                name, " and as ".join(form.text() for form in taken)))
        form, problem, _ = max(tried, key=lambda each: each[2])  # the others tell less: they stop at the first layer
        raise ModelError("model {}: its network does not take one-hot DNA of {} bases{}; as {}: {}; --length says how "
                         "many bases it takes, --seq_layout its axes".format(
                             name, length, "" if asked else " in any layout", form.text(length), problem))

    def _tried(self, form, length, alphabet):
        """Why the network refuses sequences in a form, None if it answers each; and how many layers they passed."""
        drawn = saturation.BASES[np.random.RandomState(0).randint(0, 4, (N_TRIED, length))]
        passed = []
        hooks = [layer.register_forward_hook(lambda *_: passed.append(None)) for layer in self._layers()]
        try:
            answer = self.predict_on_batch(OneHot(form, alphabet, np.float32).encode(drawn))
            shapes = [as_array(value).shape for _, value in nested.leaves(answer)]
        except Exception as error:  # of the network's own code
            if is_out_of_memory(error):
                raise
            return one_line(error), len(passed)
        finally:
            for hook in hooks:
                hook.remove()
        problem = None if all(shape[:1] == (N_TRIED,) for shape in shapes) else f"it answers the shapes {shapes}"
        return problem, len(passed)

    def _layers(self):
        """Inner modules of a PyTorch network; those of TorchScript tell nothing."""
        network = self.network_file.network
        return list(network.modules()) if is_torch(network) and not hasattr(network, "inlined_graph") else []


def own_sources(path):
    """A Python file and those beside it that it imports, and so on: dict of name relative to its folder to path."""
    folder, found, waiting = os.path.dirname(os.path.abspath(path)), {}, [os.path.abspath(path)]
    while waiting:
        file = waiting.pop()
        name = os.path.relpath(file, folder).replace(os.path.sep, "/")
        if name in found:
            continue
        found[name] = file
        with open(file, "rb") as text:
            tree = ast.parse(text.read(), file)
        waiting += [there for node in ast.walk(tree) for there in _imported_files(node, folder, os.path.dirname(file))]
    return found


def _imported_files(node, folder, own_folder):
    """Files of a folder that one import statement names."""
    if isinstance(node, ast.Import):
        names, base = [alias.name for alias in node.names], folder
    elif isinstance(node, ast.ImportFrom):
        base = folder if not node.level else os.path.normpath(os.path.join(own_folder, *[".."] * (node.level - 1)))
        stem = [node.module] if node.module else []
        names = [".".join(stem)] * bool(stem) + [".".join(stem + [alias.name]) for alias in node.names]
    else:
        return
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            there = os.path.join(base, *parts[:depth])
            for file in (there + ".py", os.path.join(there, "__init__.py")):
                if os.path.isfile(file):
                    yield file
