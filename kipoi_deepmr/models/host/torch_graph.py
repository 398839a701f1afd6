"""A PyTorch network as a list of calls with ATen's names and arguments, in plain values and arrays.

torch.export records them, or torch.jit.trace where a PyTorch before 2.6 or the network's code stands against that. Both
give the same list: what does not depend on the sequence is computed here, and stands in it as an array.
"""

import re
import warnings
from collections import namedtuple

import numpy as np

from .errors import ModelError, one_line
from .live import evaluating
from .tensors import as_array

BATCH = 2  # of the example that is recorded: of one, axes of size 1 would be taken for the batch
EXPORTS = 2, 6  # the first PyTorch whose torch.export records the network's calls rather than what they consist of
# by which Python sees a tensor's values
LOOKS = ("__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__", "item", "tolist", "numpy",
         "equal", "allclose", "is_nonzero")
DROPOUTS = ("dropout", "feature_dropout")

# what stands for the result of a call, among the arguments of others
Result = namedtuple("Result", "name")


def record(network, shape, dropouts=(), batch=BATCH):
    """The calls that a network makes when it predicts.

    Parameters
    ----------
    network : torch.nn.Module
    shape : tuple of int
        Of one sequence as the network takes it, without the batch axis.
    dropouts : list of torch.nn.Module
        Dropout modules whose calls are to be known by the number of the module.
    batch : int
        Of sequences; the record holds it as the first axis of shapes.

    Returns
    -------
    dict of JSON values
        batch, as above; input, name of the sequence; outputs, list of [name, value]; calls, list of dict of name; op,
        ATen's name without overload; target, the name in full; args and kwargs; shape of the result with its batch
        axis, or None of several results; dropout, the number of the module, or None. Among the arguments {"call": name}
        is the result of a call, {"array": number, "whole": bool} an array (of whole numbers, where it says so),
        {"text": str} what else there is.
    list of array
        float32 and float64.

    Raises
    ------
    ModelError
        It cannot be recorded: it looks at the values of its input, or neither recorder can follow it.
    """
    import torch

    like = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(0))
    drawn = np.random.RandomState(0).random_sample((batch,) + tuple(shape))
    example = torch.from_numpy(drawn).to(device=like.device, dtype=like.dtype)
    with evaluating(network), torch.no_grad(), _numbered(dropouts) as numbers, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _refuse_looks(network, example)
        calls = _first_that_works(_recorders(torch), network, example)
    for call in calls.calls:
        if call["op"] in DROPOUTS and len(call["args"]) > 1:
            call["dropout"] = numbers.get(call["args"][1])
    recorded, arrays = calls.described()
    return dict(recorded, batch=batch), arrays


def _recorders(torch):
    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    return [_exported, _traced] if version >= EXPORTS else [_traced]


def _first_that_works(recorders, network, example):
    failed = None
    for recorder in recorders:
        try:
            return recorder(network, example)
        except Exception as error:  # whatever a network's own code or the recorder raises, it cannot be read
            failed = failed or error
    raise ModelError(f"PyTorch cannot record its network: {one_line(failed)}") from failed


class _numbered:
    """Within this context the rate of each dropout module says which one it is; gives the numbers by rate."""

    def __init__(self, modules):
        self._modules = list(modules)

    def __enter__(self):
        self._rates = [module.p for module in self._modules]
        n = len(self._modules)
        marks = [(number + 1) / float(2 * n + 2) for number in range(n)]
        for module, mark in zip(self._modules, marks):
            module.p = mark
        return {mark: number for number, mark in enumerate(marks)}

    def __exit__(self, *_):
        for module, rate in zip(self._modules, self._rates):
            module.p = rate


def _refuse_looks(network, example):
    """Refuse a network whose Python code depends on the values of its input: a record of one run is not another's."""
    import torch

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if getattr(function, "__name__", "") in LOOKS:
                raise _Looked(function.__name__)
            return super().__torch_function__(function, types, args, kwargs or {})

    try:
        network(example.as_subclass(Watched))
    except _Looked as error:
        raise ModelError(f"its forward looks at the values of its input ({error} of a tensor): what it does for one "
                         "sequence need not be what it does for another") from error
    except Exception:  # a network that cannot take such a tensor; the recorder shows what else is wrong
        pass


class _Looked(Exception):
    pass


