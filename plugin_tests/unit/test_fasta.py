"""Bases of a FASTA, whatever its state and that of its index: the right ones, or a refusal. Never others."""

import gzip
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import RNA, BedSource, Genome, read_bed, select

DROP_ROOT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
             "--inh-caps=-dac_override,-dac_read_search"]  # root may write anywhere


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache of the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def slow_read(content):
    """The contigs of a FASTA, letter by letter: dict of name to all sequences of that name that have bases."""
    contigs, current = {}, None
    for line in content.split(b"\n"):
        if line.startswith(b">"):
            current = []
            contigs.setdefault((line[1:].split() or [b""])[0].decode("utf-8", "backslashreplace"), []).append(current)
        elif current is not None:
            current += [letter for letter in line.decode("latin-1").upper() if not letter.isspace()]
    return {name: ["".join(letters) for letters in several if letters] for name, several in contigs.items()}


def assert_right_or_refused(path, content):
    """Every base that is read is that of the slow reader; returns whether all were read."""
    expected = slow_read(content)
    try:
        with Genome(path) as genome:
            assert set(genome.contigs) <= set(expected)
            for name, length in genome.contigs.items():
                (sequence,) = expected[name] or [""]  # a name that comes twice is refused
                genome.check_lines(name)
                assert length == len(sequence)
                for start in range(0, length, 5):
                    for end in {min(start + 7, length), length}:
                        assert dna.decode(genome.fetch(name, start, end)) == sequence[start:end]
            assert all(name in genome.contigs for name, several in expected.items() if several)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return False
    return True


def bgzf(content, block):
    """BGZF with blocks of a few bytes."""
    def packed(part):
        deflated = zlib.compressobj(wbits=-15)
        body = deflated.compress(part) + deflated.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + b"\x06\x00BC\x02\x00" + struct.pack("<H", len(body) + 25)
        return head + body + struct.pack("<II", zlib.crc32(part), len(part))

    return b"".join(packed(content[i:i + block]) for i in [*range(0, len(content), block), len(content)])


# Random states

LETTERS = st.text("ACGTacgtNnRYSWKMBDHVU-", max_size=40)
NAME, TEXT = st.sampled_from(["1", "2", "chr1", "a|b"]), st.sampled_from(["", " text >x"])
CONTIG = st.tuples(NAME, LETTERS, st.integers(1, 9), TEXT)


def fasta_of(contigs, newline, blanks, last_newline):
    lines = []
    for name, letters, width, text in contigs:
        lines += [f">{name}{text}", *(letters[i:i + width] + blanks for i in range(0, len(letters), width))]
    return (newline.join(lines) + newline * last_newline).encode()


FASTA = st.builds(fasta_of, st.lists(CONTIG, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]),
                  st.sampled_from(["", " ", "\t "]), st.booleans())
EDIT = st.tuples(st.integers(0, 10_000), st.integers(0, 9), st.sampled_from(
    [b"", b"A", b"\n", b" ", b">", b"\n>1\n", b"\n>9\n", b"ACGT", b"\nAC\nG", b"\r"]))


def edited(content, edits):
    for place, n_bytes, put in edits:
        place %= len(content) + 1
        content = content[:place] + put + content[place + n_bytes:]
    return content


def index_of(folder, content, maker):
    """What htslib or we make of a FASTA; empty if it is refused."""
    path = os.path.join(folder, "other.fa")
    Path(path).write_bytes(content)
    try:
        if maker == "htslib":
            pysam.faidx(path)
        else:
            Genome(path).close()
        return Path(path + ".fai").read_bytes()
    except (InputError, pysam.SamtoolsError, OSError):
        return b""


@given(fasta=FASTA, edits=st.lists(EDIT, max_size=3), of_index=st.lists(EDIT, max_size=2),
       cut=st.integers(0, 80) | st.none(), maker=st.sampled_from(["ours", "htslib", None]), older=st.booleans(),
       block=st.integers(3, 40) | st.none())
@example(b">1\nACG\nTTA\nCCC\n", [(8, 3, b"T\nA")], [], None, "ours", False, None)
@example(b">1\nAC\n>2\nAC\n>2\nGT\n", [], [], None, "htslib", False, None)
def test_right_bases_or_a_refusal(fasta, edits, of_index, cut, maker, older, block):
    content = edited(fasta, edits)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "g.fa" if block is None else "g.fa.gz")
        Path(path).write_bytes(content if block is None else bgzf(content, block))
        if maker:
            index = edited(index_of(folder, fasta, maker), of_index)
            Path(path + ".fai").write_bytes(index if cut is None else index[:-cut])
            os.utime(path + ".fai", (1, 1) if older else None)
        assert_right_or_refused(path, content)


