"""Fetch the weights of ensembles that others trained, and make Kipoi model directories of them.

    python example_models/fetch.py {OpenSpliceAI,ExplaiNN,TAL1-GATA1} FOLDER [--from FOLDER]

Each file comes from its public home by https, or from the folder of --from, and is used only if its SHA-256 is the one
below. Nothing is ever replaced: a file that is there already must be right.
"""

import argparse
import csv
import gzip
import hashlib
import io
import shutil
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
GITHUB = "https://raw.githubusercontent.com"

OPENSPLICEAI = f"{GITHUB}/Kuanhao-Chao/OpenSpliceAI/394109aad9d7a60c5139d3262b1e8ced2bd81209/models/openspliceai-mane"
EXPLAINN = f"{GITHUB}/wassermanlab/ExplaiNN"
DEEPLIFT, TFMODISCO = f"{GITHUB}/kundajelab/deeplift", f"{GITHUB}/kundajelab/tfmodisco"
SIMULATED = f"{TFMODISCO}/ede0a1e268ed1dd630d4a7a324e966644717fbc4/examples/simulated_tf_binding/generate_scores"
SEEDS = (10, 11, 12, 13, 14)

# SHA-256 by seed, by bases of context
OPENSPLICEAI_SHA256 = {
    80: ("894594d18be6d3e339d76b9698accf4071bd2f0f32f40c52a2c1b848d1cef9f4",
         "141999005015698296b78f7ee1ce2a6bffc8653195e23963dbad0a5cc124b8ee",
         "ae201087fe05756c7c9dd128df5323648f9081ad5c854e632aea7980852a8e93",
         "d50d31d53067d3beb74a7bc7f5b885ec7cae79e6ce736ee9ce47d463df041f7d",
         "8e669b8df46366575130cf46729baab8103657086d9b070d52af75b8af5dc652"),
    400: ("a4838147b4af2e9b19d336f21eeea6bf5af5140ecd33fa3ebdb64b544ea6b547",
          "32120d27b711f4313e5a73dcb1405ea77d1cddeab02709f39348d300d3f0e6de",
          "db74e7948eba498fd55b56a666edf3db8e71068967d71de5e28f1d10c81b529d",
          "b0a3599b5444c8752e22963b52d37f822521a824db3aae16b924fd53ecaeeb51",
          "35bd0ab2598891ed956df886c59e8e9f0ac2879cebede30bbba9887daf8b79d3"),
}

# name of the file below FOLDER: its address and its SHA-256
FILES = {
    "OpenSpliceAI": {
        f"{context}/rs{seed}/model_{context}nt_rs{seed}.pt": (
            f"{OPENSPLICEAI}/{context}nt/model_{context}nt_rs{seed}.pt", sha256)
        for context, of_seeds in OPENSPLICEAI_SHA256.items()
        for seed, sha256 in zip(SEEDS, of_seeds, strict=True)},
    "ExplaiNN": {
        "1/model_epoch_best_5_.pth": (
            f"{EXPLAINN}/717e8c8e131c5641140113b89e9dfdebb7c545d6/notebooks/paper/checkpoints/model_epoch_best_5_.pth",
            "2a2c87f96cdd37f8e0c9dff487391952d550bdf03b700cdfb5b8d7e3f7c9f3e2"),
        "2/model_epoch_best_4.pth": (
            f"{EXPLAINN}/5c9d32d564b3cfd654710c99955cfb0aa2076e66/data/test/weights/model_epoch_best_4.pth",
            "cca0c61d1a661c02035f97ad5d2c890ef9dc8eb6372ebf010c819f9aa4f4ca01"),
        "3/model_epoch_best_4.pth": (
            f"{EXPLAINN}/c88a41d9b2427c906712a9c1051ea9b6f5700c50/data/test/weights/model_epoch_best_4.pth",
            "1f430611c92df20fcfa0433c2d3546d960c2c67ce7e3da3e1ae6aa23871b1698"),
    },
    "TAL1-GATA1": {
        "1/v0CG1.h5": (
            f"{DEEPLIFT}/b5eb9ba28a745e4806f02e32c5db95211374cbbc/examples/public/tal_gata/"
            "record_2_model_v0CG1_modelWeights.h5",
            "975ea6feb00e0dd5a79042b15f14fba3e878304fa4c8fc4ee756832713f2c1c4"),
        "2/ssieI.h5": (
            f"{DEEPLIFT}/18e911c9616f02fb4b53ba295a25ae51003b406e/examples/public/tal_gata/"
            "record_4_model_ssieI_modelWeights.h5",
            "f209ed384c653b0cbb254c4563cb01583200acd3cdaa8d337c877968cb0d889d"),
        "3/PQzyq.h5": (f"{SIMULATED}/record_5_model_PQzyq_modelWeights.h5",
                       "e65745bfcf5cab8035a5fb7efe421bc505f406645e4e73c8136491a7465974bb"),
        "sequences.simdata.gz": (f"{SIMULATED}/sequences.simdata.gz",
                                 "84a4f65ee3a9b75e40f7d9aaa72e74ad0c4de5529784f381f51000daf4b79d57"),
    },
}


