"""The calls of layers in a Keras model's configuration, of Keras 1, 2 or 3, nested models included."""

from typing import NamedTuple

import numpy as np

from .errors import UnknownLayer

ARRAYS = "__numpy__", "__tensor__"  # classes of Keras 3's arrays
CONSTANT = "_CONSTANT_VALUE"  # in the place of a layer's name
MODELS = ("Functional", "Model", "Sequential")


class Result(NamedTuple):
    """A tensor among a call's arguments: the key of the call that it comes from, or of one of its several results."""

    key: tuple


class Call(NamedTuple):
    """One layer applied once.

    Attributes
    ----------
    key : tuple
        Names its output: the layer's path, (name,) or (model, ..., name), the number of the call, and 0; a layer's
        other results have their numbers in place of 0.
    class_name : str
    config : dict
    args : list
        What it is called with; tensors are `Result`.
    kwargs : dict
    """

    key: tuple
    class_name: str
    config: dict
    args: list
    kwargs: dict

    @property
    def inputs(self) -> list[tuple]:
        """Keys of the calls whose output it takes, in order."""
        return _keys([self.args, self.kwargs])

    @property
    def path(self) -> tuple[str, ...]:
        return self.key[0]

    @property
    def name(self) -> str:
        return "/".join(self.path)


def calls(model: dict) -> tuple[list[Call], dict[str, tuple]]:
    """All calls of a model, each after its inputs, and the keys of its outputs by name.

    Parameters
    ----------
    model : dict
        class_name and config, as Keras writes models.

    Raises
    ------
    UnknownLayer
        The model is of a class of its own.
    """
    result = []
    outputs = _model(model, (), None, result)
    return result, outputs


def _model(model, path, input_keys, result):
    """Add a model's calls; its outputs' keys by name. The whole model has no keys of inputs: None."""
    if model["class_name"] not in MODELS:
        raise UnknownLayer(f"the model is of class {model['class_name']}, which is not among {', '.join(MODELS)}")
    config = model["config"]
    layers = config if isinstance(config, list) else config["layers"]
    if model["class_name"] == "Sequential":
        return _sequential(layers, path, input_keys, result)
    return _functional(config, layers, path, input_keys, result)


def _sequential(layers, path, input_keys, result):
    key = input_keys[0] if input_keys else None
    for layer in layers:
        config = layer["config"]
        name = config["name"] if isinstance(config, dict) and "name" in config else layer["class_name"].lower()
        if layer["class_name"] == "InputLayer":
            if key is None:
                key = _add(result, path, name, layer)
            continue
        shape = isinstance(config, dict) and (config.get("batch_input_shape") or config.get("batch_shape"))
        if key is None and shape:
            entry = {"class_name": "InputLayer", "config": {"batch_input_shape": shape}}
            key = _add(result, path, f"{name}_input", entry)
        if key is None and layer["class_name"] not in MODELS:
            raise UnknownLayer(f"the model does not say what shape of input layer {name} takes")
        if layer["class_name"] in MODELS:
            (key,) = _model(layer, (*path, name), key and [key], result).values()
        else:
            key = _add(result, path, name, layer, [Result(key)])
    return {name: key}


def _functional(config, layers, path, input_keys, result):
    done = {}  # (layer, call number): its key, or for a model the list of its outputs' keys
    if input_keys is not None:
        inputs = map(tuple, _listed(config["input_layers"]))
        done = {source[:2]: [key] for source, key in zip(inputs, input_keys, strict=True)}
    waiting = []
    for layer in layers:
        name = layer.get("name", layer["config"].get("name"))
        nodes = layer.get("inbound_nodes") or []
        if not nodes and (name, 0) not in done:
            done[name, 0] = _add(result, path, name, layer)
        waiting += [(name, number, layer, _arguments(node)) for number, node in enumerate(nodes)]
    keys = [tuple(output) for output in _listed(config["output_layers"])]
    waiting = _renumbered(waiting, keys)
    while waiting:
        ready = [entry for entry in waiting if all(source[:2] in done for source in _keys(entry[3]))]
        if not ready:
            raise UnknownLayer(f"layer {waiting[0][0]} takes an input that is not a layer's output")
        for entry in ready:
            name, number, layer, arguments = entry
            args, kwargs = _with_keys(arguments, done)
            if layer["class_name"] in MODELS:
                outputs = _model(layer, (*path, name), _keys([args, kwargs]), result).values()
                done[name, number] = list(outputs)
            else:
                done[name, number] = _add(result, path, name, layer, args, kwargs)
        waiting = [entry for entry in waiting if entry not in ready]
    return {_distinct(key, keys): _key_of(key, done) for key in keys}


