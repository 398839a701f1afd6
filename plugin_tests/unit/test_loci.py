"""Reading BED and FASTA, sampling, and what is dropped."""

import gzip
import os

import numpy as np
import pytest

from kipoi_deepmr import dna, loci
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, Loci, read_bed, select


def write(path, text):
    path.write_text(text)
    return str(path)


def test_bed_of_three_and_six_columns_comments_and_crlf(tmp_path):
    path = write(tmp_path / "a.bed", "browser x\ntrack y\n#c\n\nchr1\t5\t9\r\nchr2\t0\t4\tone\t7\t-\r\nchr1 1 3\n")
    first, second, third = read_bed(path)
    assert first[:5] == ("chr1", 5, 9, ".", "chr1:5-9") and first.line == 5
    assert second[:5] == ("chr2", 0, 4, "-", "one") and second.rest == ("one", "7", "-")
    assert third[:3] == ("chr1", 1, 3)


def test_byte_order_mark(tmp_path):
    (tmp_path / "a.bed").write_bytes(b"\xef\xbb\xbfchr1\t5\t9\n")
    assert read_bed(str(tmp_path / "a.bed"))[0].chrom == "chr1"


def test_gzipped_bed(tmp_path):
    with gzip.open(tmp_path / "a.bed.gz", "wt") as out:
        out.write("chr1\t5\t9\n")
    assert len(read_bed(str(tmp_path / "a.bed.gz"))) == 1


@pytest.mark.parametrize("line, said", [
    ("chr1\t5", "chrom, start and end"), ("chr1\tx\t9", "whole numbers"), ("chr1\t-1\t9", "at least 0"),
    ("chr1\t9\t9", "less than end"), ("chr1\t10\t9", "less than end"), ("chr1\t5\t9\tn\t0\t*", "strand"),
])
def test_malformed_bed_line_is_numbered(tmp_path, line, said):
    path = write(tmp_path / "a.bed", f"# c\nchr1\t1\t2\n{line}\n")
    with pytest.raises(InputError, match=f"a.bed, line 3: .*{said}"):
        read_bed(path)


@pytest.mark.parametrize("content", ["", "# nothing\n\n"])
def test_empty_bed(tmp_path, content):
    with pytest.raises(InputError, match="empty"):
        read_bed(write(tmp_path / "a.bed", content))


def test_missing_and_binary_bed(tmp_path):
    with pytest.raises(InputError, match="no such BED"):
        read_bed(str(tmp_path / "none.bed"))
    (tmp_path / "b.bed").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a BED"):
        read_bed(str(tmp_path / "b.bed"))
    (tmp_path / "c.bed.gz").write_bytes(b"chr1\t1\t2\n")
    with pytest.raises(InputError, match="not a BED"):
        read_bed(str(tmp_path / "c.bed.gz"))


def test_genome_fetch_is_upper_case(genome_file):
    with Genome(genome_file) as genome:
        assert genome.contigs == {"chr1": 400, "chr2": 100}
        text = "".join(line for line in open(genome_file).read().split(">chr2")[0].splitlines()[1:])
        assert dna.decode(genome.fetch("chr1", 30, 60)) == text[30:60].upper()


@pytest.mark.parametrize("content", ["", "no header\nACGT\n"])
def test_bad_fasta(tmp_path, content):
    with pytest.raises(InputError, match="g.fa"):
        Genome(write(tmp_path / "g.fa", content))


def test_missing_fasta(tmp_path):
    with pytest.raises(InputError, match="no such FASTA"):
        Genome(str(tmp_path / "g.fa"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_index_that_cannot_be_written(tmp_path, genome_file):
    os.chmod(tmp_path, 0o555)
    try:
        with pytest.raises(InputError, match="samtools faidx"):
            Genome(genome_file)
    finally:
        os.chmod(tmp_path, 0o755)


def source(genome_file, tmp_path, lines, length=12):
    path = write(tmp_path / "x.bed", "\n".join(lines) + "\n")
    return BedSource(read_bed(path), Genome(genome_file), length, path)


def test_minus_strand_is_reverse_complemented(genome_file, tmp_path):
    chosen = select(source(genome_file, tmp_path, ["chr1\t10\t22\ta\t0\t+", "chr1\t10\t22\tb\t0\t-"])).loci
    assert (chosen.sequences[1] == dna.reverse_complement(chosen.sequences[0])).all()
    assert chosen.strand.tolist() == ["+", "-"]


def test_dropped_loci_are_named_by_reason(genome_file, tmp_path):
    lines = ["chr1\t0\t12\tgood", "chr1\t0\t12\tagain", "chr1\t395\t407\tend", "chr1\t195\t207\tn", "chr1\t205\t217\tr",
             "1\t0\t12\tprefix", "chrX\t0\t12\tabsent"]
    selection = select(source(genome_file, tmp_path, lines))
    assert selection.loci.name.tolist() == ["good"]
    assert selection.n_candidates == 7
    assert selection.dropped == {loci.DUPLICATE: ["again"], loci.OVER_THE_END: ["end"], loci.AMBIGUOUS: ["n", "r"],
                                 loci.PREFIX_MISMATCH: ["prefix"], loci.ABSENT_CONTIG: ["absent"]}


def test_no_usable_locus_says_why(genome_file, tmp_path):
    with pytest.raises(InputError, match='none of the 2 loci.*"chr" prefix.*1:0-12'):
        select(source(genome_file, tmp_path, ["1\t0\t12", "2\t0\t12"]))


def test_wrong_length_names_the_line(genome_file, tmp_path):
    with pytest.raises(InputError, match="x.bed, line 2: the interval chr1:0-13 is 13 bases .* takes 12"):
        source(genome_file, tmp_path, ["chr1\t0\t12", "chr1\t0\t13"])


def test_sampling_is_seeded_skips_bad_loci_and_keeps_order(genome_file, tmp_path):
    lines = [f"chr1\t{s}\t{s + 12}\tl{s}" for s in range(0, 380, 5)]
    one, two, other = (select(source(genome_file, tmp_path, lines), 20, seed).loci for seed in (1, 1, 2))
    assert len(one) == 20 and (np.diff(one.start) > 0).all()
    assert (one.start == two.start).all() and not (one.start == other.start).all()
    assert not dna.is_ambiguous(one.sequences).any()


def test_asking_for_more_than_there_are(genome_file, tmp_path):
    assert len(select(source(genome_file, tmp_path, ["chr1\t0\t12", "chr1\t0\t12"]), 5).loci) == 1


def test_loci_from_bed(genome_file, bed_file):
    chosen = Loci.from_bed(bed_file, genome_file)
    assert len(chosen) == 9 and chosen.sequences.shape == (9, 12)
    assert chosen[2:4].name.tolist() == ["locus2", "locus3"]


def test_loci_from_bed_warns_of_those_dropped(genome_file, tmp_path):
    path = write(tmp_path / "x.bed", "chr1\t0\t12\nchr1\t0\t12\tagain\n")
    with pytest.warns(UserWarning, match="1 of 2 loci dropped: duplicate of an earlier locus: again"):
        assert len(Loci.from_bed(path, genome_file)) == 1
