"""A Kipoi model's own dataloader as a source of loci."""

import json
import shutil

import numpy as np
import pytest
from conftest import LENGTH, member_weights, write_model

from kipoi_deepmr import dna, loci
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Genome, select
from kipoi_deepmr.models import parse_dataloader_args
from kipoi_deepmr.models.kipoi_model import KipoiModel

ITERATOR_CODE = '''
import numpy as np
from kipoi.data import SampleIterator
from kipoi.metadata import GenomicRanges


class Loader(SampleIterator):
    """defined_as: dataloader.Loader"""

    def __init__(self, text_file, broken=False):
        self.rows = [line.split() for line in open(text_file)]
        self.broken = broken

    def __iter__(self):
        for name, sequence in self.rows:
            one_hot = np.eye(4)[["ACGT".index(base) for base in sequence]]
            item = {"inputs": one_hot, "metadata": {"ranges": GenomicRanges("chr1", 5, 17, name, "-")}}
            yield {"inputs": one_hot} if self.broken else item
'''

ITERATOR_YAML = '''
defined_as: dataloader.Loader
args:
  text_file: {doc: names and sequences}
  broken: {doc: without metadata, optional: True}
info: {authors: [{name: test}], doc: test}
output_schema:
  inputs: {shape: "(12, 4)", doc: dna}
  metadata: {ranges: {type: GenomicRanges, doc: place}}
'''


@pytest.fixture
def member(models):
    return KipoiModel(models[0], "dir")


def test_same_loci_as_our_own_reader(member, genome_file, bed_file):
    ours = loci.Loci.from_bed(bed_file, genome_file)
    arguments = {"intervals_file": bed_file, "fasta_file": genome_file, "use_strand": True}
    theirs = select(member.dataloader(arguments)).loci
    for column in ("chrom", "start", "end", "strand", "name", "sequences"):
        assert (getattr(ours, column) == getattr(theirs, column)).all(), column


def test_strand_is_ignored_unless_asked_for(member, genome_file, bed_file):
    given = select(member.dataloader({"intervals_file": bed_file, "fasta_file": genome_file})).loci
    with Genome(genome_file) as genome:
        assert set(given.strand) == {"+"}
        assert all((genome.fetch(c, s, e) == q).all()
                   for c, s, e, q in zip(given.chrom, given.start, given.end, given.sequences, strict=True))


def test_silent_traps_of_kipoiseq_are_caught(member, genome_file, tmp_path):
    lines = ["chr1\t0\t12\tgood", "chr1\t395\t407\tend", "chr1\t195\t207\tn", "chrX\t0\t12\tabsent", "1\t0\t12\tprefix",
             "chr1\t0\t12\tagain"]
    bed = tmp_path / "x.bed"
    bed.write_text("\n".join(lines) + "\n")
    selection = select(member.dataloader({"intervals_file": str(bed), "fasta_file": genome_file}))
    assert selection.loci.name.tolist() == ["good"]
    assert selection.dropped == {loci.OVER_THE_END: ["end"], loci.AMBIGUOUS: ["n"], loci.ABSENT_CONTIG: ["absent"],
                                 loci.PREFIX_MISMATCH: ["prefix"], loci.DUPLICATE: ["again"]}


def test_resized_intervals(tmp_path, genome_file):
    model = write_model(tmp_path / "m", member_weights()[0], dataloader=f"auto_resize_len: {LENGTH}")
    bed = tmp_path / "x.bed"
    bed.write_text("chr1\t100\t131\twide\nchr1\t3\t4\tedge\nchr2\t96\t100\tend\n")
    selection = select(KipoiModel(model, "dir").dataloader({"intervals_file": str(bed), "fasta_file": genome_file}))
    assert (selection.loci.start.tolist(), selection.loci.end.tolist()) == ([109], [121])
    assert selection.dropped == {loci.OVER_THE_START: ["edge"], loci.OVER_THE_END: ["end"]}


def test_resizing_to_another_length_than_the_model_takes(tmp_path, genome_file, bed_file):
    model = write_model(tmp_path / "m", member_weights()[0], dataloader="auto_resize_len: 20")
    with pytest.raises(InputError, match="auto_resize_len = 20 bases, but model .* takes 12"):
        KipoiModel(model, "dir").dataloader({"intervals_file": bed_file, "fasta_file": genome_file})


@pytest.mark.parametrize("contig", ["1", "c1", "scaffold_7"])
def test_contigs_without_chr_keep_their_names(member, tmp_path, contig):
    (tmp_path / "g.fa").write_text(f">{contig}\n{'ACGGTCA' * 10}\n>chr9\n{'ACGGTTA' * 10}\n")
    (tmp_path / "x.bed").write_text(f"{contig}\t3\t15\nchr9\t2\t14\n")
    arguments = {"intervals_file": str(tmp_path / "x.bed"), "fasta_file": str(tmp_path / "g.fa")}
    assert select(member.dataloader(arguments)).loci.chrom.tolist() == [contig, "chr9"]