def _key_of(source, done):
    """Key of a tensor from (layer, call number, output number)."""
    name, number, index = source
    known = done[name, number]
    return known[index] if isinstance(known, list) else (*known[:2], index)


def _with_keys(value, done):
    """Arguments whose tensors are named by their calls' keys, no longer by (layer, call number, output number)."""
    if isinstance(value, Result):
        return Result(_key_of(value.key, done))
    if isinstance(value, dict):
        return {name: _with_keys(each, done) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_keys(each, done) for each in value)
    return value


def _renumbered(calls_of, outputs):
    """Calls of nested models counted from 1, as Keras 2 does: their own definition is their call 0."""
    used = [*outputs, *(source for entry in calls_of for source in _keys(entry[3]))]
    last_used, last = {}, {}
    for name, number, _ in used:
        last_used[name] = max(number, last_used.get(name, 0))
    for name, number, *_ in calls_of:
        last[name] = max(number, last.get(name, 0))
    return [(name, number + (last_used.get(name, 0) > last[name]), *rest) for name, number, *rest in calls_of]


def _distinct(key, keys):
    """Name of an output: its layer's, with a number if a layer has several."""
    return key[0] if [other[0] for other in keys].count(key[0]) == 1 else ":".join(map(str, key))


def _add(result, path, name, layer, args=(), kwargs=None):
    used = {call.key for call in result}
    number = 0
    while ((*path, name), number, 0) in used:
        number += 1
    result.append(Call(((*path, name), number, 0), layer["class_name"], layer["config"], list(args), kwargs or {}))
    return result[-1].key


def _listed(layers):
    """input_layers or output_layers as a list of [name, number, number], which Keras 3 shortens if there is one."""
    if isinstance(layers, dict):
        layers = list(layers.values())
    return [layers] if layers and isinstance(layers[0], str) else layers


def _arguments(node):
    """(arguments, named arguments) of a call as a configuration has it; each `Result` names a layer's output."""
    if isinstance(node, dict):
        return [_value(arg) for arg in node["args"]], {name: _value(arg) for name, arg in node["kwargs"].items()}
    entries = [node] if _is_entry(node) else node
    first = [_of_entry(entry) for entry in entries]
    named = entries[0][3] if entries and len(entries[0]) == 4 else {}
    return [first[0] if len(first) == 1 else first], {name: _value(arg) for name, arg in named.items()}


def _is_entry(value):
    """Whether a list is how Keras 1 and 2 write a tensor: [layer, call number, output number, named arguments]."""
    return (isinstance(value, (list, tuple)) and len(value) in (3, 4) and isinstance(value[0], str)
            and (value[0] == CONSTANT or all(isinstance(n, int) for n in value[1:3])))


def _of_entry(entry):
    """The tensor, or what tf_keras writes in the same way: [CONSTANT, -1, value]."""
    return entry[2] if entry[0] == CONSTANT else Result(tuple(entry[:3]))


def _value(value):
    """An argument of a call, with tensors as `Result`."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return Result(tuple(value["config"]["keras_history"]))
        if set(value) == {"start", "stop", "step"}:
            return slice(value["start"], value["stop"], value["step"])
        if value.get("class_name") in ARRAYS:
            return np.asarray(value["config"]["value"], value["config"]["dtype"])
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        if value.get("class_name") == "__slice__":
            return slice(*(value["config"][name] for name in ("start", "stop", "step")))
        return {name: _value(each) for name, each in value.items()}
    if _is_entry(value):
        return _of_entry(value)
    if isinstance(value, (list, tuple)):
        values = [_value(each) for each in value]
        return tuple(values) if any(isinstance(each, slice) or each is Ellipsis for each in values) else values
    return value


def filled(value: object, values: dict[tuple, object]) -> object:
    """Arguments of a call with what stands for each of its `Result`s, by their keys."""
    if isinstance(value, Result):
        return values[value.key]
    if isinstance(value, dict):
        return {name: filled(each, values) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(each, values) for each in value)
    return value


def _keys(value):
    """Keys of all tensors in arguments, in order."""
    if isinstance(value, Result):
        return [value.key]
    each = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return [key for part in each for key in _keys(part)]
