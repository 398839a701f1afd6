"""A network in a file of PyTorch, Keras or TensorFlow, asked as Kipoi asks a model.

This module stands alone: `init` copies it into the Kipoi directories that it writes, as their model.py.
"""

import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
import zipfile
from contextlib import contextmanager

import numpy as np

KERAS_ZIP, HDF5, SAVED_MODEL = "a .keras file", "an HDF5 file", "a SavedModel folder"
TORCH_WEIGHTS, SAFETENSORS, TORCHSCRIPT, EXPORTED = "PyTorch weights", "safetensors", "TorchScript", "torch.export"
WEIGHTS = (TORCH_WEIGHTS, SAFETENSORS)  # that need --module
OF_STATE = ("state_dict", "model_state_dict", "model")  # keys of checkpoints, the first one wins
MOST_SHOWN = 3
# what a program of torch.export may call, and the words of its sizes
OPERATIONS = re.compile(r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?$|torch\.sym_\w+$|"
                        r"_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_)$|"
                        r"math\.(ceil|floor|trunc|sqrt)$")
SYMBOLIC = set("Symbol Integer Float Rational Add Mul Pow Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv "
               "ModularIndexing Eq Ne Lt Le Gt Ge And Or Not positive nonnegative negative integer precision "
               "True False".split())
WAY_OUT = "save torch.save(net.state_dict(), FILE) where you trained it, and name the class with --module FILE.py:CLASS"


class NetworkError(ValueError):
    """The file or the class cannot be used; the message is for the user."""


class NetworkFile:
    """The network of a file.

    Parameters
    ----------
    weights : str
        A `state_dict` (or a checkpoint that holds one), safetensors, TorchScript, torch.export's .pt2, a Keras file, or
        a SavedModel folder.
    module : str, optional
        The network's class, or a function that makes it: FILE.py:NAME or PACKAGE.MODULE:NAME.
    module_args : dict, optional
        Its keyword arguments.

    Attributes
    ----------
    network : torch.nn.Module, keras.Model, or a TensorFlow function
    inputs, outputs : list of (name, shape), or None
        As the file tells them, without the batch axis; None among a shape's sizes is any.

    Raises
    ------
    NetworkError
    """

    def __init__(self, weights, module=None, module_args=None):
        kind = kind_of(weights)
        if kind is None:
            raise NetworkError(f"{weights}: not a network that we know ({_what_it_is(weights)}); PyTorch (.pt, "
                               ".safetensors, .pt2), Keras (.keras, .h5) and SavedModel folders are read")
        if module and kind in (TORCHSCRIPT, EXPORTED, SAVED_MODEL):
            raise NetworkError(f"{weights}: {kind} holds its network itself, so --module does not go with it")
        if module_args and not module:
            raise NetworkError("--module_args goes with --module")
        made = make_network(module, module_args or {}) if module else None
        read = {KERAS_ZIP: _keras, HDF5: _keras, SAVED_MODEL: _saved_model, TORCHSCRIPT: _torchscript,
                EXPORTED: _exported}.get(kind, _torch_weights)
        self._asked = read(str(weights), made, module)
        self.network, self.inputs, self.outputs = self._asked.network, self._asked.inputs, self._asked.outputs

    def predict_on_batch(self, x):
        """What the network answers: arrays, or tensors of types that numpy lacks."""
        return self._asked.predict(x)


def kind_of(path):
    """What a file or folder holds, by its content; None if it is no network."""
    path = str(path)
    if os.path.isdir(path):
        return SAVED_MODEL if os.path.isfile(os.path.join(path, "saved_model.pb")) else None
    with open(path, "rb") as file:
        start = file.read(16)
    if start[:8] == b"\x89HDF\r\n\x1a\n":
        return HDF5
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _kind_of_zip(archive.namelist())
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= os.path.getsize(path) - 8:
        return SAFETENSORS
    if start[:1] == b"\x80" and start[2:3] in (b"\x8a", b"c", b"}", b"(", b"\x95"):  # torch.save before 1.6
        return TORCH_WEIGHTS
    return None


