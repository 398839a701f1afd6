"""A real zoo model with its real weights on real sequence, where the weights are at hand."""

import json
import shutil

import numpy as np
import pytest
from mpra_dragonn import GENOME, fetch_script

from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects
from kipoi_deepmr.models.kipoi_model import KipoiModel


def test_weights_of_another_md5_are_refused(tmp_path):
    script = fetch_script(tmp_path)
    (tmp_path / "other").mkdir()
    for name in script.MD5:
        (tmp_path / "other" / name).write_text("something else")
    with pytest.raises(SystemExit, match="MD5"):
        script.fetch(tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


def test_loads_with_its_twelve_marks(mpra_dragonn):
    described = KipoiModel(mpra_dragonn, "dir").describe()
    assert len(described.marks) == 12 and described.length == 145


def test_replicate_columns_as_members_on_the_real_genome(mpra_dragonn, tmp_path):
    genome, bed = tmp_path / "chr22.fa", tmp_path / "windows.bed"
    shutil.copyfile(GENOME, genome)
    bed.write_text("".join(f"chr22\t{s}\t{s + 145}\n" for s in (20000, 120000, 220000)))
    arguments = json.dumps({"intervals_file": str(bed), "fasta_file": str(genome)})
    assert main(["run", mpra_dragonn, "--source", "dir", "--dataloader_args", arguments, "--member_columns",
                 "rep1=0,3,6,9", "rep2=1,4,7,10", "--method", "ivw", "-q", "-o", str(tmp_path / "out")]) == 0
    effects = open_effects(str(tmp_path / "out" / "effects.zarr"))
    assert effects["mark"].values.tolist() == ["K562_minP", "K562_SV40p", "HepG2_minP", "HepG2_SV40p"]
    first, second = effects["member_effect"].values.transpose(1, 0, 2, 3).reshape(2, -1)
    assert np.corrcoef(first, second)[0, 1] > 0.5, "replicates of one assay must agree"
