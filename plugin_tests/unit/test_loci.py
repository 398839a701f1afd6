"""Reading BED and FASTA, sampling, and what is dropped."""

import gzip
import os
import threading

import numpy as np
import pytest

from kipoi_deepmr import dna, loci
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, Loci, read_bed, resized, select


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
    with pytest.raises(InputError, match="is a folder"):
        read_bed(str(tmp_path))
    for content, said in ((b"\xff\xfe\x00", "zero bytes"), (b"chr1\t1\t2\n".decode().encode("utf-16"), "UTF-16"),
                          (b"\x1f\x8bxx", "gzip is damaged"), (b"BZh91AY", "by bzip2"), (b"PK\x03\x04", "by zip")):
        (tmp_path / "b.bed").write_bytes(content)
        with pytest.raises(InputError, match=f"b.bed: not a BED file: .*{said}"):
            read_bed(str(tmp_path / "b.bed"))


def test_gzip_goes_by_content(tmp_path):
    (tmp_path / "packed.bed").write_bytes(gzip.compress(b"chr1\t5\t9\n"))
    (tmp_path / "plain.bed.gz").write_bytes(b"chr1\t5\t9\n")
    assert read_bed(str(tmp_path / "packed.bed")) == read_bed(str(tmp_path / "plain.bed.gz"))


def test_a_pipe_is_read_once_and_remembered(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(gzip.compress(b"chr1\t5\t9\n"),))
    writer.start()
    first = read_bed(str(tmp_path / "pipe"))
    writer.join()
    assert read_bed(str(tmp_path / "pipe")) == first and first[0][:3] == ("chr1", 5, 9)


@pytest.mark.parametrize("header", ["chrom\tstart\tend\tname", "#chrom\tx", "chr chromStart chromEnd",
                                    '"contig"\t"peak_start"\t"stop"'])
def test_a_row_of_column_names(tmp_path, header):
    assert len(read_bed(write(tmp_path / "a.bed", f"{header}\nchr1\t5\t9\n"))) == 1


@pytest.mark.parametrize("content, said", [
    ("seqnames\tstart\tend\twidth\nchr1\t5\t9\t5\n", "line 1: this is a table of R's GRanges, whose positions"),
    ("chr\tstart\tend\tlength\tabs_summit\nchr1\t5\t9\t5\t7\n", "MACS, whose positions count from 1"),
    ("chr1\t5\t9\nchrom\tstart\tend\n", "line 2: start and end must be whole numbers"),
    ("chr1,5,9\n", "line 1: a BED line needs chrom, start and end, separated by tabs"),
])
def test_other_tables_are_refused(tmp_path, content, said):
    with pytest.raises(InputError, match=said):
        read_bed(write(tmp_path / "a.bed", content))


def test_contigs_that_begin_as_track_lines_do(tmp_path):
    lines = ["track name=x description='a b'", "browser position chr7:1-9", "track1\t5\t9", "browser_2\t5\t9",
             "track\t5\t9\tn", "track type=bed\tname=x", "browser hide all", "track"]
    assert [i.chrom for i in read_bed(write(tmp_path / "a.bed", "\n".join(lines)))] == ["track1", "browser_2", "track"]


def test_blanks_empty_columns_and_names_that_are_no_utf8(tmp_path):
    (tmp_path / "a.bed").write_bytes(b"chr1 5 9 a\xe9 0 -\nchr1\t5\t9\t\t\t\nchr1\t5\t9\tb c\t0\t\n")
    one, two, three = read_bed(str(tmp_path / "a.bed"))
    assert (one.name, one.strand) == ("a\\xe9", "-") and (two.name, two.strand) == ("chr1:5-9", ".")
    assert (three.name, three.strand) == ("b c", ".")


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


def source(genome_file, tmp_path, lines, length=12, resize=None, name="x.bed"):
    path = write(tmp_path / name, "\n".join(lines) + "\n")
    return BedSource(read_bed(path, below_zero=True), Genome(genome_file), length, path, resize)


def test_minus_strand_is_reverse_complemented(genome_file, tmp_path):
    chosen = select(source(genome_file, tmp_path, ["chr1\t10\t22\ta\t0\t+", "chr1\t10\t22\tb\t0\t-"])).loci
    assert (chosen.sequences[1] == dna.reverse_complement(chosen.sequences[0])).all()
    assert chosen.strand.tolist() == ["+", "-"]


def test_dropped_loci_are_named_by_reason(genome_file, tmp_path):
    lines = ["chr1\t0\t12\tgood", "chr1\t0\t12\tagain", "chr1\t395\t407\tend", "chr1\t195\t207\tn", "chr1\t205\t217\tr",
             "1\t0\t12\tprefix", "chrX\t0\t12\tabsent", "chr1\t-1\t11\tstart"]
    selection = select(source(genome_file, tmp_path, lines))
    assert selection.loci.name.tolist() == ["good"]
    assert selection.n_candidates == 8
    assert selection.dropped == {loci.DUPLICATE: ["again"], loci.OVER_THE_END: ["end"], loci.AMBIGUOUS: ["n", "r"],
                                 loci.PREFIX_MISMATCH: ["prefix"], loci.ABSENT_CONTIG: ["absent"],
                                 loci.OVER_THE_START: ["start"]}


def test_no_usable_locus_says_why(genome_file, tmp_path):
    with pytest.raises(InputError, match="none of the 1 loci can be used: 1 has N .*chr1:195-207"):
        select(source(genome_file, tmp_path, ["chr1\t195\t207"]))


# Peaks

