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
