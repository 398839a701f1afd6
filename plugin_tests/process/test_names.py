"""Names that are no UTF-8 in labels, loci, contigs and paths; terminals of few characters, and none."""

import json
import os
import subprocess
import sys

import conftest
import pandas as pd
import pytest
from report_pages import held

from kipoi_deepmr.cli.main import main
from kipoi_deepmr.files import escaped

OUT = os.fsdecode(b"r\xe9sultats")


def test_escaped():
    assert escaped("\ud83d\udca5 \ud83d \udce9 é") == "💥 \\ud83d \\udce9 é"


def test_a_run_with_names_that_are_no_utf8(tmp_path, genome_file, capsys):
    folder = tmp_path / os.fsdecode(b"d\xe9p\xf4t")
    marks = ['"A"', '"\\ud83d\\udca5"', '"\\ud83d"']
    models = [conftest.write_model(folder / str(k), w, marks) for k, w in enumerate(conftest.member_weights())]
    content = open(genome_file, "rb").read().replace(b"chr1", b"chr\xe9")
    (folder / "g.fa").write_bytes(content)
    (folder / "l.bed").write_bytes(b"".join(b"chr\xe9\t%d\t%d\tl\xe9%d\n" % (s, s + 12, s) for s in range(0, 180, 12)))
    assert main(["run", *models, "--source", "dir", "--intervals_file", str(folder / "l.bed"), "--fasta_file",
                 str(folder / "g.fa"), "--preset", "quick", "-o", str(tmp_path / OUT), "--instrument_z", "1"]) == 0
    said = capsys.readouterr().out
    assert "💥" in said and f"written to {escaped(str(tmp_path / OUT))}" in said
    local = pd.read_csv(tmp_path / OUT / "local.tsv", sep="\t", encoding="utf-8")
    assert set(local["exposure"]) == {"A", "💥", "\\ud83d"}
    assert local["chrom"].unique().tolist() == ["chr\\xe9"] and local["locus"][0] == "l\\xe90"
    assert held(tmp_path / OUT / "report.html")["data"]["marks"] == ["A", "💥", "\\ud83d"]
    settings = json.loads((tmp_path / OUT / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["marks"] == ["A", "💥", "\\ud83d"]


STREAMS = """
import os, sys
from kipoi_deepmr.cli import streams
has_output = streams.prepare()
print("\\ud83d", "\\U0001f4a5", file=sys.stderr)
print("\\ud83d", "\\U0001f4a5")
with open(sys.argv[1], "w") as file:
    print(has_output, file.fileno() > 2, file=file)
"""


@pytest.mark.parametrize("closed, has_output", [("", True), (">&-", False), ("2>&-", True), (">&- 2>&-", False)])
def test_terminals_of_few_characters_or_none(tmp_path, closed, has_output):
    done = subprocess.run(["bash", "-c", f'"$0" -c "$1" "$2" {closed}', sys.executable, STREAMS, tmp_path / "told"],
                          env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
    shown = "\\ud83d \\U0001f4a5\n"
    assert done.returncode == 0 and (tmp_path / "told").read_text() == f"{has_output} True\n"
    assert (done.stdout, done.stderr) == ("" if ">&-" in closed.replace("2>&-", "") else shown,
                                          "" if "2>&-" in closed else shown)