def test_without_resizing_another_length_names_the_line(genome_file, tmp_path):
    with pytest.raises(InputError, match="x.bed, line 2: the interval chr1:0-13 is 13 bases .* takes 12"):
        source(genome_file, tmp_path, ["chr1\t0\t12", "chr1\t0\t13"], resize="none")


@pytest.mark.parametrize("length", [1, 4, 5, 12])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 12, 31])
def test_the_middle_of_a_peak_is_that_of_its_locus(tmp_path, length, size):
    interval = loci.Interval("chr1", 100, 100 + size, "+", "x", 1, ())
    (locus,), note = resized([interval], length, "x.bed")
    assert locus.size == length and abs((locus.start + locus.end) - (interval.start + interval.end)) <= 1
    assert (locus is interval) == (size == length) == (note == "") and locus.name == "x"


def narrow_peak(start, end, summit, name="p", strand="."):
    return f"chr1\t{start}\t{end}\t{name}\t9\t{strand}\t1.5\t-1\t2e3\t{summit}"


def test_narrow_peaks_are_centred_on_their_summits(genome_file, tmp_path):
    lines = [narrow_peak(20, 70, 7, "a"), narrow_peak(20, 71, -1, "b", "-"), narrow_peak(20, 70, 49, "c"),
             narrow_peak(0, 30, 2, "edge")]
    given = source(genome_file, tmp_path, lines)
    chosen = select(given)
    assert given.notes == (f"{tmp_path}/x.bed: 4 of 4 intervals resized to the model's 12 bases, centred on their "
                           "summit (column 10), 1 without one on their middle (--resize)",)
    assert chosen.loci.start.tolist() == [27 - 6, 45 - 6, 69 - 6] and (chosen.loci.end - chosen.loci.start == 12).all()
    assert chosen.dropped == {loci.OVER_THE_START: ["edge"]}
    with Genome(genome_file) as genome:
        assert (chosen.loci.sequences[0] == genome.fetch("chr1", 21, 33)).all()
    middle = source(genome_file, tmp_path, lines, resize="center")
    assert select(middle).loci.start.tolist() == [45 - 6, 45 - 6, 15 - 6]  # the first and third peak are the same
    assert "centred on their middle" in middle.notes[0]


@pytest.mark.parametrize("line, resize, name, said", [
    (narrow_peak(20, 70, 50), "summit", "x.bed", r"must be -1 or below 50 \(the interval's length\), not '50'"),
    (narrow_peak(20, 70, "x"), None, "x.narrowPeak", "column 10, the summit's distance from the start, .* not 'x'"),
    ("chr1\t0\t13", "summit", "x.bed", "has no column 10"), ("chr1\t0\t13", "nowhere", "x.bed", "'nowhere' is not one"),
])
def test_peaks_without_a_summit(genome_file, tmp_path, line, resize, name, said):
    with pytest.raises(InputError, match=said):
        source(genome_file, tmp_path, [line], resize=resize, name=name)


def test_a_bed_of_ten_columns_that_are_no_peaks_is_centred_on_the_middle(genome_file, tmp_path):
    given = source(genome_file, tmp_path, [narrow_peak(20, 70, 7), narrow_peak(20, 70, 99)])
    assert "2 of 2 intervals resized to the model's 12 bases, centred on their middle" in given.notes[0]


@pytest.mark.parametrize("lines, said", [
    (["1\t0\t12", "2\t0\t12"], r'none of its contigs \(1, 2\) is in .*genome.fa \(chr1, chr2\): they are there only '
                               r'with another "chr" prefix \(chr1 for 1\)'),
    (["NC_000001.11\t0\t12"], "the intervals name contigs by accession number"),
    (["chrX\t0\t12"], "probably of different assemblies or species"),
    (["chr1\t0\t12", "chr2\t90\t102", "chr2\t95\t107"],
     r"2 of 3 intervals end beyond their contigs .*first, in line 2: chr2:90-102, and chr2 has 100 bases.*different"),
])
def test_peaks_of_another_assembly_are_refused(genome_file, tmp_path, lines, said):
    with pytest.raises(InputError, match=said):
        source(genome_file, tmp_path, lines)


def test_some_peaks_of_another_assembly_are_told(genome_file, tmp_path):
    lines = ["chr1\t0\t12", "chr1\t20\t32", "chr1\t40\t52", "chr2\t90\t102", "chr2\t95\t107", "chrM\t5\t17"]
    absent, beyond = source(genome_file, tmp_path, lines).notes
    assert "1 of 6 intervals lie on contigs (chrM) that are not in" in absent and "a part of the genome" in absent
    assert "2 of 6 intervals end beyond their contigs" in beyond


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


def test_loci_from_bed_of_peaks(genome_file, tmp_path):
    path = write(tmp_path / "x.bed", "chr1\t0\t12\nchr1\t20\t40\n")
    with pytest.raises(InputError, match="line 2: the interval is 20 bases long, and the first is 12; give the length"):
        Loci.from_bed(path, genome_file)
    with pytest.warns(UserWarning, match="1 of 2 intervals resized to the model's 12 bases, centred on their middle"):
        assert Loci.from_bed(path, genome_file, 12).start.tolist() == [0, 24]
    with pytest.raises(InputError, match="takes 12"):
        Loci.from_bed(path, genome_file, 12, resize="none")


def test_loci_from_bed_warns_of_those_dropped(genome_file, tmp_path):
    path = write(tmp_path / "x.bed", "chr1\t0\t12\nchr1\t0\t12\tagain\n")
    with pytest.warns(UserWarning, match="1 of 2 loci dropped: duplicate of an earlier locus: again"):
        assert len(Loci.from_bed(path, genome_file)) == 1
