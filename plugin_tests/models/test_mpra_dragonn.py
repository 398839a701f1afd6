"""A real zoo model with its real weights on real sequence, where the weights are at hand."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
from conftest import EXAMPLES

from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects
from kipoi_deepmr.models.kipoi_model import KipoiModel

FOLDER = EXAMPLES / "MPRA-DragoNN"
SHARED = EXAMPLES.parent.parent / "shared"
COPY, GENOME = SHARED / "zoo" / "mpra_dragonn_convmodel", SHARED / "genome" / "hg38_chr22_32000000_32300000.fa"


def fetch_script():
    spec = importlib.util.spec_from_file_location("fetch_weights", FOLDER / "fetch_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path, monkeypatch):
    if not COPY.is_dir() or not GENOME.is_file():
        pytest.skip("neither MPRA-DragoNN's weights nor the genome region are at hand (they are not in the repository)")
    folder = tmp_path / "MPRA-DragoNN"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.hdf5", "model.json"))
    script = fetch_script()
    monkeypatch.setattr(script, "HERE", folder)
    script.fetch(COPY)
    return str(folder)


def test_weights_of_another_md5_are_refused(tmp_path, monkeypatch):
    script = fetch_script()
    monkeypatch.setattr(script, "HERE", tmp_path)
    (tmp_path / "other").mkdir()
    for name in script.MD5:
        (tmp_path / "other" / name).write_text("something else")
    with pytest.raises(SystemExit, match="MD5"):
        script.fetch(tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


def test_loads_with_its_twelve_marks(model):
    described = KipoiModel(model, "dir").describe()
    assert len(described.marks) == 12 and described.length == 145


def test_replicate_columns_as_members_on_the_real_genome(model, tmp_path):
    genome, bed = tmp_path / "chr22.fa", tmp_path / "windows.bed"
    shutil.copyfile(GENOME, genome)
    bed.write_text("".join(f"chr22\t{s}\t{s + 145}\n" for s in (20000, 120000, 220000)))
    arguments = json.dumps({"intervals_file": str(bed), "fasta_file": str(genome)})
    assert main(["run", model, "--source", "dir", "--dataloader_args", arguments, "--member_columns", "rep1=0,3,6,9",
                 "rep2=1,4,7,10", "--method", "ivw", "-q", "-o", str(tmp_path / "out")]) == 0
    effects = open_effects(str(tmp_path / "out" / "effects.zarr"))
    assert effects["mark"].values.tolist() == ["K562_minP", "K562_SV40p", "HepG2_minP", "HepG2_SV40p"]
    first, second = effects["member_effect"].values.transpose(1, 0, 2, 3).reshape(2, -1)
    assert np.corrcoef(first, second)[0, 1] > 0.5, "replicates of one assay must agree"
