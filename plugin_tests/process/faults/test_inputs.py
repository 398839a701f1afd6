"""BED and FASTA files as they come: compressed, from Windows, cut off, with an index of another time; and long ones."""

import gzip
import os
import time

import numpy as np
import pysam
import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, Loci, read_bed, select

LINES = ["chr1\t10\t22\ta\t0\t+", "chr1\t30\t42\tb\t0\t-"]

PLAIN = "\n".join(LINES).encode()
GZIP = gzip.compress(PLAIN, mtime=0)
FLIPPED = bytearray(gzip.compress(PLAIN * 50, mtime=0))
FLIPPED[14] ^= 255


def names(path):
    return [interval.name for interval in read_bed(str(path))]


def test_gzip_and_crlf_and_track_lines(tmp_path):
    odd = "\ufeffbrowser position chr1:1-100\r\ntrack name=x\r\n# comment\r\n\r\n" + "\r\n".join(LINES) + "\r\n"
    (tmp_path / "odd.bed").write_bytes(odd.encode())
    with gzip.open(tmp_path / "odd.bed.gz", "wb") as file:
        file.write(odd.encode())
    with pysam.BGZFile(str(tmp_path / "bgzf.bed.gz"), "wb") as file:
        file.write(odd.encode())
    for name in ("odd.bed", "odd.bed.gz", "bgzf.bed.gz"):
        assert names(tmp_path / name) == ["a", "b"]
        assert [i.strand for i in read_bed(str(tmp_path / name))] == ["+", "-"]


@pytest.mark.parametrize("line, said", [
    ("chr1\t-5\t7", "start must be at least 0 and less than end"), ("chr1\t22\t10", "less than end"),
    ("chr1\t10\t10", "less than end"), ("chr1\t1e3\t2e3", "whole numbers"), ("chr1\t10", "needs chrom, start and end"),
    ("chr1\t10\t22\tx\t0\t*", "strand"),
])
def test_intervals_that_are_none(tmp_path, line, said):
    (tmp_path / "x.bed").write_text("track name=x\n" + LINES[0] + "\n" + line + "\n")
    with pytest.raises(InputError, match=f"x.bed, line 3: .*{said}"):
        read_bed(str(tmp_path / "x.bed"))


COMPRESSED = {"cut.bed.gz": GZIP[:-12], "cut.bed": GZIP[:-12], "flipped.bed.gz": FLIPPED,
              "bits.bed.gz": gzip.compress(b"x" * 99, mtime=0)[:20] + b"\xff" * 40}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_files_that_are_none(tmp_path, name):
    (tmp_path / name).write_bytes(COMPRESSED[name])
    with pytest.raises(InputError, match=f"{name}: not a BED file"):
        read_bed(str(tmp_path / name))


def test_a_million_lines(tmp_path):
    """4 s on one core of the machine that this was written on, which others used too."""
    (tmp_path / "long.bed").write_text("".join(f"chr1\t{i}\t{i + 12}\n" for i in range(1_000_000)))
    (tmp_path / "genome.fa").write_text(">chr1\n" + "ACGTTGCA" * 126_000 + "\n")
    begun = time.process_time()
    intervals = read_bed(str(tmp_path / "long.bed"))
    with Genome(str(tmp_path / "genome.fa")) as genome:
        selection = select(BedSource(intervals, genome, 12, "long.bed"), n_loci=100, seed=1)
    assert time.process_time() - begun < 60
    assert selection.n_candidates == 1_000_000 and len(set(selection.loci.start)) == 100


@pytest.fixture
def genome(tmp_path):
    """A FASTA of two contigs, wrapped, with a BED of a locus at the start of the first and the end of the second."""
    bases = ["".join(np.random.default_rng(k).choice(list("ACGT"), 2000)) for k in range(2)]
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">chr{k}\n" + "\n".join(b[i:i + 50] for i in range(0, 2000, 50)) + "\n"
                            for k, b in enumerate(bases)))
    (tmp_path / "x.bed").write_text("chr0\t0\t40\nchr1\t1960\t2000\n")
    return path, [bases[0][:40], bases[1][1960:]]


def sequences(folder, fasta):
    return [bytes(s).decode() for s in Loci.from_bed(str(folder / "x.bed"), str(fasta)).sequences]


def test_bgzf(tmp_path, genome):
    path, expected = genome
    pysam.tabix_compress(str(path), str(tmp_path / "genome.fa.gz"))
    assert sequences(tmp_path, tmp_path / "genome.fa.gz") == expected == sequences(tmp_path, path)


def test_plain_gzip_is_refused(tmp_path, genome):
    (tmp_path / "genome.fa.gz").write_bytes(gzip.compress(genome[0].read_bytes()))
    with pytest.raises(InputError, match="genome.fa.gz: not a FASTA file that can be indexed.*BGZF"):
        sequences(tmp_path, tmp_path / "genome.fa.gz")


def test_an_index_older_than_its_fasta_is_made_anew(tmp_path, genome):
    path, expected = genome
    sequences(tmp_path, path)
    path.write_text(path.read_text().replace(">chr0\n", ">chr0 of another assembly\n"))
    os.utime(f"{path}.fai", (1, 1))
    assert sequences(tmp_path, path) == expected


@pytest.mark.parametrize("kept", [2050, 2100, 4040])
def test_a_fasta_cut_off_after_it_was_indexed(tmp_path, genome, kept):
    path, _ = genome
    sequences(tmp_path, path)
    path.write_bytes(path.read_bytes()[:kept])
    os.utime(path, (1, 1))  # as a copy that keeps times has it
    with pytest.raises(InputError, match="genome.fa.*cut off"):
        sequences(tmp_path, path)


def test_the_index_of_another_fasta(tmp_path, genome):
    path, _ = genome
    sequences(tmp_path, path)
    path.write_text(path.read_text().replace(">chr1\n", ">chr1 and a long description of it\n"))
    os.utime(path, (1, 1))
    with pytest.raises(InputError, match="genome.fa.fai does not describe it: contig chr1 begins at byte"):
        (tmp_path / "x.bed").write_text("chr1\t0\t40\n")
        sequences(tmp_path, path)


@pytest.mark.parametrize("kept", [200, 600])
def test_bgzf_cut_off(tmp_path, genome, kept):
    path, _ = genome
    compressed = tmp_path / "genome.fa.gz"
    pysam.tabix_compress(str(path), str(compressed))
    compressed.write_bytes(compressed.read_bytes()[:kept])
    with pytest.raises(InputError, match="genome.fa.gz: (not a FASTA file that can be indexed|.*cut off)"):
        sequences(tmp_path, compressed)


@pytest.mark.parametrize("content", ["", "\n\n", ">", "ACGT\n", ">chr0\n", "\x00\x01\x02"])
def test_fasta_files_that_are_none(tmp_path, genome, content):
    path, _ = genome
    path.write_text(content)
    with pytest.raises(InputError, match="genome.fa|none of the 2 loci can be used"):
        sequences(tmp_path, path)
