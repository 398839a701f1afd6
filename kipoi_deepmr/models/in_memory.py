"""Networks and functions that this process holds, as models of ours."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..options import ModelOptions
from .host import keras_masks, torch_masks
from .host.errors import ModelError
from .host.forms import parse_layout
from .host.live import Array, FunctionModel, KerasModel, LiveModel, TorchModel
from .kipoi_model import KipoiModel
from .settings import settings_of

# Options of `ModelOptions` that networks in memory have under other names, or not at all
NOT_THESE = ("models", "source", "stack", "python", "env", "jobs", "worker_timeout", "marks", "mark_names",
             "mark_table", "member_columns", "seq_layout", "mark_groups", "mark_groups_by", "module", "module_args")
IN_PYTHON = {"mark_names": "marks", "mark_table": "marks", "mark_groups": "marks", "mark_groups_by": "marks",
             "seq_layout": "layout"}
# Ways out that a message names which Python has otherwise
WAYS_OUT = {"column_labels in model.yaml, or --mark_names FILE": "marks=[...]",
            "--marks 0,3,7; --marks '*' for all": 'marks={"name": 0, ...}'}
MODEL_NAME = "member{}"


def models_of(kind: str, networks: Sequence | Mapping, *, length: int | None, layout: str | None,
              marks: Sequence | Mapping | None, names: Sequence[str] | None, seed: int,
              options: Mapping, every: bool = False) -> tuple[list[KipoiModel], dict, int | None]:
    """Networks as models, the settings by which they are read, and their batch size.

    Parameters
    ----------
    kind : {"torch", "keras", "function"}
    networks, length, layout, marks, names, seed, options
        As for `Ensemble.from_torch`.
    every : bool
        Whether all outputs are wanted as they are, however many: members' columns are chosen among them.

    Raises
    ------
    InputError
        One of them is something else, or cannot be read; the message says which argument to change.
    """
    networks, names = _checked(kind, networks, names)
    chosen = _options(options)
    settings = {**settings_of(chosen, seed), **_settings_of_marks(marks), **({"seq_layout": layout} if layout else {})}
    read = {**settings, "length": _length(length), "batch_size": chosen.batch_size}
    if every:
        read["marks"] = ["*"]
    made = []
    for name, network in zip(names, networks, strict=True):
        try:
            made.append(KipoiModel(_live(kind, network, read["length"], layout), settings=read, name=name))
        except (InputError, ModelError) as error:
            raise InputError(_in_python(str(error), read["length"], layout)) from error
    return made, settings, chosen.batch_size


def _checked(kind, networks, names):
    """The networks and their names."""
    is_one = KINDS[kind][0]
    if is_one(networks):
        networks = [networks]
    elif isinstance(networks, Mapping):
        names, networks = names or list(networks), list(networks.values())
    try:
        networks = list(networks)
    except TypeError:
        raise InputError(f"{networks!r:.100} is no {KINDS[kind][1]}, nor a list of them") from None
    if not networks:
        raise InputError(f"the list of models is empty: give trained replicates of one {KINDS[kind][1]}")
    for number, network in enumerate(networks):
        if not is_one(network):
            raise InputError(f"model {number} of the list is a {type(network).__name__}, not a {KINDS[kind][1]}")
        other = next((k for k in ("keras", "torch") if kind == "function" and KINDS[k][0](network)), None)
        if other:
            raise InputError(f"model {number} of the list is a network, a {type(network).__name__}: use "
                             f"Ensemble.from_{other}")
    names = [MODEL_NAME.format(k + 1) for k in range(len(networks))] if names is None else [str(name) for name in names]
    if len(names) != len(networks) or len(set(names)) < len(names):
        raise InputError(f"names: {len(names)} names ({len(set(names))} different) for {len(networks)} models: each "
                         "needs one of its own")
    return networks, names


def _options(options):
    """Options by name, as the command line has them, but for those that go by other names here."""
    for name in options:
        if name in NOT_THESE:
            other = f"; here it is {IN_PYTHON[name]}=" if name in IN_PYTHON else ", not of models in memory"
            raise InputError(f"{name} is an option of the command line{other}")
    return ModelOptions(**options)


def _settings_of_marks(marks):
    """Names of all outputs, or marks by the numbers of their outputs."""
    if marks is None:
        return {}
    if isinstance(marks, Mapping):
        return {"mark_groups": {str(name): [str(one) for one in (of if isinstance(of, (list, tuple)) else [of])]
                                for name, of in marks.items()}}
    if isinstance(marks, str):
        raise InputError(f"marks: {marks!r} is one text; give a list of names, one for each output of the model")
    return {"mark_names": [str(name) for name in marks]}


def _length(length):
    if length is None:
        return None
    if isinstance(length, (bool, np.bool_)) or not isinstance(length, (int, np.integer)) or length < 1:
        raise InputError(f"length: a whole number of bases is needed, not {length!r}")
    return int(length)


def _live(kind, network, length, layout) -> LiveModel:
    """A network as what `HostedModel` sees."""
    if kind != "keras" and length is None:
        raise InputError("length: say how many bases a sequence has, as in length=500")
    if kind == "torch":
        return TorchModel(network, _input_of_layout(layout, length))
    if kind == "function":
        return FunctionModel(network, length)
    return _live_keras(network, length, layout)


def _live_keras(network, length, layout):
    """A Keras model; one that is not built yet has no shapes, and is read by layout and length."""
    shapes = _try(lambda: network.input_shape)
    if shapes is None:
        if length is None:
            raise InputError("a Keras model that has no input shape: give its length, as in length=500")
        return KerasModel(network, _input_of_layout(layout or "L,4", length))
    if isinstance(shapes, dict):
        inputs = {name: Array(tuple(shape)[1:], name) for name, shape in shapes.items()}
    elif isinstance(shapes, list):
        names = _try(lambda: network.input_names) or [None] * len(shapes)
        inputs = [Array(tuple(shape)[1:], name) for shape, name in zip(shapes, names, strict=True)]
        inputs = inputs[0] if len(inputs) == 1 else inputs
    else:
        inputs = Array(tuple(shapes)[1:])
    outputs, names = _try(lambda: network.output_shape), _try(lambda: network.output_names)
    targets = None
    if isinstance(outputs, list) and names and len(names) == len(outputs) > 1:
        targets = [Array(tuple(shape)[1:], name) for shape, name in zip(outputs, names, strict=True)]
    return KerasModel(network, inputs, targets)


def _input_of_layout(layout, length):
    form = parse_layout(layout)
    if isinstance(form, tuple):
        raise InputError('layout: text is no input of a network; give the axes, such as "4,L" or "L,4"')
    return Array(form.shape(length))


def _try(get):
    """What a Keras model says of itself, None where it does not know: each version raises errors of its own."""
    try:
        return get()
    except Exception:
        return None


def _in_python(text, length, layout):
    """A message about options of the command line as one about arguments."""
    for told, ours in WAYS_OUT.items():
        text = text.replace(told, ours)
    text = re.sub(r"--([a-z_]+)", lambda found: f"{IN_PYTHON.get(found[1], found[1])}=", text)
    if "failed to predict" not in text or not layout:
        return text
    shape = ", ".join(str(length) if axis.strip() == "L" else axis.strip() for axis in layout.split(","))
    return f"{text}; it was given an array (batch, {shape}): is that what it takes? (length=, layout=)"


def _is_function(value):
    return callable(value) and not isinstance(value, type)


KINDS = {"torch": (torch_masks.is_network, "torch.nn.Module"), "keras": (keras_masks.is_network, "Keras model"),
         "function": (_is_function, "function")}