def fetch(name, folder, source=None):
    """Files of one ensemble and the model directories made of them, in `folder`.

    Parameters
    ----------
    name : str
        One of `FILES`.
    folder : path
    source : path, optional
        Folder that holds the files by the names that they have in `FILES`; by default their public homes.
    """
    for file, (url, sha256) in FILES[name].items():
        place = Path(folder, file)
        if place.exists():
            check(place.read_bytes(), sha256, place)
            continue
        content = Path(source, file).read_bytes() if source else download(url)
        check(content, sha256, url)
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "xb") as out:
            out.write(content)
    MAKERS[name](Path(folder), HERE / name)


def download(url):
    """Contents of an https address."""
    if not url.startswith("https://"):
        raise SystemExit(f"{url}: only https is used")
    with urllib.request.urlopen(url, timeout=60) as reply:
        return reply.read()


def check(content, sha256, where):
    """Stop if the SHA-256 is another."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit(f"{where}: its SHA-256 is not {sha256}; nothing was written")


def make_openspliceai(folder, ours):
    for weights in sorted(folder.glob("*/*/*nt_*.pt")):
        torch_directory(weights, "weights.pt", ours / f"model_{weights.parent.parent.name}.yaml", ours / "net.py")


def make_explainn(folder, ours):
    for weights in sorted(folder.glob("*/model_*.pth")):
        torch_directory(weights, "weights.pth", ours / "model.yaml", ours / "net.py")


def torch_directory(weights, name, *beside):
    """Make a Kipoi model directory around a state_dict, which is saved again for the CPU."""
    import torch

    target = weights.with_name(name)
    if not target.exists():
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), target)
    for file in beside:
        copy_new(file, target.with_name("net.py" if file.suffix == ".py" else "model.yaml"))


def copy_new(file, target):
    if not target.exists():
        shutil.copyfile(file, target)


def make_tal_gata(folder, ours):
    """Networks in Keras 3, sequences.fa and motifs.bed."""
    for weights in sorted(folder.glob("*/*.h5")):
        target = weights.with_name("model.keras")
        if not target.exists():
            tal_gata_network(weights).save(target)
        copy_new(ours / "model.yaml", weights.with_name("model.yaml"))
    with gzip.open(folder / "sequences.simdata.gz", "rt") as lines:
        rows = {row["seqName"]: row for row in csv.DictReader(lines, delimiter="\t")}
    fasta, motifs = io.StringIO(), io.StringIO()
    for name in (line.split("\t")[0] for line in (ours / "loci.bed").read_text().splitlines()):
        fasta.write(f">{name}\n{rows[name]['sequence']}\n")
        for motif in filter(None, rows[name]["embeddings"].split(",")):  # such as pos-120_GATA_disc1-GCAGATAAGA
            position, kind, *_ = motif.removeprefix("pos-").split("_")
            end = int(position) + len(motif.rpartition("-")[2])
            motifs.write(f"{name}\t{position}\t{end}\t{kind}\n")
    for file, text in (("sequences.fa", fasta), ("motifs.bed", motifs)):
        if not (folder / file).exists():
            (folder / file).write_text(text.getvalue())


def tal_gata_network(weights):
    """One of the three networks of Keras 1, in Keras 3.

    Theano, on which the second and the third were trained, turns a kernel round before it multiplies. The third has
    the bases along the rows of a picture.
    """
    import h5py
    import keras
    from keras import layers

    with h5py.File(weights) as file:
        arrays = {f"{layer}.{name.split('_')[2][0]}": value[:] for layer, group in file.items()
                  for name, value in group.items()}
    kernels = [arrays.get(f"convolution1d_{k}.W", arrays.get(f"convolution2d_{k}.W")) for k in (1, 2)]
    biases = [arrays.get(f"convolution1d_{k}.b", arrays.get(f"convolution2d_{k}.b")) for k in (1, 2)]
    if weights.stem == "PQzyq":  # (filter, 1 or filter, base or 1, position)
        kernels = [kernels[0][:, 0, ::-1, ::-1].transpose(2, 1, 0), kernels[1][:, :, 0, ::-1].transpose(2, 1, 0)]
    else:  # (position, 1, base or filter, filter)
        kernels = [kernel[:: -1 if weights.stem == "ssieI" else 1, 0] for kernel in kernels]
    network = keras.Sequential([
        keras.Input((200, 4)), layers.Conv1D(50, 11, activation="relu"), layers.Conv1D(50, 11, activation="relu"),
        layers.AveragePooling1D(180, 1), layers.Flatten(), layers.Dense(50, activation="relu"), layers.Dropout(0.5),
        layers.Dense(3, activation="sigmoid")])
    dense = [arrays[f"dense_{k}.{name}"] for k in (1, 2) for name in "Wb"]
    network.set_weights([kernels[0], biases[0], kernels[1], biases[1], *dense])
    return network


MAKERS = {"OpenSpliceAI": make_openspliceai, "ExplaiNN": make_explainn, "TAL1-GATA1": make_tal_gata}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(FILES))
    parser.add_argument("folder")
    parser.add_argument("--from", dest="source", help="folder that holds the files by their names below FOLDER")
    arguments = parser.parse_args()
    fetch(arguments.name, arguments.folder, arguments.source)
