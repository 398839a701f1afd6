"""The part that touches Kipoi models, called directly; and that any Python from 3.6 on can run it."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTH, member_weights, write_model

from kipoi_deepmr import dna
from kipoi_deepmr.models.host import errors, saturation, session
from kipoi_deepmr.models.host.errors import ItemError, ModelError
from kipoi_deepmr.models.host.session import HostedModel

HOST = Path(session.__file__).parent
SEQUENCE = dna.encode("GATTACACCGTT")
# come with a model
FRAMEWORKS = {"tensorflow", "tf_keras", "keras", "torch", "safetensors", "h5py", "bpnet", "kipoiseq", "kipoi_utils"}


@pytest.mark.parametrize("path", sorted(HOST.glob("*.py")), ids=lambda path: path.name)
def test_host_imports_nothing_but_itself_numpy_and_kipoi(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1 and all((HOST / f"{name}.py").exists() for name in imported(node))
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
            [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in (name.split(".")[0] for name in names):
            at_top = node in tree.body
            assert name in sys.stdlib_module_names | {"numpy"} or not at_top and name in FRAMEWORKS | {"kipoi"}, name


def imported(node):
    return [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


@pytest.mark.parametrize("batch_size", [1, 5, 36, 37, 38, 512])
def test_mutants_are_the_reference_and_all_mutants_whatever_the_batch(models, batch_size):
    model = HostedModel(models[0], "dir", {"batch_size": batch_size})
    mutants, _, _ = saturation.saturation_mutants(SEQUENCE)
    expected = model.predict(np.concatenate([SEQUENCE[None], mutants]))
    assert expected.shape == (1, 1 + 3 * LENGTH, 3) and expected.dtype == np.float64
    np.testing.assert_array_equal(model.mutants(SEQUENCE), expected)
    sizes = [part.shape[1] for part in model.iter_mutants(SEQUENCE)]
    assert sum(sizes) == 37 and max(sizes) == min(batch_size, 37)


def test_rows_of_mutants_are_slices_of_all():
    whole = saturation.rows(SEQUENCE, 0, 1 + 3 * LENGTH)
    assert (whole[0] == SEQUENCE).all() and ((whole[1:] != SEQUENCE).sum(1) == 1).all()
    assert len({row.tobytes() for row in whole}) == 1 + 3 * LENGTH
    for start, stop in ((0, 1), (0, 5), (1, 2), (7, 20), (36, 37)):
        np.testing.assert_array_equal(saturation.rows(SEQUENCE, start, stop), whole[start:stop])


def test_description_is_json(models):
    described = HostedModel(models[0], "dir").describe()
    assert json.loads(json.dumps(described)) == described
    assert described["marks"] == ["A", "B", "C"] and described["replicates"] == [""] and not described["needs_item"]
    assert described["dataloader"]["arguments"]["fasta_file"] is False and described["dataloader"]["is_kipoiseq"]


def test_views_are_replicates(models):
    model = HostedModel(models[0], "dir", {"augment": ["rc"], "batch_size": 10})
    assert model.describe()["replicates"] == ["", "rc"]
    plain = HostedModel(models[0], "dir")
    mutants = saturation.rows(SEQUENCE, 0, 1 + 3 * LENGTH)
    expected = [plain.predict(mutants)[0], plain.predict(dna.reverse_complement(mutants))[0]]
    np.testing.assert_allclose(model.mutants(SEQUENCE), expected, rtol=1e-6)


def test_checksum_follows_what_predictions_depend_on(models):
    def of(**settings):
        return HostedModel(models[0], "dir", settings).describe()["checksum"]

    assert of() == of(batch_size=7) == of(interval_length=99) == of(augment=None)
    assert len({of(), of(augment=["rc"]), of(mark_groups={"AB": ["A", "B"], "C": ["C"]}), of(alphabet="AGCT")}) == 4


def test_probe_is_the_same_in_every_member_and_repeatable(models):
    first, second = (HostedModel(model, "dir") for model in models[:2])
    assert first.probe().shape == (1, session.N_PROBES, 3)
    np.testing.assert_array_equal(first.probe(), first.probe(again=True))
    np.testing.assert_array_equal(first.probe()[0], first.predict(first._probe_sequences())[0])
    np.testing.assert_array_equal(first._probe_sequences(), second._probe_sequences())
    assert (first.probe() != second.probe()).all()


def test_loci_and_what_the_dataloader_fails_on(models, bed_file, genome_file, tmp_path):
    model = HostedModel(models[0], "dir")
    (tmp_path / "x.bed").write_text("chrX\t3\t15\nchr1\t10\t22\n")
    assert model.open_loci({"intervals_file": str(tmp_path / "x.bed"), "fasta_file": genome_file}) == 2
    locus = model.locus(1)
    assert (locus["ranges"]["chr"], locus["ranges"]["start"], locus["ranges"]["end"]) == ("chr1", 10, 22)
    assert len(locus["sequence"]) == LENGTH
    with pytest.raises(ItemError, match="the dataloader fails on it"):
        model.locus(0)


@pytest.mark.parametrize("error, expected", [
    (MemoryError(), True), (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
    (ValueError("out of memory"), False), (RuntimeError("shape"), False),
])
def test_what_counts_as_out_of_memory(error, expected):
    assert errors.is_out_of_memory(error) is expected


def test_out_of_memory_of_tensorflow_and_numpy():
    from tensorflow.errors import ResourceExhaustedError

    assert errors.is_out_of_memory(ResourceExhaustedError(None, None, "OOM when allocating tensor"))
    with pytest.raises(MemoryError) as raised:
        np.empty(1 << 60, dtype=np.uint8)
    assert errors.is_out_of_memory(raised.value)


def test_output_that_changes_its_form_is_refused(tmp_path):
    folder = tmp_path / "m"
    write_model(folder, member_weights()[0])
    path = folder / "model.py"
    path.write_text(path.read_text().replace("return predicted", "return predicted[:, :3 if len(x) < 10 else 2]"))
    model = HostedModel(str(folder), "dir")
    with pytest.raises(ModelError, match="m: the model's output has changed its form"):
        model.mutants(SEQUENCE)


def test_models_that_see_no_locus_say_so(tmp_path):
    folder = tmp_path / "m"
    write_model(folder, member_weights()[0])
    path = folder / "model.yaml"
    path.write_text(path.read_text().replace("(12, 4)", "(None, 4)"))
    model = HostedModel(str(folder), "dir")
    assert model.describe()["marks"] == [] and model.probe() is None
    with pytest.raises(ModelError, match="must see a locus"):
        model.mutants(SEQUENCE)
    assert HostedModel(str(folder), "dir", {"length": LENGTH}).describe()["length"] == LENGTH
