"""Loci and motifs for `interaction` on two ensembles whose truth is known.

    python validation/interaction.py tal_gata sequences.simdata.gz FOLDER   # docs/tal_gata.md fetches the sequences
    python validation/interaction.py example EXAMPLE FOLDER                 # EXAMPLE: what `kipoi deepmr example` made

writes loci.bed, motifs.bed and, for TAL1 and GATA1, sequences.fa into FOLDER. Then

    kipoi deepmr predict MODELS --intervals_file FOLDER/loci.bed --fasta_file SEQUENCES.fa \
        --mutants regions,pairs --instrument_regions FOLDER/motifs.bed -o effects.zarr
    kipoi deepmr interaction effects.zarr -o interaction.tsv

What the simulation's own equations say of the example, at the loci of `--n_loci 60` and with the same sequences in
place of the motifs:

    python validation/interaction.py truth EXAMPLE FOLDER
"""

import argparse
import csv
import gzip
import json
import shutil
from pathlib import Path

from kipoi_deepmr import mutagenesis, shape
from kipoi_deepmr.loci import Loci, Selection
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.pipeline.mutants import planned
from kipoi_deepmr.simulation.binding import MARKS, Parameters, affinities, anscombe, load_pwms

N_LOCI = 80  # of TAL1 and GATA1
WIDTHS = {"GATA": 10, "TAL1": 16}  # of GATA_disc1 and TAL1_known1


def tal_gata(source, folder):
    """Sequences with one motif of each kind, and where the motifs lie."""
    with gzip.open(source, "rt") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["embeddings"].count(",") == 1]
    loci, motifs, fasta = [], [], []
    for row in rows:
        found = [motif.removeprefix("pos-").split("_", 2) for motif in row["embeddings"].split(",")]
        if {kind for _, kind, _ in found} != {"GATA", "TAL1"} or len(loci) == N_LOCI:
            continue
        name = row["seqName"]
        loci.append(f"{name}\t0\t{len(row['sequence'])}\t{name}\t0\t+\n")
        fasta.append(f">{name}\n{row['sequence']}\n")
        motifs += [f"{name}\t{start}\t{int(start) + len(rest.rpartition('-')[2])}\t{kind}\n"
                   for start, kind, rest in found]
    (folder / "sequences.fa").write_text("".join(fasta))
    (folder / "loci.bed").write_text("".join(loci))
    (folder / "motifs.bed").write_text("".join(motifs))


def example(source, folder):
    """The motifs of the example's loci, which truth.tsv names."""
    with open(source / "truth.tsv") as lines:
        truth = {row["locus"]: row for row in csv.DictReader(lines, delimiter="\t")}
    motifs = []
    for line in (source / "test_loci.bed").read_text().splitlines():
        chrom, start, _, name, *_ = line.split("\t")
        for mark, column in (("GATA", "gata_start"), ("TAL1", "tal1_start")):
            first = int(start) + int(truth[name][column])
            motifs.append(f"{chrom}\t{first}\t{first + WIDTHS[mark]}\t{mark}\n")
    shutil.copyfile(source / "test_loci.bed", folder / "loci.bed")
    (folder / "motifs.bed").write_text("".join(motifs))


def truth(source, folder):
    """Print the table of interactions that a network would have which had learnt the equations."""
    trained, pwms = json.loads((source / "training.json").read_text()), load_pwms()
    parameters = Parameters(trained["alpha"], trained["gamma"])

    def member(number):  # an ensemble refuses two members that are the same
        return lambda one_hot: anscombe(affinities(one_hot.argmax(2), pwms, parameters)) + 1e-4 * number

    fasta = str(source / "test_loci.fa")
    loci = Loci.from_bed(str(folder / "loci.bed"), fasta, n_loci=60)
    ensemble = Ensemble.from_function([member(1), member(2)], length=loci.sequences.shape[1], marks=MARKS)
    loci = planned(Selection(loci, {}, len(loci), fasta), MARKS, mutants="regions,pairs",
                   instrument_regions=str(folder / "motifs.bed")).loci
    found = shape.gather_pairs(mutagenesis.saturate(ensemble, loci), range(2), range(2))
    for row in shape.interactions(found, MARKS, range(2)):
        print(*(f"{name}\t{value}" for name, value in row._asdict().items()), sep="\n", end="\n\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=("tal_gata", "example", "truth"))
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    {"tal_gata": tal_gata, "example": example, "truth": truth}[arguments.name](arguments.source, arguments.folder)


if __name__ == "__main__":
    main()
