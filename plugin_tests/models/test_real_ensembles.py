"""Ensembles that others trained (example_models/fetch.py), where their weights are at hand: they are not in git."""

import csv
import gzip
import importlib.util

import numpy as np
import pytest
from conftest import EXAMPLES

SHARED = EXAMPLES.parent.parent / "shared"
ZOO, GENOME, OFFSET = SHARED / "zoo", SHARED / "genome" / "hg38_chr22_32000000_32300000.fa", 32_000_000


def at_hand(*paths):
    """Skip the test unless all of these files of others are there."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        pytest.skip(f"{missing[0].name} is not at hand (weights of others are not in the repository)")


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_hot(sequence):
    return (np.frombuffer(sequence.encode(), np.uint8)[:, None] == np.frombuffer(b"ACGT", np.uint8)).astype(np.float32)


def test_a_network_of_keras_1_in_keras_3(tmp_path):
    """It is the converted network that is stored, and it tells sequences with a motif from those without."""
    pytest.importorskip("keras")
    folder = ZOO / "tal_gata"
    weights = folder / "tfmodisco_record_5_model_PQzyq_modelWeights.h5"
    sequences = folder / "tfmodisco_sequences.simdata.gz"
    at_hand(weights, sequences, folder / "3" / "model.keras")
    import keras

    named = tmp_path / "PQzyq.h5"
    named.write_bytes(weights.read_bytes())
    network = module_of(EXAMPLES / "fetch.py").tal_gata_network(named)
    stored = keras.models.load_model(folder / "3" / "model.keras")
    assert all(np.array_equal(ours, theirs)
               for ours, theirs in zip(network.get_weights(), stored.get_weights(), strict=True))
    with gzip.open(sequences, "rt") as lines:
        rows = [row for row, _ in zip(csv.DictReader(lines, delimiter="\t"), range(300), strict=False)]
    found = network.predict(np.stack([one_hot(row["sequence"]) for row in rows]), verbose=0)
    for column, task in enumerate(("task1", "task2", "task3")):
        truth = np.array([row[task] == "1" for row in rows])
        below = found[truth, None, column] > found[None, ~truth, column]
        assert below.mean() > 0.97, "area under the ROC curve"


def test_motifs_are_where_their_file_says(tmp_path):
    at_hand(ZOO / "tal_gata" / "tfmodisco_sequences.simdata.gz")
    fetch = module_of(EXAMPLES / "fetch.py")
    (tmp_path / "sequences.simdata.gz").write_bytes((ZOO / "tal_gata" / "tfmodisco_sequences.simdata.gz").read_bytes())
    fetch.make_tal_gata(tmp_path, EXAMPLES / "TAL1-GATA1")
    text = (tmp_path / "sequences.fa").read_text().split(">")[1:]
    bases = dict(each.split() for each in text)
    motifs = [line.split("\t") for line in (tmp_path / "motifs.bed").read_text().splitlines()]
    assert len(bases) == 36 and {mark for *_, mark in motifs} == {"GATA", "TAL1"}
    core = {"GATA": "GAT", "TAL1": "CAGATG"}
    has = [core[mark] in bases[name][int(start):int(end)] for name, start, end, mark in motifs]
    assert np.mean(has) > 0.8 and len(motifs) >= 56


def test_splice_sites_are_where_their_file_says():
    """The largest probability of an acceptor or donor lies in the region that splice_sites.bed names, exon by exon."""
    torch = pytest.importorskip("torch")
    weights = ZOO / "openspliceai" / "400" / "rs10" / "weights.pt"
    at_hand(weights, GENOME)
    folder = EXAMPLES / "OpenSpliceAI"
    net = module_of(folder / "net.py").SpliceAI(400).eval()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    genome = "".join(GENOME.read_text().splitlines()[1:]).upper()
    loci, sites = ([line.split("\t") for line in (folder / name).read_text().splitlines()]
                   for name in ("exons_800.bed", "splice_sites.bed"))
    right = []
    for _, start, end, _, _, strand in loci[::4]:
        x = one_hot(genome[int(start) - OFFSET:int(end) - OFFSET])
        x = x[::-1, ::-1].copy() if strand == "-" else x
        with torch.no_grad():
            largest = net(torch.from_numpy(x.T[None].copy()))[0].argmax(1).numpy() + 200  # half of the context
        for mark, place in (("acceptor", largest[1]), ("donor", largest[2])):
            base = int(end) - 1 - place if strand == "-" else int(start) + place
            right.append(any(name == mark and int(first) <= base < int(last) for _, first, last, name, *_ in sites))
    assert len(right) == 16 and np.mean(right) > 0.85


def test_motifs_that_are_known_move_their_factor_most():
    """An E-box moves MAX, a forkhead motif FOXA1, and AP-1's motif JUND, in each of the three trainings."""
    torch = pytest.importorskip("torch")
    at_hand(*(ZOO / "explainn" / name / "weights.pth" for name in "123"))
    rng = np.random.default_rng(0)
    background = ["".join(rng.choice(list("ACGT"), 200)) for _ in range(64)]
    for name in "123":
        net = module_of(EXAMPLES / "ExplaiNN" / "net.py").ExplaiNN().eval()
        net.load_state_dict(torch.load(ZOO / "explainn" / name / "weights.pth", map_location="cpu", weights_only=True))

        def logits(sequences, net=net):
            with torch.no_grad():
                return net(torch.from_numpy(np.stack([one_hot(each).T for each in sequences]))).numpy()

        before = logits(background)
        for factor, motif in enumerate(("GCCACGTGAC", "TGTTTACTTT", "ATGACTCATC")):
            moved = (logits([each[:95] + motif + each[105:] for each in background]) - before).mean(0)
            assert moved.argmax() == factor and moved[factor] > 0.5, (name, motif, moved)