@given(fasta=FASTA, maker=st.sampled_from(["ours", "htslib", None]), block=st.integers(3, 40) | st.none())
def test_a_regular_fasta_is_read(fasta, maker, block):
    """With no index or its own one; names that come twice are the one reason to refuse it."""
    names = [line.split()[0] for line in fasta.split(b"\n") if line.startswith(b">")]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "g.fa" if block is None else "g.fa.gz")
        Path(path).write_bytes(fasta if block is None else bgzf(fasta, block))
        index = index_of(folder, fasta, maker) if maker else b""
        if index:
            Path(path + ".fai").write_bytes(index)
        assert assert_right_or_refused(path, fasta) or len(set(names)) < len(names)


# Single states

LINES = b">chr1 first\nACGTA\nCGTAC\nGG\n>chr2\nTTTTT\nACGTA\nC\n"


@pytest.fixture
def fasta(tmp_path):
    """A FASTA with an index of ours."""
    path = tmp_path / "g.fa"
    path.write_bytes(LINES)
    Genome(str(path)).close()
    return path


def state(path, content=None, index=None):
    """Another content or index, the index as new as the FASTA."""
    if content is not None:
        path.write_bytes(content)
    if index is not None:
        Path(f"{path}.fai").write_bytes(index)
    os.utime(path, (1, 1))
    return str(path)


def test_our_index_is_that_of_htslib(fasta, tmp_path):
    ours = Path(f"{fasta}.fai").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["g.fa", "g.fa.fai"]
    pysam.faidx(str(fasta))
    assert Path(f"{fasta}.fai").read_bytes() == ours
    packed = str(tmp_path / "p.fa.gz")
    rng = np.random.default_rng(0)
    text = "".join(f">c{k}\n" + "".join(rng.choice(list("ACGT"), 50_000)) + "\n" for k in range(4))
    (tmp_path / "p.fa").write_text(text)
    pysam.tabix_compress(str(tmp_path / "p.fa"), packed)
    Genome(packed).close()
    indexes = [Path(packed + end).read_bytes() for end in (".fai", ".gzi")]
    assert pysam.FastaFile(packed).fetch("c3", 40_000, 40_050) == text.splitlines()[7][40_000:40_050]
    os.remove(packed + ".fai")
    os.remove(packed + ".gzi")
    pysam.faidx(packed)
    theirs = [Path(packed + end).read_bytes() for end in (".fai", ".gzi")]
    assert theirs[0] == indexes[0] and theirs[1][8:].startswith(indexes[1][8:-16])


@pytest.mark.parametrize("content, index, said", [
    (None, b"", "the index is empty"),
    (None, b"chr1\t12\t12\t5\t6\nchr2\t11\t33\t", "line 2 of the index is malformed or cut off"),
    (None, b"chr1\t12\t12\t5\t6\n", "the file has chr2, which the index lacks"),
    (None, b"chr1\t12\t12\t5\t6\nchr1\t11\t33\t5\t6\n", "the index names chr1 twice"),
    (None, b"chr1\t12\t12\t5\t6\nchr3\t11\t33\t5\t6\n", "where contig chr3 should follow, the file has chr2"),
    (None, b"chr1\t12\t12\t4\t6\nchr2\t11\t33\t5\t6\n", "bases go on at byte"),
    (LINES.replace(b" first", b" the first"), None, "chr1 begins at byte 16, and not at 12"),
    (LINES[:-4], None, "cut off"),
    (LINES[:20], None, "cut off"),
    (LINES.replace(b"CGTAC\n", b"CG\nAC\n"), None, "base 6: a line has 2 bases in 3 bytes, and those before it 5"),
    (LINES.replace(b"CGTAC\n", b"CG TC\n"), None, "base 6: a line has blanks between its bases"),
    (LINES + b">chr3\nAC\n", None, "the file has chr3, which the index lacks"),
    (LINES + b">chr1\nAC\n", None, "the file has chr1, which comes twice"),
])
def test_an_index_of_another_state_is_refused(fasta, content, index, said):
    path = state(fasta, content, index)
    with pytest.raises(InputError, match=rf"its index .*g.fa.fai does not describe it: .*{said}.*remove the index"):
        with Genome(path) as genome:
            genome.fetch("chr1", 0, 4)
    assert not assert_right_or_refused(path, fasta.read_bytes())
    os.utime(f"{path}.fai", (0, 0))  # now older than the FASTA: made again, if the FASTA can be indexed
    can_be_indexed = content is None or not any(part in content for part in (b"CG TC", b"CG\nAC", b"C\n>chr1\nAC"))
    assert assert_right_or_refused(path, fasta.read_bytes()) is can_be_indexed


