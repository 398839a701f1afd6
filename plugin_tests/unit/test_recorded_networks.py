"""What a worker may answer as the record of its PyTorch network: what `torch_graph.record` gives, and nothing else."""

import copy
import json

import numpy as np
import pytest

from kipoi_deepmr import exact
from kipoi_deepmr.models import answers

RECORD = {"batch": 2, "input": "x", "calls": [
    {"name": "linear", "op": "linear", "target": "aten.linear.default", "kwargs": {},
     "args": [{"call": "x"}, {"array": 0, "whole": False}], "shape": [2, 9, 3], "dropout": None},
    {"name": "mean", "op": "mean", "target": "aten.mean.dim", "args": [{"call": "linear"}, [1]],
     "kwargs": {"keepdim": False}, "shape": [2, 3], "dropout": None}], "outputs": [["output", {"call": "mean"}]]}
WEIGHT = np.ones((3, 4), np.float32)


def changed(change):
    record = copy.deepcopy(RECORD)
    change(record)
    return record


def test_a_record_is_taken_and_read():
    record = json.loads(json.dumps(RECORD))
    assert answers.is_recorded(record)
    assert [node.name for node in exact.read_recorded(record, [WEIGHT], (9, 4)).nodes][-1] == "output"


@pytest.mark.parametrize("change", [
    lambda record: record.pop("input"),
    lambda record: record.update(more=1),
    lambda record: record.update(batch="2"),
    lambda record: record.update(calls={}),
    lambda record: record["calls"].append(None),
    lambda record: record["calls"][0].pop("op"),
    lambda record: record["calls"][0].update(name=3),
    lambda record: record["calls"][0].update(shape=[2, -1]),
    lambda record: record["calls"][0].update(dropout="1"),
    lambda record: record["calls"].reverse(),
    lambda record: record["calls"][0]["args"].append({"call": "nobody"}),
    lambda record: record["calls"][0]["args"].append([{"array": 0}]),
    lambda record: record["calls"][0]["kwargs"].update(bias={"array": -1, "whole": False}),
    lambda record: record["outputs"].append(["second", {"text": 1}]),
    lambda record: record["outputs"].append("second"),
])
def test_no_other_form_is_taken(change):
    assert not answers.is_recorded(json.loads(json.dumps(changed(change))))


@pytest.mark.parametrize("change, said", [
    (lambda record: record["calls"][0]["args"].append({"array": 7, "whole": False}), "an array that is not there"),
    (lambda record: record["calls"][0].update(op="graph", target="graph"), "operation linear \\(graph\\) is not known"),
    (lambda record: record["calls"][0].update(op="_init__", target="_init__"), "_init__\\) is not known"),
    (lambda record: record["calls"][1].update(args=[{"call": "linear"}, ["1"]]), "as it is called here"),
    (lambda record: record["calls"][0]["kwargs"].update(other=1), "as it is called here"),
    (lambda record: record["outputs"].append(["constant", 3]), "does not depend on the sequence"),
])
def test_what_cannot_be_read_is_named(change, said):
    record = changed(change)
    assert answers.is_recorded(record)
    with pytest.raises(exact.UnknownLayer, match=said):
        exact.read_recorded(record, [WEIGHT], (9, 4))


KERAS = {"class_name": "Sequential", "version": "3.9.0", "backend": "tensorflow", "layers": [
    [["seq"], 0], [["pool"], 0], [["last"], 2]], "config": {"name": "net", "layers": [
        {"class_name": "InputLayer", "config": {"name": "seq", "batch_shape": [None, 9, 4]}},
        {"class_name": "GlobalAveragePooling1D", "config": {"name": "pool", "trainable": True}},
        {"class_name": "Dense", "config": {"name": "last", "trainable": True, "units": 3, "activation": "linear"}}]}}
WEIGHTS = [np.ones((4, 3), np.float32), np.zeros(3, np.float32)]


def changed_keras(change):
    record = copy.deepcopy(KERAS)
    change(record)
    return json.loads(json.dumps(record))


def test_a_keras_record_is_taken_and_read():
    record = changed_keras(lambda record: None)
    assert answers.is_recorded(record)
    graph = exact.read_keras_recorded(record, WEIGHTS)
    assert graph.outputs == ("last",) and graph.length == 9


@pytest.mark.parametrize("change", [
    lambda record: record.pop("version"), lambda record: record.update(more=1),
    lambda record: record.update(config="Sequential"), lambda record: record["layers"].append(["last", 2]),
    lambda record: record["layers"].append([["last"], -1]), lambda record: record["layers"].append([[3], 1])])
def test_no_other_form_of_keras_is_taken(change):
    assert not answers.is_recorded(changed_keras(change))


@pytest.mark.parametrize("change, said", [
    (lambda record: record["layers"].append([["more"], 1]), "has 2 arrays for 3 weights"),
    (lambda record: record["config"].pop("layers"), "of a form that is not known"),
    (lambda record: record["config"]["layers"].append(7), "of a form that is not known"),
    (lambda record: record["config"]["layers"][2].update(class_name="Own"), "layer last is of class Own"),
    (lambda record: record["config"]["layers"][2]["config"].update(activation={"class_name": "own"}), "activation own"),
    (lambda record: record["config"]["layers"][2].update(
        class_name="Conv1D", config={"name": "last", "strides": ["a"]}), "last is of class Conv1D, set or called"),
    (lambda record: record["layers"].pop(), "has 2 arrays for 0 weights")])
def test_what_cannot_be_read_of_keras_is_named(change, said):
    record = changed_keras(change)
    assert answers.is_recorded(record)
    with pytest.raises(exact.UnknownLayer, match=said):
        exact.read_keras_recorded(record, WEIGHTS)
