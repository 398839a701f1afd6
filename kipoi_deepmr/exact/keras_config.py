"""The calls of layers in a Keras model's configuration, of Keras 1, 2 or 3, nested models included."""

from typing import NamedTuple

from .errors import UnknownLayer

MODELS = ("Functional", "Model", "Sequential")


class Call(NamedTuple):
    """One layer applied once.

    Attributes
    ----------
    key : tuple
        Names its output; the first is the layer's path, (name,) or (model, ..., name).
    class_name : str
    config : dict
    inputs : list of tuple
        Keys of the calls whose output it takes.
    """

    key: tuple
    class_name: str
    config: dict
    inputs: list

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
                key = _add(result, path, name, layer, [])
            continue
        shape = isinstance(config, dict) and (config.get("batch_input_shape") or config.get("batch_shape"))
        if key is None and shape:
            entry = {"class_name": "InputLayer", "config": {"batch_input_shape": shape}}
            key = _add(result, path, f"{name}_input", entry, [])
        if key is None and layer["class_name"] not in MODELS:
            raise UnknownLayer(f"the model does not say what shape of input layer {name} takes")
        if layer["class_name"] in MODELS:
            (key,) = _model(layer, (*path, name), key and [key], result).values()
        else:
            key = _add(result, path, name, layer, [key])
    return {name: key}


def _functional(config, layers, path, input_keys, result):
    done = {}  # (layer, call number, output number): key
    if input_keys is not None:
        done = dict(zip(map(tuple, _listed(config["input_layers"])), input_keys, strict=True))
    waiting = []
    for layer in layers:
        name = layer.get("name", layer["config"].get("name"))
        nodes = layer.get("inbound_nodes") or []
        if not nodes and (name, 0, 0) not in done:
            done[name, 0, 0] = _add(result, path, name, layer, [])
        waiting += [(name, number, layer, _sources(node)) for number, node in enumerate(nodes)]
    keys = [tuple(output) for output in _listed(config["output_layers"])]
    waiting = _renumbered(waiting, keys)
    while waiting:
        ready = [entry for entry in waiting if all(source in done for source in entry[3])]
        if not ready:
            raise UnknownLayer(f"layer {waiting[0][0]} takes an input that is not a layer's output")
        for entry in ready:
            name, number, layer, sources = entry
            inputs = [done[source] for source in sources]
            if layer["class_name"] in MODELS:
                outputs = _model(layer, (*path, name), inputs, result).values()
                done.update({(name, number, i): key for i, key in enumerate(outputs)})
            else:
                done[name, number, 0] = _add(result, path, name, layer, inputs)
        waiting = [entry for entry in waiting if entry not in ready]
    return {_distinct(key, keys): done[key] for key in keys}


def _renumbered(calls_of, outputs):
    """Calls of nested models counted from 1, as Keras 2 does: their own definition is their call 0."""
    used = [*outputs, *(source for entry in calls_of for source in entry[3])]
    last_used, last = {}, {}
    for name, number, _ in used:
        last_used[name] = max(number, last_used.get(name, 0))
    for name, number, *_ in calls_of:
        last[name] = max(number, last.get(name, 0))
    return [(name, number + (last_used.get(name, 0) > last[name]), *rest) for name, number, *rest in calls_of]


def _distinct(key, keys):
    """Name of an output: its layer's, with a number if a layer has several."""
    return key[0] if [other[0] for other in keys].count(key[0]) == 1 else ":".join(map(str, key))


def _add(result, path, name, layer, inputs):
    used = {call.key for call in result}
    number = 0
    while ((*path, name), number) in used:
        number += 1
    result.append(Call(((*path, name), number), layer["class_name"], layer["config"], inputs))
    return result[-1].key


def _listed(layers):
    """input_layers or output_layers as a list of [name, number, number], which Keras 3 shortens if there is one."""
    if isinstance(layers, dict):
        layers = list(layers.values())
    return [layers] if layers and isinstance(layers[0], str) else layers


def _sources(node):
    """(layer, call number, output number) of all tensors that a call takes, in order."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return [tuple(node["config"]["keras_history"])]
        return [source for value in node.values() for source in _sources(value)]
    if isinstance(node, (list, tuple)):
        if len(node) in (3, 4) and isinstance(node[0], str) and all(isinstance(n, int) for n in node[1:3]):
            return [tuple(node[:3]), *_sources(node[3] if len(node) == 4 else [])]
        return [source for value in node for source in _sources(value)]
    return []
