"""Tracks for genome browsers, read back with pyBigWig and bedtools: values, positions, strands, overlaps, names."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import numpy as np
import pytest
from finished_runs import effects_of, write_run

from kipoi_deepmr import pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import DiskFull, InputError
from kipoi_deepmr.output import tracks
from kipoi_deepmr.runs.finished import FinishedRun

MARKS = ("A", "b/ <c>&\"", "B/ <c>&\"")  # names that agree as parts of file names
COMPLEMENT = dict(zip("ACGT", "TGCA", strict=True))
GENOME = {"chr2": 500, "chr1": 2000}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Eight loci of 30 bases on both strands of chr1, of which locus1 and locus2 share ten bases, and one is lost."""
    folder = tmp_path_factory.mktemp("tracks")
    effects = effects_of(list(MARKS))
    start = effects["start"].values.copy()
    start[2] = start[1] + 20
    effects = effects.assign_coords(start=("locus", start), end=("locus", start + 30))
    for name in ("effect", "effect_se", "member_effect", "reference"):
        effects[name][7] = np.nan
    write_run(folder / "OUT", effects=effects)
    bases = np.full(2000, "N")
    for i, strand in enumerate(effects["strand"].values):
        seen = effects["ref_base"].values[i, ::3]
        bases[start[i]:start[i] + 30] = [COMPLEMENT[b] for b in seen[::-1]] if strand == "-" else seen
    (folder / "genome.fa").write_text(f">chr2\n{'A' * 500}\n>chr1\n{''.join(bases)}\n")
    return folder


def obvious(run, mark, value):
    """Position to value, by looking at each base of each locus."""
    effects, found = run.effects, {}
    for i in range(effects.sizes["locus"]):
        start, end = int(effects["start"][i]), int(effects["end"][i])
        for p in range(end - start):
            three = effects["effect"].values[i, 3 * p:3 * p + 3, mark]
            if np.isfinite(three).all():
                place = end - 1 - p if str(effects["strand"].values[i]) == "-" else start + p
                one = three.mean() if value == "mean" else max(three, key=abs)
                found.setdefault(place, []).append(one)
    return {place: np.mean(values) for place, values in found.items()}, found


@pytest.mark.parametrize("value", ["largest", "mean"])
def test_bigwig_and_bedgraph_have_the_values(run, tmp_path, value):
    big_wig = pytest.importorskip("pyBigWig")
    done = pipeline.tracks(str(run / "OUT"), str(tmp_path / "T"), fasta_file=str(run / "genome.fa"), value=value)
    finished = FinishedRun(str(run / "OUT"))
    for mark, name in enumerate(tracks.file_names(MARKS)):
        true, all_values = obvious(finished, mark, value)
        with big_wig.open(str(tmp_path / "T" / f"{name}.effects.bw")) as file:
            assert file.chroms() == GENOME and file.intervals("chr2") is None
            read = {start: v for start, end, v in file.intervals("chr1") if end == start + 1}
        assert read.keys() == true.keys()
        np.testing.assert_allclose([read[p] for p in true], list(true.values()), rtol=1e-6, atol=1e-9)
        lines = (tmp_path / "T" / f"{name}.effects.bedGraph").read_text().splitlines()
        assert [(c, int(s), int(e)) for c, s, e, _ in map(str.split, lines)] == [
            ("chr1", p, p + 1) for p in sorted(true)]
        values = [float(line.split()[3]) for line in lines]
        np.testing.assert_allclose(values, [read[p] for p in sorted(true)], rtol=1e-6)
    assert done.counts.bases == len(true) == 7 * 30 - 10 and done.counts.lost == 1
    assert done.counts.shared == sum(len(values) > 1 for values in all_values.values()) == 10


def test_instruments_are_those_of_the_run(run, tmp_path):
    pipeline.tracks(str(run / "OUT"), str(tmp_path / "T"), fasta_file=str(run / "genome.fa"))
    finished = FinishedRun(str(run / "OUT"))
    genome = (run / "genome.fa").read_text().split("\n")[3]
    masks = [finished.effects_at(i)[2].mask for i in range(8)]
    for mark, name in enumerate(tracks.file_names(MARKS)):
        rows = [line.split("\t") for line in (tmp_path / "T" / f"{name}.instruments.bed").read_text().splitlines()]
        assert rows == sorted(rows, key=lambda row: int(row[1]))
        assert len(rows) == sum(mask[:, mark].sum() for mask in masks) > 0
        scores = {}
        for chrom, start, end, mutant, score, strand in rows:
            locus, change = mutant.rsplit(":", 1)
            ref, alt = change.split(">")
            assert (chrom, strand, int(end)) == ("chr1", ".", int(start) + 1) and genome[int(start)] == ref != alt
            i = finished.locus_index(unquote(locus))
            reverse = str(finished.effects["strand"].values[i]) == "-"
            p = int(finished.effects["end"][i]) - 1 - int(start) if reverse else int(start) - int(
                finished.effects["start"][i])
            seen = COMPLEMENT[alt] if reverse else alt
            v, = (3 * p + k for k in range(3) if finished.effects["alt_base"].values[i, 3 * p + k] == seen)
            assert masks[i][v, mark]
            scores[abs(float(finished.effects["effect"][i, v, mark]))] = int(score)
        assert max(scores.values()) == 1000 and scores[max(scores)] == 1000