def test_peaks_are_resized_for_the_dataloader(member, tmp_path, genome_file):
    path = str(tmp_path / "x.bed")
    peak = "chr1\t{}\t{}\t{}\t0\t{}\t1\t1\t1\t{}\n"
    (tmp_path / "x.bed").write_text(peak.format(20, 70, "a", "-", 7) + peak.format(0, 9, "edge", "+", 2))
    arguments = {"intervals_file": path, "fasta_file": genome_file, "use_strand": True}
    source = member.dataloader(arguments)
    given = select(source)
    with Genome(genome_file) as genome:
        ours = select(loci.BedSource(loci.read_bed(path), genome, 12, path))
    assert (given.loci.sequences == ours.loci.sequences).all() and given.loci.start.tolist() == [21]
    assert given.dropped == ours.dropped == {loci.OVER_THE_START: ["edge"]}
    assert source.notes and "2 of 2 intervals resized to the model's 12 bases" in source.notes[0]
    with pytest.raises(InputError, match="x.bed, line 1: .* is 50 bases long, but the model takes 12"):
        member.dataloader(arguments, resize="none")


def test_wrong_arguments(member, genome_file, bed_file):
    with pytest.raises(InputError, match='no argument "fasta"; did you mean "fasta_file"'):
        member.dataloader({"intervals_file": bed_file, "fasta": genome_file})
    with pytest.raises(InputError, match="needs fasta_file"):
        member.dataloader({"intervals_file": bed_file})
    with pytest.raises(InputError, match="nothing.bed: no such"):
        member.dataloader({"intervals_file": "nothing.bed", "fasta_file": genome_file})
    with pytest.raises(InputError, match="cannot be opened"):
        member.dataloader({"intervals_file": bed_file, "fasta_file": genome_file, "label_dtype": "nonsense("})


@pytest.fixture
def custom(tmp_path, models):
    """A model whose own dataloader is an iterator over a text file, and a function that opens it."""
    folder = tmp_path / "custom"
    shutil.copytree(models[0], folder)
    (folder / "dataloader.py").write_text(ITERATOR_CODE)
    (folder / "dataloader.yaml").write_text(ITERATOR_YAML)
    text = (folder / "model.yaml").read_text()
    start, end = text.index("default_dataloader"), text.index("info:")
    (folder / "model.yaml").write_text(text[:start] + "default_dataloader: .\n" + text[end:])
    member = KipoiModel(str(folder), "dir")

    def open_rows(rows, genome=None, **more):
        (tmp_path / "rows.txt").write_text("\n".join(rows) + "\n")
        return select(member.dataloader({"text_file": str(tmp_path / "rows.txt"), **more}, genome))

    return open_rows


def test_dataloaders_that_only_iterate(custom):
    selection = custom(["one ACGTACGTACGT"])
    assert selection.loci.name.tolist() == ["one"] and selection.loci.strand.tolist() == ["-"]
    assert dna.decode(selection.loci.sequences[0]) == "ACGTACGTACGT"


def test_strand_is_what_the_genome_shows(custom, genome_file):
    with Genome(genome_file) as genome:
        forward = dna.decode(genome.fetch("chr1", 5, 17))
        backward = dna.decode(dna.reverse_complement(genome.fetch("chr1", 5, 17)))
        assert custom([f"x {forward}"], genome).loci.strand.tolist() == ["+"]
        assert custom([f"x {backward}"], genome).loci.strand.tolist() == ["-"]
        with pytest.raises(InputError, match="x: .*another sequence than .*genome.fa holds at chr1:5-17"):
            custom(["x AAAAAAAAAAAA"], genome)


def test_loci_without_a_place(custom):
    with pytest.raises(InputError, match="metadata.ranges"):
        custom(["one ACGTACGTACGT"], broken=True)


def test_dataloader_args_in_three_forms(tmp_path):
    expected = {"intervals_file": "a.bed", "n": 3}
    (tmp_path / "args.json").write_text(json.dumps(expected))
    assert parse_dataloader_args([json.dumps(expected)]) == expected
    assert parse_dataloader_args([str(tmp_path / "args.json")]) == expected
    assert parse_dataloader_args(["intervals_file=a.bed", "n=3"]) == expected


@pytest.mark.parametrize("text", ['{"a": [}', "nothing.json", "[1, 2]"])
def test_bad_dataloader_args(text):
    with pytest.raises(InputError, match="--dataloader_args"):
        parse_dataloader_args([text])


def test_one_hot_with_another_letter_order(tmp_path, genome_file, bed_file):
    model = write_model(tmp_path / "m", member_weights()[0], dataloader='alphabet: "AGCT"')
    given = select(KipoiModel(model, "dir").dataloader({"intervals_file": bed_file, "fasta_file": genome_file})).loci
    assert not np.array_equal(given.sequences[0], given.sequences[1])
    with Genome(genome_file) as genome:
        assert (given.sequences[0] == genome.fetch("chr1", 10, 22)).all()
