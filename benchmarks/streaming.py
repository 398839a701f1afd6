"""Memory and CPU time of `estimate` and `aggregate` on a store of many loci, which neither may hold as a whole.

    python benchmarks/streaming.py [--loci 100000] [--length 1000] [--marks 4] [--folder FOLDER]

The store is as `predict --keep summary` writes it, with random effects. All its blocks are the same one, under as many
names (hard links), so that making 10 GB of effects takes seconds and little disk; the loci lie one after the other on a
genome that repeats as they do. `estimate` and `aggregate` read all of it as they would read any other store.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kipoi_deepmr import dna, effects_store
from kipoi_deepmr.effects_store import record
from kipoi_deepmr.loci import Loci
from kipoi_deepmr.models.host.saturation import alternative_bases

MEMBERS = ("1", "2", "3", "4", "5")
PROGRAM = str(Path(sys.executable).parent / "kipoi-deepmr")


def make_genome(path, n_loci, length, n_different):
    """A FASTA of one contig, and the bases (locus, length) of the different loci that it repeats."""
    bases = np.random.default_rng(0).choice(dna.BASES, (n_different, length))
    unit = bases.tobytes().decode()
    with open(path, "w", encoding="utf-8") as fasta:
        fasta.write(">chr1\n")
        for _ in range(-(-n_loci // n_different)):
            fasta.writelines(unit[i:i + length] + "\n" for i in range(0, len(unit), length))
    return bases


def effects_of(bases, marks):
    """Random effects in which each mark follows the first, as a store takes them."""
    rng = np.random.default_rng(1)
    shape = len(bases), 3 * bases.shape[1], len(marks)
    effect = rng.normal(size=shape)
    effect[..., 1:] = 0.5 * effect[..., :1] + effect[..., 1:]
    letters = [np.repeat(bases, 3, 1), np.stack([alternative_bases(locus) for locus in bases])]
    ref, alt = (np.ascontiguousarray(each).view("S1").astype("U1") for each in letters)
    return {"effect": effect.astype("f4"), "effect_se": (0.1 + rng.random(shape)).astype("f4"),
            "reference": np.zeros((len(bases), len(MEMBERS), len(marks)), "f4"), "ref_base": ref, "alt_base": alt}


def make_store(folder, n_loci, length, n_marks):
    """The store, of blocks that are one and the same."""
    marks = [f"mark{k}" for k in range(n_marks)]
    block = effects_store.loci_per_block(len(MEMBERS), 3 * length, n_marks)
    n_loci -= n_loci % block
    bases = make_genome(folder / "genome.fa", n_loci, length, block)
    start = np.arange(n_loci) * length
    loci = Loci(np.full(n_loci, "chr1"), start, start + length, np.full(n_loci, "+"),
                np.array([f"chr1:{i}-{i + length}" for i in start]), np.resize(bases, (n_loci, length)))
    arguments = (str(folder / "effects.zarr"), loci, marks, MEMBERS,
                 {"settings": {}, "dropped": {}, "fasta_file": str(folder / "genome.fa")}, False)
    writer = effects_store.Writer(*arguments)
    writer.write(slice(0, block), effects_of(bases, marks))
    (head, first), _ = record.read(writer.partial)
    entries = [{"first": i, "files": {name.replace("/0", f"/{i // block}", 1): crc
                                      for name, crc in first["files"].items()}} for i in range(0, n_loci, block)]
    for entry in entries[1:]:
        for name, old in zip(entry["files"], first["files"], strict=True):
            if first["files"][old] is not None:
                os.link(os.path.join(writer.partial, old), os.path.join(writer.partial, name))
    record.write(writer.partial, [head, *entries])
    writer = effects_store.Writer(*arguments)
    assert not writer.blocks()
    writer.close()


def measured(*command):
    """Peak resident memory (MB), CPU time and wall time (s) of a command."""
    begun = time.monotonic()
    process = subprocess.Popen([PROGRAM, *command, "-q"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return usage.ru_maxrss / 1e3, usage.ru_utime + usage.ru_stime, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("--loci", 100_000), ("--length", 1000), ("--marks", 4)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--folder", help="where the store is made (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        begun = time.process_time()
        make_store(folder, arguments.loci, arguments.length, arguments.marks)
        print(f"store made: {time.process_time() - begun:.0f} s of CPU")
        for command in (("estimate", str(folder / "effects.zarr"), "--method", "egger,ivw", "-o",
                         str(folder / "local.tsv")),
                        ("aggregate", str(folder / "local.tsv"), "-o", str(folder / "global.tsv"))):
            print("{}: {:.0f} MB, {:.0f} s of CPU, {:.0f} s".format(command[0], *measured(*command)), flush=True)


if __name__ == "__main__":
    main()
