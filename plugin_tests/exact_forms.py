"""Tables of forms of layers: one network with an output for each form, and which engine computes each."""

import numpy as np

from kipoi_deepmr import dna, exact
from kipoi_deepmr.mutagenesis import saturation_mutants

LENGTH = 48
TOLERANCE = 1e-5  # of the form's largest value: some of float32's roundings


def one_hot_mutants(length=LENGTH):
    """A sequence, and it with all its mutants as (n, length, 4)."""
    sequence = np.random.default_rng(0).choice(dna.BASES, length)
    return sequence, dna.one_hot(np.concatenate([sequence[None], saturation_mutants(sequence)[0]]))


def engines(graph, expected, sequence):
    """(engine, largest error over the largest value) of each output, for all mutants.

    Parameters
    ----------
    graph : Graph
        Read with `split`.
    expected : dict of str to (n, ...) array
    sequence : (length,) uint8
    """
    after = set(graph.rest.outputs) if graph.rest else set()
    for node in graph.nodes:
        if after.intersection(node.inputs):
            after.add(node.name)
    found = exact.Engine(graph).mutants(sequence)
    sizes = [int(np.prod(expected[name].shape[1:])) for name in graph.outputs]
    parts = dict(zip(graph.outputs, np.split(found, np.cumsum(sizes)[:-1], axis=1), strict=True))
    result = {}
    for name, values in expected.items():
        values = values.reshape(len(values), -1)
        assert np.abs(values[1:] - values[0]).max() > 1e-4 * np.abs(values).max(), f"mutants do not change {name}"
        error = np.abs(parts[name] - values).max() / np.abs(values).max()
        result[name] = ("split" if name in after else "exact", error)
    return result


def assert_engines(graph, expected, sequence, split=()):
    """Every form is exact but those that are named, and all agree with naive."""
    found = engines(graph, expected, sequence)
    not_exact = {name for name, (engine, _) in found.items() if engine == "split"}
    assert not_exact == set(split), graph.rest and graph.rest.why
    assert {name: error for name, (_, error) in found.items() if not error < TOLERANCE} == {}