def _kind_of_zip(names):
    last = {name.split("/", 1)[-1] for name in names}
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return KERAS_ZIP
    if "serialized_exported_program.json" in names or "archive_format" in last:
        return EXPORTED
    if "constants.pkl" in last:
        return TORCHSCRIPT
    return TORCH_WEIGHTS if "data.pkl" in last else None


def _what_it_is(path):
    if os.path.isdir(path):
        return "a folder without model.yaml and saved_model.pb"
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: run `git lfs pull`"
    return "an empty file" if not start else f"it begins with {start[:12]!r}"


def make_network(module, arguments):
    """The network that a class or function makes; FILE.py:NAME or PACKAGE.MODULE:NAME."""
    where, _, name = module.rpartition(":")
    if not where or not name:
        raise NetworkError(f"--module {module}: give FILE.py:CLASS")
    made = find_in_module(where, name)
    try:
        inspect.signature(made).bind(**arguments)
    except TypeError as error:
        raise NetworkError(f"--module {module}: {name}{inspect.signature(made)} cannot be called with "
                           f"{json.dumps(arguments)}: {error}; give --module_args '{{...}}'") from error
    except ValueError:  # it has no signature that Python knows
        pass
    try:
        network = made(**arguments)
    except Exception as error:  # the user's own code
        raise NetworkError(f"--module {module}: {name}({_as_keywords(arguments)}) failed: "
                           f"{type(error).__name__}: {error}") from error
    if not hasattr(network, "state_dict") and not hasattr(network, "load_weights"):
        raise NetworkError(f"--module {module}: {name} makes a {type(network).__name__}, no PyTorch or Keras network")
    return network


def _as_keywords(arguments):
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def find_in_module(where, name):
    """A class or function of a Python file or an importable module."""
    if where.endswith(".py") or os.path.sep in where:
        if not os.path.isfile(where):
            raise NetworkError(f"--module {where}:{name}: no such file: {where}")
        module = _import_file(os.path.abspath(where))
    else:
        try:
            module = importlib.import_module(where)
        except Exception as error:  # whatever a package's code raises
            raise NetworkError(f"--module {where}:{name}: it cannot be imported: {type(error).__name__}: "
                               f"{error}") from error
    found = getattr(module, name, None)
    if callable(found):
        return found
    own = [key for key, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__]
    raise NetworkError("--module {}:{}: no class {} there; its classes are: {}".format(
        where, name, name, ", ".join(own) or "none"))