class _Calls:
    """The calls as they are collected, and the results that depend on the sequence."""

    def __init__(self, name):
        self._input, self.calls, self.outputs = name, [], []
        self._arrays, self._names = [], {name}

    def add(self, name, target, args, kwargs, shape):
        """A call; what stands for its result."""
        unique, n = name, 0
        while unique in self._names:
            n += 1
            unique = f"{name}_{n}"
        self._names.add(unique)
        self.calls.append({"name": unique, "op": op_of(target), "target": target, "args": list(args),
                           "kwargs": dict(kwargs), "shape": shape, "dropout": None})
        return Result(unique)

    def described(self):
        """See `record`; without calls whose results nobody takes."""
        taken = _results([value for _, value in self.outputs])
        for call in reversed(self.calls):
            if call["name"] in taken:
                taken |= _results(call["args"] + list(call["kwargs"].values()))
        self.calls = [call for call in self.calls if call["name"] in taken]
        for call in self.calls:
            call["args"] = [self._plain(value) for value in call["args"]]
            call["kwargs"] = {name: self._plain(value) for name, value in call["kwargs"].items()}
        outputs = [[name, self._plain(value)] for name, value in self.outputs]
        return {"input": self._input, "calls": self.calls, "outputs": outputs}, self._arrays

    def _plain(self, value):
        if isinstance(value, Result):
            return {"call": value.name}
        if isinstance(value, (list, tuple)):
            return [self._plain(one) for one in value]
        if hasattr(value, "detach"):
            if not value.dim():
                return value.item()
            array = as_array(value)
            whole = array.dtype.kind in "iub"
            self._arrays.append(array if array.dtype in (np.float32, np.float64) else array.astype(
                np.float64 if whole else np.float32))
            return {"array": len(self._arrays) - 1, "whole": whole}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        return {"text": str(value)}


def op_of(target):
    """ATen's name of an operation without its overload: `aten.max.dim` and `aten::relu_` are max and relu."""
    name = re.split(r"\.|::", target)
    return (name[1] if name[0] == "aten" else name[-1]).rstrip("_")


def depends(value):
    """Whether a value, or one in a list of them, is the result of a call."""
    return bool(_results(value))


def _results(value):
    """Names of the results in a value."""
    if isinstance(value, Result):
        return {value.name}
    return set().union(*map(_results, value)) if isinstance(value, (list, tuple)) else set()


def _named(tree, leaves, is_dict):
    """Outputs by the keys of the dict that the network returns, or `output`, or `output0`, `output1` ..."""
    if is_dict:
        names = list(map(str, tree))
    else:
        names = ["output"] if len(leaves) == 1 else [f"output{i}" for i in range(len(leaves))]
    return list(zip(names, leaves))


# torch.export