@pytest.mark.parametrize("content, said", [
    (b">a\nACG\n\nACG\n", "line 3: .*0 bases in 1 bytes"), (b">a\nACG\nA\nACG\n", "line 3: .*1 bases in 2 bytes"),
    (b">a\nACG\nACGT\n", "line 3: .*4 bases in 5 bytes.*one length.*seqkit"), (b">a\n\nACG\n", "with a blank line"),
    (b">a\nACG\r\nACG\nACG\n", "line 3: .*3 bases in 4 bytes, and those before it 3 in 5"),
    (b">a\nAC G\nACGT\n", "line 2: .*blanks between"), (b">\nAC\n", "sequence 1 holds no name"), (b"ACGT\n", "header"),
    (b">a\nAC\n>b\nAC\n>a\nAC\n", r"named a \(number 1 and 3\)"),
    (b"", "empty"), (b"\n\n", "header"), (gzip.compress(LINES), "gzip.*bgzip"),
])
def test_a_fasta_that_cannot_be_indexed(tmp_path, content, said):
    (tmp_path / "g.fa").write_bytes(content)
    with pytest.raises(InputError, match=f"g.fa.*({said})"):
        Genome(str(tmp_path / "g.fa"))
    assert os.listdir(tmp_path) == ["g.fa"]


def test_what_is_no_letter_is_named(tmp_path):
    (tmp_path / "g.fa").write_bytes(b">a\nACG1\n>b\xe9\nA\n")
    with Genome(str(tmp_path / "g.fa")) as genome:
        assert dna.decode(genome.fetch("a", 0, 3)) == "ACG"
        with pytest.raises(InputError, match="holds '1' at a:4, which is no letter"):
            genome.fetch("a", 0, 4)
        for place in (("a", 0, 5), ("a", -1, 2), ("c", 0, 1)):
            with pytest.raises(InputError, match="has no bases"):
                genome.fetch(*place)
        assert list(genome.contigs) == ["a", "b\\xe9"]


def test_gaps_are_ambiguous_and_rna_is_told(tmp_path):
    (tmp_path / "g.fa").write_text(">a\nAC-TAC\nacguAC\nACGTTT\n")
    (tmp_path / "x.bed").write_text("a\t0\t6\tgap\na\t6\t12\trna\na\t12\t18\tgood\n")
    with Genome(str(tmp_path / "g.fa")) as genome:
        selection = select(BedSource(read_bed(str(tmp_path / "x.bed")), genome, 6, "x.bed"))
    assert selection.dropped == {"has N or other ambiguous letters": ["gap"], RNA: ["rna"]}
    assert selection.loci.name.tolist() == ["good"]


def test_a_damaged_block_of_bgzf(tmp_path):
    packed = bytearray(bgzf(LINES, 9))
    packed[60] ^= 255
    (tmp_path / "g.fa").write_bytes(packed)
    with pytest.raises(InputError, match="damaged"):
        Genome(str(tmp_path / "g.fa"))


READ = """
import sys
from kipoi_deepmr.loci import Genome
with Genome(sys.argv[1]) as genome:
    print(genome.fetch("chr2", 3, 7).tobytes().decode())
"""


def in_read_only_folder(path, **environment):
    drop = DROP_ROOT if os.geteuid() == 0 else []
    return subprocess.run([*drop, sys.executable, "-c", READ, str(path)], capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_a_read_only_folder_gets_an_index_in_the_cache(tmp_path, cache):
    folder, home = tmp_path / "ro", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (folder / "g.fa").write_bytes(LINES)
    folder.chmod(0o555)
    try:
        for _ in range(2):
            done = in_read_only_folder(folder / "g.fa", XDG_CACHE_HOME=str(home))
            assert (done.returncode, done.stdout, done.stderr) == (0, "TTAC\n", "")
            (kept,) = (home / "kipoi_deepmr" / "fasta").iterdir()
        assert kept.read_bytes() == b"chr1\t12\t12\t5\t6\nchr2\t11\t33\t5\t6\n" and os.listdir(folder) == ["g.fa"]
        kept.write_bytes(b"chr1\t12\t12\t5\t6\n")  # an index of ours that does not fit is made again
        assert in_read_only_folder(folder / "g.fa", XDG_CACHE_HOME=str(home)).stdout == "TTAC\n"
        told = in_read_only_folder(folder / "g.fa", XDG_CACHE_HOME=str(folder))
        assert told.stdout == "TTAC\n" and "its index is made again by every command" in told.stderr
    finally:
        folder.chmod(0o755)