def _import_file(path):
    """A module from its file; what it imports from its own folder is that folder's, whatever was imported before."""
    name = "network_" + re.sub(r"\W", "_", os.path.realpath(path))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    folder = os.path.dirname(path)
    known = set(sys.modules)
    sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # the user's own code, which may call sys.exit, too
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise NetworkError(f"--module {path}: it cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
        for new in set(sys.modules) - known - {name}:
            if _lies_in(sys.modules[new], folder):
                del sys.modules[new]
    return module


def _lies_in(module, folder):
    file = getattr(module, "__file__", None) or ""
    return file.startswith(folder + os.path.sep) and "site-packages" not in file[len(folder):]


class _Asked:
    """A network and how it is asked."""

    def __init__(self, network, predict, inputs=None, outputs=None):
        self.network, self.predict, self.inputs, self.outputs = network, predict, inputs, outputs


# ---- PyTorch


def _torch_weights(path, network, module):
    """A class with the weights of a file: every tensor must have its place."""
    if network is None:
        raise NetworkError(f"{path}: it holds weights without a network; name its class with --module FILE.py:CLASS")
    if not hasattr(network, "state_dict"):
        raise NetworkError(f"{path}: PyTorch weights, but --module {module} makes a {type(network).__name__}")
    own = network.state_dict()
    state = _fitting(path, _state_of(path, _read_tensors(path)), own, module)
    network.load_state_dict(state)
    return _torch_asked(network)


def _read_tensors(path):
    """What a file of weights holds, without running any code that it may hold."""
    import torch

    if kind_of(path) == SAFETENSORS:
        try:
            from safetensors.torch import load_file
        except ImportError:
            raise NetworkError(f"{path}: reading it needs safetensors: pip install safetensors") from None
        with _reading(path):
            return load_file(path, device="cpu")
    if "weights_only" not in inspect.signature(torch.load).parameters:
        raise NetworkError(f"{path}: PyTorch {torch.__version__} cannot read it without running code that it may hold; "
                           "PyTorch 1.13 or later can, or save it as safetensors or TorchScript")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not named and "weights_only" not in str(error).lower() and "Unsupported" not in str(error):
            raise NetworkError(f"{path}: it cannot be read: {type(error).__name__}: {_first_line(error)}") from error
        held = f" ({named.group(1)})" if named else ""
        raise NetworkError(f"{path}: it holds pickled Python objects{held}, not only weights, and loading those runs "
                           f"any code in the file, so it is not loaded; {WAY_OUT}") from error


@contextmanager
def _reading(path):
    """Within this context a library reads a file; whatever it raises says that it cannot."""
    try:
        yield
    except Exception as error:
        raise NetworkError(f"{path}: it cannot be read: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error):
    return str(error).strip().partition("\n")[0]


def _state_of(path, read):
    """The state_dict in what was read: itself, or the one that a checkpoint holds."""
    if _is_state(read):
        return read
    if not isinstance(read, dict):
        raise NetworkError(f"{path}: it holds a {type(read).__name__}, not a state_dict; {WAY_OUT}")
    held = [key for key, value in read.items() if _is_state(value)]
    named = [key for key in OF_STATE if key in held] or held
    if len(named) != 1 and not (named and named[0] in OF_STATE):
        raise NetworkError("{}: it is a checkpoint with the keys {}, of which {} hold weights; a key state_dict is "
                           "expected".format(path, ", ".join(map(str, read)), ", ".join(map(str, held)) or "none"))
    return read[named[0]]


def _is_state(value):
    return isinstance(value, dict) and bool(value) and all(
        isinstance(key, str) and hasattr(tensor, "detach") for key, tensor in value.items())


def _fitting(path, state, own, module):
    """The tensors under the network's own names, a common prefix left out; NetworkError where they do not fit."""
    prefix = _prefix(state, own)
    if not all(key.startswith(prefix) for key in state):
        prefix = ""
    state = {key[len(prefix):]: tensor for key, tensor in state.items()}
    wrong = [f"{key}: {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the network"
             for key in own if key in state and tuple(state[key].shape) != tuple(own[key].shape)]
    # counts of batches are no weights, and old files lack them
    wrong += [f"{key}: not in the file" for key in own if key not in state and not key.endswith("num_batches_tracked")]
    wrong += [f"{key}: not in the network" for key in state if key not in own]
    if wrong:
        rest = len(wrong) - MOST_SHOWN
        raise NetworkError("{}: its weights do not fit {}: {}{}".format(
            path, module, "; ".join(wrong[:MOST_SHOWN]), f"; and {rest} more" if rest > 0 else ""))
    return {**{key: value for key, value in own.items() if key not in state}, **state}


def _prefix(state, own):
    """What stands before the network's names in the file: `module.` of DataParallel, `_orig_mod.` of torch.compile."""
    for key in own:
        for there in state:
            if there != key and there.endswith("." + key) and key not in state:
                prefix = there[:-len(key)]
                if all(prefix + each in state for each in own if not each.endswith("num_batches_tracked")):
                    return prefix
    return next((prefix for prefix in ("module.", "_orig_mod.", "model.")
                 if state and all(key.startswith(prefix) for key in state)), "")


def _torchscript(path, network, module):
    import torch

    try:
        loaded = torch.jit.load(path, map_location="cpu")
    except Exception as error:
        raise NetworkError(f"{path}: TorchScript that cannot be read: {_first_line(error)}") from error
    return _torch_asked(loaded)


def _exported(path, network, module):
    import torch

    if not hasattr(torch, "export"):
        raise NetworkError(f"{path}: reading it needs PyTorch 2.1 or later, not {torch.__version__}")
    _refuse_foreign_calls(path)
    with _no_pickles():
        try:
            program = torch.export.load(path)
        except Exception as error:
            raise NetworkError(f"{path}: torch.export's file cannot be read without running code that it may hold: "
                               f"{type(error).__name__}: {_first_line(error)}") from error
    signature = program.graph_signature
    shapes = [tuple(node.meta["val"].shape) for node in program.graph.nodes
              if node.op == "placeholder" and node.name in signature.user_inputs]
    names = list(signature.user_inputs)
    inputs = [(name, tuple(size if isinstance(size, int) else None for size in shape[1:]))
              for name, shape in zip(names, shapes)]
    fixed = shapes[0][0] if shapes and isinstance(shapes[0][0], int) else None
    return _torch_asked(program.module(), inputs, fixed)


def _refuse_foreign_calls(path):
    """torch.export.load evaluates texts as Python and calls what they name: only PyTorch's own operations may be."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        texts = [archive.read(name) for name in names if name.endswith(".json")]
    foreign = [name for name in names if name.rsplit("/", 1)[-1].startswith(("custom_obj", "opaque_obj"))]
    for part in (part for text in texts for part in _dicts(json.loads(text.decode()))):
        target, expression = part.get("target"), part.get("expr_str")
        if "inputs" in part and isinstance(target, str) and not OPERATIONS.match(target):
            foreign.append(target)
        if isinstance(expression, str) and not set(re.findall(r"[^\W\d]\w*", expression)) <= SYMBOLIC | set(
                re.findall(r"\b[suz]\d+\b", expression)):
            foreign.append(expression)
    if foreign:
        raise NetworkError(f"{path}: it holds more than PyTorch's operations ({foreign[0]:.80}), code that loading it "
                           f"would run, so it is not loaded; {WAY_OUT}")


@contextmanager
def _no_pickles():
    """Within this context every torch.load refuses pickled objects, those that torch itself calls, too."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _torch_asked(network, inputs=None, fixed_batch=None):
    """A PyTorch network; `fixed_batch` is the only number of sequences that it takes at once, if it is fixed."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device)
    try:
        network.eval()
    except NotImplementedError:  # an exported program is as it was exported
        pass
    dtype = next((each.dtype for each in network.parameters() if each.is_floating_point()), torch.float32)

    def call(arrays):
        with torch.no_grad():
            return _mapped(network(*[torch.as_tensor(array).to(device, dtype) for array in arrays]), _of_torch)

    def predict(x):
        arrays = list(x) if isinstance(x, (list, tuple)) else [x]
        if fixed_batch in (None, len(arrays[0])):
            return call(arrays)
        return _in_batches(call, arrays, fixed_batch)

    return _Asked(network, predict, inputs)


def _in_batches(call, arrays, size):
    """Answers of a network that takes batches of one size only: the last one is filled up."""
    n, parts = len(arrays[0]), []
    for start in range(0, n, size):
        rows = [min(row, n - 1) for row in range(start, start + size)]
        parts.append(call([array[rows] for array in arrays]))
    return _joined(parts, n)


def _joined(parts, n):
    first = parts[0]
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts], n) for key in first}
    if isinstance(first, list):
        return [_joined([part[k] for part in parts], n) for k in range(len(first))]
    return np.concatenate([np.asarray(part) for part in parts])[:n]


def _of_torch(value):
    """An array; a tensor of a type that numpy lacks stays one."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return value if str(value.dtype) == "torch.bfloat16" else value.numpy()


def _mapped(tree, function):
    """A network's answer, its leaves changed."""
    if isinstance(tree, dict):
        return {key: _mapped(value, function) for key, value in tree.items()}
    if hasattr(tree, "_asdict"):
        return {key: _mapped(value, function) for key, value in tree._asdict().items()}
    return [_mapped(value, function) for value in tree] if isinstance(tree, (list, tuple)) else function(tree)


# ---- Keras and TensorFlow


def _keras(path, network, module):
    """A Keras network: the file's own, or that of --module with the file's weights."""
    if network is None:
        network = _load_keras(path)
    elif not hasattr(network, "load_weights"):
        raise NetworkError(f"{path}: Keras weights, but --module {module} makes a {type(network).__name__}")
    else:
        try:
            network.load_weights(path)
        except Exception as error:
            raise NetworkError(f"{path}: its weights do not fit {module}: {_one_line(error)}") from error
    inputs, outputs = _keras_ends(network, "inputs"), _keras_ends(network, "outputs")
    names = getattr(network, "output_names", None)
    if outputs and names and len(names) == len(outputs):
        outputs = [(str(name), shape) for name, (_, shape) in zip(names, outputs)]
    return _Asked(network, network.predict_on_batch, inputs, outputs)


def _load_keras(path):
    """By Keras, and if that refuses what an older one wrote, by tf_keras; no Python code in the file is run."""
    _refuse_lambdas(path)
    refused = []
    for name in ("keras", "tf_keras"):
        if importlib.util.find_spec(name) is None:
            continue
        try:
            return importlib.import_module(name).models.load_model(path, compile=False)
        except Exception as error:
            refused.append(f"{name}: {_one_line(error)}")
    if not refused:
        raise NetworkError(f"{path}: reading it needs Keras: pip install 'kipoi_deepmr[tensorflow]'")
    if "lambda" in refused[0].lower():
        raise _has_lambda(path)
    raise NetworkError("{}: Keras cannot load it ({}); if it holds weights only, or layers of your own, --module "
                       "FILE.py:FUNCTION makes the network".format(path, "; ".join(refused)))


def _refuse_lambdas(path):
    """Keras files of HDF5 may hold Python code that old versions of Keras run."""
    if kind_of(path) != HDF5:
        return
    import h5py

    with _reading(path), h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
    if config is None:
        raise NetworkError(f"{path}: it holds weights without a network; --module FILE.py:FUNCTION makes the network, "
                           "or save the whole model")
    config = json.loads(config.decode() if isinstance(config, bytes) else config)
    if any(_is_lambda(layer) for layer in _dicts(config)):
        raise _has_lambda(path)


def _is_lambda(layer):
    return layer.get("class_name") == "Lambda" and isinstance(layer.get("config"), dict) and (
        layer["config"].get("function_type") == "lambda" or isinstance(layer["config"].get("function"), (list, dict)))


def _has_lambda(path):
    return NetworkError(f"{path}: it holds a Lambda layer, Python code that loading the file would run, so it is not "
                        "loaded; make the network with --module FILE.py:FUNCTION, and only its weights are read")


def _dicts(tree):
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _dicts(value)


def _keras_ends(network, which):
    """Names and shapes of a Keras network's inputs or outputs; None if it was never told them."""
    try:
        tensors = getattr(network, which)
        shapes = [tuple(None if size is None else int(size) for size in tensor.shape)[1:] for tensor in tensors]
        return [(str(tensor.name).split(":")[0], shape) for tensor, shape in zip(tensors, shapes)] or None
    except (AttributeError, TypeError, ValueError):
        return None


def _saved_model(path, network, module):
    """The serving function of a SavedModel, whoever wrote it."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(path)
        function = loaded.signatures["serving_default"]
    except Exception as error:
        raise NetworkError(f"{path}: a SavedModel without a function serving_default that can be loaded: "
                           f"{_one_line(error)}") from error
    inputs, outputs = _specs(function.structured_input_signature[1]), _specs(function.structured_outputs)
    types = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}

    def predict(x):
        arrays = list(x) if isinstance(x, (list, tuple)) else [x]
        answers = function(**{name: tf.constant(array, types[name]) for (name, _), array in zip(inputs, arrays)})
        found = {name: answers[name].numpy() for name, _ in outputs}
        return found if len(found) > 1 else next(iter(found.values()))

    function.kept_alive = loaded  # its variables live as long as it does
    return _Asked(function, predict, inputs, outputs)


def _specs(named):
    return [(name, tuple(spec.shape.as_list())[1:]) for name, spec in sorted(named.items())]


def _one_line(error):
    return "{}: {}".format(type(error).__name__, " ".join(str(error).split())[:300])