def _exported(network, example):
    import torch
    from torch.utils import _pytree

    program = torch.export.export(network, (example,))
    signature = program.graph_signature
    stored = dict(program.state_dict, **program.constants)
    targets = dict(signature.inputs_to_parameters, **signature.inputs_to_buffers)
    targets.update(signature.inputs_to_lifted_tensor_constants)
    calls, values = None, {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in targets:
            values[node] = stored[targets[node.name]]
        elif node.op == "placeholder":
            calls, values[node] = _Calls(node.name), Result(node.name)
        elif node.op == "call_function":
            _add_exported(calls, node, values)
        elif node.op == "output":
            leaves = [values[result] for result in node.args[0]]
            tree = _pytree.tree_unflatten(list(range(len(leaves))), program.call_spec.out_spec)
            is_dict = isinstance(tree, dict) and all(isinstance(i, int) for i in tree.values())
            calls.outputs = _named(tree, leaves, is_dict)
        else:
            raise ModelError(f"{node.name} is a {node.op}")
    return calls


def _add_exported(calls, node, values):
    def value(argument):
        if isinstance(argument, (list, tuple)):
            return [value(one) for one in argument]
        return values.get(argument, argument) if hasattr(argument, "users") else argument

    args, kwargs = value(node.args), {name: value(one) for name, one in node.kwargs.items()}
    if not depends(args + list(kwargs.values())):
        values[node] = node.target(*args, **kwargs)
        return
    target = str(node.target) if str(node.target).startswith("aten.") else node.target.__name__
    found = node.meta["val"]
    shape = None if isinstance(found, (list, tuple)) else [int(n) for n in found.shape]
    values[node] = calls.add(node.name, target, args, kwargs, shape)
    if target.split(".")[1:2] and target.split(".")[1].endswith("_"):
        values[node.args[0]] = values[node]  # changed in place: whoever takes it later takes the result


# torch.jit.trace


def _traced(network, example):
    import torch

    traced = torch.jit.trace(network, example, check_trace=False, strict=False)
    graph = traced.inlined_graph
    held, sequence = list(graph.inputs())
    name = sequence.debugName().split(".")[0]
    calls, values = _Calls(name), {held.unique(): traced, sequence.unique(): Result(name)}
    shapes = {name: list(example.shape)}
    for node in graph.nodes():
        results = _Node(calls, node, values, shapes).results()
        for value, result in zip(node.outputs(), results):
            values[value.unique()] = result
    result = values[next(graph.outputs()).unique()]
    is_dict = isinstance(result, dict) and all(isinstance(one, Result) for one in result.values())
    calls.outputs = _named(result, _leaves(result), is_dict)
    return calls


def _leaves(value):
    inner = value.values() if isinstance(value, dict) else value if type(value) in (list, tuple) else None
    return [value] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


class _Node:
    """One node of a traced graph; `results` are the values of its outputs."""

    def __init__(self, calls, node, values, shapes):
        self.calls, self.node, self.shapes = calls, node, shapes
        self.kind = node.kind()
        self.inputs = [values[value.unique()] for value in node.inputs()]

    def results(self):
        space, kind = self.kind.split("::")
        if space == "prim":
            known = getattr(self, "_" + kind, None)
            if known is None:
                raise ModelError(f"its record holds a {self.kind}")
            return known()
        if self.kind in ("aten::Int", "aten::IntImplicit"):
            return [int(self.inputs[0])]
        if self.kind in ("aten::Float", "aten::FloatImplicit", "aten::ScalarImplicit"):
            return [float(self.inputs[0])]
        if self.kind == "aten::size" and depends(self.inputs):
            shape = self.shapes[self.inputs[0].name]
            return [shape[self.inputs[1]] if len(self.inputs) > 1 else list(shape)]
        args, kwargs = self._arguments()
        return self._call(args, kwargs) if depends(args + list(kwargs.values())) else self._constant(args, kwargs)

    def _arguments(self):
        """Positional and named arguments without those that are at their defaults, as torch.export gives them."""
        import torch

        args, kwargs = [], {}
        for value, argument in zip(self.inputs, torch._C.parse_schema(self.node.schema()).arguments):
            at_default = argument.has_default_value() and _is_same(value, argument.default_value)
            if getattr(argument, "kwarg_only", False):
                if not at_default:
                    kwargs[argument.name] = value
            else:
                args.append((value, at_default))
        while args and args[-1][1]:
            args.pop()
        return [value for value, _ in args], kwargs

    def _call(self, args, kwargs):
        target, args = _as_exported(self.kind, args)
        outputs = list(self.node.outputs())
        shapes = [output.type().sizes() if output.type().kind() == "TensorType" else None for output in outputs]
        whole = self.calls.add(op_of(target), target, args, kwargs, shapes[0] if len(outputs) == 1 else None)
        self.shapes[whole.name] = shapes[0]
        return [whole] if len(outputs) == 1 else self._parts(whole)

    def _parts(self, whole):
        """The several results of a call, one by one."""
        parts = []
        for number, output in enumerate(self.node.outputs()):
            shape = output.type().sizes() if output.type().kind() == "TensorType" else None
            parts.append(self.calls.add("getitem", "getitem", [whole, number], {}, shape))
            self.shapes[parts[-1].name] = shape
        return parts

    def _constant(self, args, kwargs):
        import torch

        found = getattr(torch.ops.aten, self.kind.split("::")[1])(*args, **kwargs)
        return list(found) if len(list(self.node.outputs())) > 1 else [found]

    def _Constant(self):
        return [next(self.node.outputs()).toIValue()]

    def _GetAttr(self):
        return [getattr(self.inputs[0], self.node.s("name"))]

    def _ListConstruct(self):
        return [list(self.inputs)]

    def _TupleConstruct(self):
        return [tuple(self.inputs)]

    def _DictConstruct(self):
        return [dict(zip(self.inputs[::2], self.inputs[1::2]))]

    def _ListUnpack(self):
        return list(self.inputs[0]) if type(self.inputs[0]) in (list, tuple) else self._parts(self.inputs[0])

    _TupleUnpack = _ListUnpack

    def _NumToTensor(self):
        import torch

        return [torch.tensor(self.inputs[0])]


def _is_same(value, default):
    if isinstance(value, Result) or hasattr(value, "detach"):
        return False
    return type(value) is type(default) and value == default


def _as_exported(kind, args):
    """A convolution as torch.export records it: tracing sees what PyTorch's convolutions consist of."""
    if kind == "aten::_convolution_mode":
        return f"aten.conv{args[1].dim() - 2}d.padding", args
    if kind != "aten::_convolution":
        return kind, args
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args[:9]
    n = weight.dim() - 2
    if transposed:
        return f"aten.conv_transpose{n}d", [x, weight, bias, stride, padding, output_padding, groups, dilation]
    return f"aten.conv{n}d", [x, weight, bias, stride, padding, dilation, groups]
