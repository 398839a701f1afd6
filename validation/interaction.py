"""Loci and motifs for `interaction` on two ensembles whose truth is known.

    python validation/interaction.py tal_gata sequences.simdata.gz FOLDER   # docs/tal_gata.md fetches the sequences
    python validation/interaction.py example EXAMPLE FOLDER                 # EXAMPLE: what `kipoi deepmr example` made

writes loci.bed, motifs.bed and, for TAL1 and GATA1, sequences.fa into FOLDER. Then

    kipoi deepmr predict MODELS --intervals_file FOLDER/loci.bed --fasta_file SEQUENCES.fa \
        --mutants regions,pairs --instrument_regions FOLDER/motifs.bed -o effects.zarr
    kipoi deepmr interaction effects.zarr -o interaction.tsv
"""

import argparse
import csv
import gzip
import shutil
from pathlib import Path

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=("tal_gata", "example"))
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    {"tal_gata": tal_gata, "example": example}[arguments.name](arguments.source, arguments.folder)


if __name__ == "__main__":
    main()