@pytest.mark.skipif(not shutil.which("bedtools"), reason="bedtools is not installed")
def test_bedtools_reads_them(run, tmp_path):
    """Each instrument lies on a base of the bedGraph, and both are sorted as bedtools sorts by the genome's order."""
    pipeline.tracks(str(run / "OUT"), str(tmp_path / "T"), fasta_file=str(run / "genome.fa"), marks=["A"])
    (tmp_path / "sizes").write_text("".join(f"{c}\t{n}\n" for c, n in GENOME.items()))
    bed, graph = (str(tmp_path / "T" / name) for name in ("A.instruments.bed", "A.effects.bedGraph"))
    done = subprocess.run(["bedtools", "intersect", "-sorted", "-g", str(tmp_path / "sizes"), "-a", bed, "-b", graph,
                           "-wa", "-wb"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(open(bed).readlines()) and not done.stderr


def test_the_session_opens_all_files_and_holds_all_names(run, tmp_path):
    pipeline.tracks(str(run / "OUT"), str(tmp_path / "T"), fasta_file=str(run / "genome.fa"))
    root = ET.parse(tmp_path / "T" / tracks.SESSION).getroot()
    paths = [each.get("path") for each in root.iter("Resource")]
    assert len(set(map(str.casefold, paths))) == 6 and all((tmp_path / "T" / path).is_file() for path in paths)
    assert [each.get("name") for each in root.iter("Track")] == [
        f"{mark} {kind}" for mark in MARKS for kind in ("effects", "instruments")]
    assert [each.get("id") for each in root.iter("Track")] == paths
    assert root.get("genome") == str(run / "genome.fa") and root.get("locus") == "chr1:1-30"


def test_a_store_has_no_instruments_and_contigs_without_fasta_end_with_their_loci(run, tmp_path, capsys):
    store = str(run / "OUT" / "effects.zarr")
    assert main(["tracks", store, "--marks", "A", "-o", str(tmp_path / "T")]) == 0
    said = capsys.readouterr().out
    assert "no instruments, which a store does not know" in said and "contigs end with their last locus" in said
    assert "tracks of 1 mark: 200 bases" in said and "10 lie in several loci" in said and "1 locus without" in said
    assert not list((tmp_path / "T").glob("*.bed")) and (tmp_path / "T" / "A.effects.bedGraph").is_file()
    effects = FinishedRun(str(run / "OUT")).effects
    big_wig = pytest.importorskip("pyBigWig")
    with big_wig.open(str(tmp_path / "T" / "A.effects.bw")) as file:
        assert file.chroms() == {"chr1": int(effects["end"].max())}


@pytest.mark.parametrize("options, said", [
    ({"marks": ["C"]}, "unknown mark"), ({"fasta_file": "no.fa"}, "no.fa"),
    ({"fasta_file": "short.fa"}, "does not lie within the FASTA's contigs"),
])
def test_bad_requests_leave_nothing(run, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.fa").write_text(">chr1\nACGT\n")
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=said):
        pipeline.tracks(str(run / "OUT"), "T", **options)
    assert {path for path in tmp_path.iterdir() if path.suffix != ".fai"} == before


def test_what_may_be_replaced(run, tmp_path):
    source, folder = str(run / "OUT"), tmp_path / "T"
    pipeline.tracks(source, str(folder), marks=["A"])
    with pytest.raises(InputError, match="replace them with --overwrite"):
        pipeline.tracks(source, str(folder))
    pipeline.tracks(source, str(folder), marks=[MARKS[1]], overwrite=True)
    assert not (folder / "A.effects.bedGraph").exists() and len(list(folder.iterdir())) == 4
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    for where in (tmp_path / "mine", tmp_path / "mine" / "x", tmp_path / "no" / "T", run / "OUT"):
        with pytest.raises(InputError):
            pipeline.tracks(source, str(where), overwrite=True)
    assert (tmp_path / "mine" / "x").read_text() == "x" and {p.name for p in tmp_path.iterdir()} == {"T", "mine"}


def test_no_room_for_a_bigwig_is_an_error(run, tmp_path, monkeypatch):
    """pyBigWig itself would write on for ever; and no more room is asked for than some times what is taken."""
    pytest.importorskip("pyBigWig")
    pipeline.tracks(str(run / "OUT"), str(tmp_path / "T"), marks=["A"])
    assert (tmp_path / "T" / "A.effects.bw").stat().st_size < tracks.ROOM + 200 * tracks.ROOM_OF_BASE
    monkeypatch.setattr(tracks, "ROOM", 1e18)
    with pytest.raises(DiskFull, match="No space left on device; free some space"):
        pipeline.tracks(str(run / "OUT"), str(tmp_path / "U"), marks=["A"])
    assert {p.name for p in tmp_path.iterdir()} == {"T"}


def test_sequences_without_places_are_refused(tmp_path):
    effects = effects_of(["A", "B"])
    chrom = np.array([f"sequence{k}" for k in range(8)])
    effects = effects.assign_coords(chrom=("locus", chrom), start=("locus", np.zeros(8, np.int64)),
                                    end=("locus", np.full(8, 30)), strand=("locus", np.full(8, "+")))
    write_run(tmp_path / "OUT", effects=effects)
    with pytest.raises(InputError, match="sequences without a place in a genome"):
        pipeline.tracks(str(tmp_path / "OUT"), str(tmp_path / "T"))
