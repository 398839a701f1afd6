"""The original BPNet (TensorFlow 1, Python 3.7) in workers: the zoo's BPNet-OSKN's class, bpnet's own directories."""

import hashlib
import importlib.util
import json
import shutil
import sys
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from conftest import EXAMPLES, environment_python, run_python

from kipoi_deepmr import dna
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.plots.global_effects import plot_global_effects

EXAMPLE = EXAMPLES / "BPNet-OSKN"
HOST = EXAMPLES.parent / "kipoi_deepmr" / "models"
MEMBERS = [str(EXAMPLE / str(k)) for k in (1, 2, 3)]
MARKS = ("Oct4", "Sox2", "Nanog", "Klf4")


def load_script(name):
    """Import one of the example's scripts from its path, without running it."""
    spec = importlib.util.spec_from_file_location(f"bpnet_{name}", EXAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train = load_script("train")
compare = load_script("compare")


# What the class itself predicts, in its own Python, without any of our code

DIRECT = """
import hashlib
import sys
import warnings

warnings.filterwarnings("ignore")
import kipoi
import numpy as np

out, example = sys.argv[1:]
sys.path.insert(0, example)
import train

saved = {}
x = np.eye(4)[np.load(out + "/codes.npy")]
for k in "123":
    model = kipoi.get_model(example + "/" + k, source="dir")
    tracks, heads = model.predict_on_batch(x), model.predict(x)
    for mark in tracks:
        saved["tracks/" + k + mark], saved["counts/" + k + mark] = tracks[mark], heads[mark + "/counts"]
    weights = b"".join(array.tobytes() for array in model.model.get_weights())
    saved["sha256/" + k] = hashlib.sha256(weights).hexdigest()
    if k == "1":
        validation = train.training_data(train.N_VALIDATION, train.streams(1)[1])
        saved["validation"] = list(train.correlations(model, *validation).values())

train.set_seed(5)
trained = train.build_model()
trained.model.load_weights(example + "/1/bpnet.model.h5")
trained.save(out + "/seq_model/seq_model.pkl")

train.set_seed(6)
full = train.build_model(filters=64, dilated_layers=9, length=1000)
full.model.save(out + "/full/bpnet.model.h5")
full_tracks = full.predict(np.eye(4)[np.load(out + "/full_codes.npy")])
saved["full"] = np.stack([full_tracks[mark + "/counts"].mean(1) for mark in train.MARKS], 1)
np.savez(out + "/direct.npz", **saved)
"""


@pytest.fixture(scope="module")
def python():
    return environment_python("bpnet-py37")


@pytest.fixture(scope="module")
def folder(python, tmp_path_factory):
    """With what DIRECT writes: direct.npz, and the model directories seq_model/ and full/."""
    folder = tmp_path_factory.mktemp("bpnet")
    rng = np.random.default_rng(3)
    np.save(folder / "codes.npy", rng.integers(0, 4, (24, 200)))
    np.save(folder / "full_codes.npy", rng.integers(0, 4, (6, 1000)))
    for name in ("seq_model", "full", "broken"):
        (folder / name).mkdir()
    (folder / "broken" / "seq_model.pkl").write_bytes(b"no pickle")
    shutil.copyfile(EXAMPLE / "model.py", folder / "full" / "model.py")
    (folder / "full" / "model.yaml").write_text((EXAMPLE / "1" / "model.yaml").read_text().replace("200", "1000"))
    run_there(python, DIRECT, folder, EXAMPLE)
    return folder


def run_there(python, code, *arguments):
    """Run code in BPNet's Python; its standard output."""
    done = run_python(python, "-c", code, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def direct(folder):
    return np.load(folder / "direct.npz")


@pytest.fixture(scope="module")
def sequences(folder):
    return dna.BASES[np.load(folder / "codes.npy")]


def marks_of(direct, k, summary=lambda tracks: np.log(tracks.sum(1))):
    """(sequence, mark) of member k: a summary of the tracks, averaged over strands."""
    tracks = (direct[f"tracks/{k}{mark}"].astype(float) for mark in MARKS)
    return np.stack([summary(track).mean(1) for track in tracks], 1)


@pytest.fixture(scope="module")
def ensemble(python):
    ensemble = Ensemble.from_kipoi(MEMBERS, "dir", pythons=[python] * 3)
    yield ensemble
    ensemble.close()


# Predictions


def test_members_in_workers_predict_what_the_class_does(ensemble, direct, sequences):
    assert ensemble.marks == MARKS and ensemble.length == 200
    predicted = ensemble.predict(sequences)
    for k, found in enumerate(predicted, start=1):
        np.testing.assert_allclose(found, marks_of(direct, k), rtol=1e-6)
    assert min(np.abs(predicted[i] - predicted[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))) > 0.01


def test_log_of_the_sum_over_positions_is_the_counts_head(direct):
    for k in (1, 2, 3):
        heads = np.stack([direct[f"counts/{k}{mark}"].astype(float).mean(1) for mark in MARKS], 1)
        np.testing.assert_allclose(marks_of(direct, k), heads, rtol=0, atol=1e-5)


# The worker's code, run in BPNet's Python without a driver
ONE_PROCESS = """
import json
import sys

host, folder, *members = sys.argv[1:]
sys.path.insert(0, host)
import numpy as np
from host import bpnet
from host.errors import ModelError
from host.session import HostedModel

sequences = np.frombuffer(b"ACGT", np.uint8)[np.load(folder + "/codes.npy")]
first = HostedModel(members[0], "dir")
before = first.predict(sequences)
second = HostedModel(members[1], "dir")
after = first.predict(sequences)
alike = [np.array_equal(after, before), np.array_equal(after, second.predict(sequences)),
         np.array_equal(first.probe(), first.probe(again=True))]
asked = [{"mark_summary": name} for name in ("sum", "mean", "max", "profile_mean")] + [{"mark_window": [50, 150]}]
read = [HostedModel(members[1], "dir", settings).predict(sequences)[0].tolist() for settings in asked]
try:
    bpnet.load(folder + "/broken", in_worker=True)
except ModelError as error:
    broken = str(error)
print(json.dumps({"alike": alike, "read": read, "broken": broken}))
"""


@pytest.fixture(scope="module")
def one_process(python, folder):
    return json.loads(run_there(python, ONE_PROCESS, HOST, folder, *MEMBERS[:2]).splitlines()[-1])


def test_two_members_in_one_process_would_answer_alike(one_process):
    """Why every member has a process of its own; `probe`, by which an ensemble checks its members, shows it."""
    same_as_before, same_as_second, probe_is_kept = one_process["alike"]
    assert (same_as_before, same_as_second, probe_is_kept) == (False, True, False)


def test_other_summaries_of_the_tracks(one_process, direct):
    summaries = [lambda t: t.sum(1), lambda t: t.mean(1), lambda t: t.max(1), lambda t: (t * t).sum(1) / t.sum(1),
                 lambda t: np.log(t[:, 50:150].sum(1))]
    for found, summary in zip(one_process["read"], summaries, strict=True):
        np.testing.assert_allclose(found, marks_of(direct, 2, summary), rtol=2e-6)


def test_full_size(python, folder, direct):
    """64 filters, 9 dilated layers, 1,000 bases, random weights; some of a locus's mutants."""
    member = KipoiModel(str(folder / "full"), "dir", python=python)
    try:
        sequences = dna.BASES[np.load(folder / "full_codes.npy")]
        predicted = member.predict(sequences)
        assert member.describe().length == 1000 and predicted.shape == (1, 6, 4)
    finally:
        member.close()
    np.testing.assert_allclose(predicted[0], direct["full"], rtol=0, atol=2e-5)


# bpnet's own directories


def test_seq_model_directory_is_the_same_as_the_zoos_form(python, folder, direct, sequences):
    member = KipoiModel(str(folder / "seq_model"), "dir", python=python)
    try:
        described = member.describe()
        np.testing.assert_allclose(member.predict(sequences)[0], marks_of(direct, 1), rtol=1e-6)
        arguments = {"intervals_file": str(EXAMPLE / "test_loci.bed"), "fasta_file": copy_of_fasta(folder)}
        assert member.open_loci(arguments) == 80
    finally:
        member.close()
    assert described.marks == MARKS and described.length == 200


def test_seq_model_directory_is_refused_in_this_process(tmp_path):
    (tmp_path / "seq_model.pkl").write_bytes(b"never opened")
    with pytest.raises(InputError, match="only in a Python of its own.*--python"):
        KipoiModel(str(tmp_path), "dir")


def test_seq_model_directory_needs_bpnet(tmp_path):
    (tmp_path / "seq_model.pkl").write_bytes(b"never opened")
    with pytest.raises(InputError, match="cannot import bpnet"):
        KipoiModel(str(tmp_path), "dir", python=sys.executable)


def test_broken_seq_model_directory(one_process):
    assert "seq_model.pkl cannot be loaded: UnpicklingError" in one_process["broken"]


# The whole analysis


def copy_of_fasta(folder):
    """A FASTA gets an index beside it."""
    return str(shutil.copy(EXAMPLE / "test_loci.fa", folder))


@pytest.fixture(scope="module")
def out(python, tmp_path_factory):
    """The output of the one command, on 24 of the example's loci."""
    folder = tmp_path_factory.mktemp("analysis")
    arguments = {"intervals_file": str(EXAMPLE / "test_loci.bed"), "fasta_file": copy_of_fasta(folder)}
    assert main(["run", *MEMBERS, "--source", "dir", "--python", python, "--dataloader_args", json.dumps(arguments),
                 "--n_loci", "24", "--preset", "paper", "--min_instruments", "1", "--method", "ivw", "-q",
                 "-o", str(folder / "out")]) == 0
    return folder / "out"


def test_one_command_gives_all_ordered_pairs_and_the_figure(out):
    found = pd.read_csv(out / "global.tsv", sep="\t")
    assert sorted(zip(found["exposure"], found["outcome"], strict=True)) == sorted(permutations(MARKS, 2))
    assert found["estimate"].notna().all() and (found["n_loci"] >= 8).all()
    labels = [text.get_text() for text in plot_global_effects(found).get_yticklabels()]
    by_effect = found.sort_values("standardised", key=abs, ascending=False)
    assert labels == [f"{x} → {y}" for x, y in zip(by_effect["exposure"], by_effect["outcome"], strict=True)]
    assert (out / "global.png").read_bytes().startswith(b"\x89PNG")


def test_estimates_follow_the_simulation(out, capsys):
    """Where one mark drives another, estimates lie within 0.1 of the range of true slopes, over motifs and all mutants.

    What drives Nanog and Klf4 most is larger than what they seem to give back, and Klf4 gives nothing.
    """
    compare.main([str(out)])
    assert capsys.readouterr().out.count(" ivw ") == 12
    tables = [pd.read_csv(path, sep="\t") for path in (out / "global.tsv", out / "local.tsv", EXAMPLE / "truth.tsv")]
    drives = json.loads((EXAMPLE / "training.json").read_text())["drives"]
    table = compare.compare(*tables, drives).set_index(["exposure", "outcome"])
    driven = table[table["drives"] > 0]
    assert len(driven) == 5
    slopes = driven[["true_effect", "all_mutants"]]
    assert (driven["estimate"] > slopes.min(axis=1) - 0.1).all()
    assert (driven["estimate"] < slopes.max(axis=1) + 0.1).all()
    estimate = table["estimate"]
    for driver, outcome in (("Sox2", "Nanog"), ("Sox2", "Klf4")):
        assert estimate[driver, outcome] > estimate[outcome, driver]
    assert estimate["Klf4"].abs().max() < 0.1


# The simulation and the files that the example ships


def test_affinity_is_the_product_of_its_mismatches():
    rng = np.random.RandomState(4)
    codes = rng.randint(0, 4, (2, 60))
    codes[0, 30:38] = train.encode("ATGCAAAT")
    codes[1, 10:18] = train.encode("ATTTGCAT")  # the other strand
    found = train.affinity(codes, "ATGCAAAT")
    for n in range(2):
        for centre in range(4, 57):
            window = codes[n, centre - 4:centre + 4]
            strands = [window, (3 - window)[::-1]]
            costs = [sum(0.5 + 2 * np.sin(np.pi * (k + 0.5) / 8) for k, base in enumerate("ATGCAAAT")
                         if "ACGT"[strand[k]] != base) for strand in strands]
            assert found[n, centre] == pytest.approx(np.exp(-costs[0]) + np.exp(-costs[1]))
    assert found[0, 34] >= 1 and found[1, 14] >= 1 and not found[:, :4].any()


def test_drivers_carry_along_their_share():
    """A site of a driver gives its outcome that share of the driver's counts; a site of the outcome gives it none."""
    mean = {}
    for driver, outcome in (("Sox2", "Nanog"), ("Nanog", "Sox2")):
        codes = np.tile(train.encode("G"), (1, 200))
        bare = train.expected_profiles(codes)
        codes[0, 90:90 + len(train.MOTIFS[driver])] = train.encode(train.MOTIFS[driver])
        held = train.expected_profiles(codes)
        gain = {mark: (held[mark] - bare[mark]).sum(axis=(0, 1)) for mark in (driver, outcome)}
        mean[driver, outcome] = (gain[outcome] / gain[driver]).mean()
    assert mean["Sox2", "Nanog"] == pytest.approx(0.6, abs=0.02)
    assert mean["Nanog", "Sox2"] == pytest.approx(0, abs=0.02)


def test_the_seed_reproduces_the_shipped_loci_and_truth(tmp_path):
    record = json.loads((EXAMPLE / "training.json").read_text())
    *_, test_rng, spacer_rng = train.streams(record["seed"])
    codes, starts = train.draw_test_loci(test_rng)
    names = train.write_test_loci(tmp_path, codes, spacer_rng)
    for name in ("test_loci.fa", "test_loci.bed"):
        assert (tmp_path / name).read_text() == (EXAMPLE / name).read_text()
    train.write_truth(tmp_path, train.true_effects(codes[:3], starts[:3]), names)
    shipped = pd.read_csv(EXAMPLE / "truth.tsv", sep="\t")
    assert len(shipped) == 80 * 12
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "truth.tsv", sep="\t"), shipped[:36], rtol=0, atol=2e-6)


def test_shipped_weights_are_the_recorded_ones_and_small(direct):
    members = json.loads((EXAMPLE / "training.json").read_text())["members"]
    assert [str(direct[f"sha256/{k}"]) for k in (1, 2, 3)] == [member["weights_sha256"] for member in members]
    np.testing.assert_allclose(direct["validation"], list(members[0]["validation_correlation"].values()), atol=1e-3)
    assert sum(path.stat().st_size for path in EXAMPLE.glob("*/bpnet.model.h5")) < 1e6
    assert {hashlib.sha256((EXAMPLE / str(k) / "model.py").read_bytes()).hexdigest() for k in (1, 2, 3)} == {
        hashlib.sha256((EXAMPLE / "model.py").read_bytes()).hexdigest()}
