"""`plot`: files are reproducible, and bad requests are refused in one line."""

import pytest
from finished_runs import write_run
from wide_tables import write_tables

from kipoi_deepmr.cli import main
from kipoi_deepmr.runs import tables


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots") / "out"
    write_run(folder, n_loci=4)
    return folder


@pytest.mark.parametrize("extension, magic", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_files_are_the_same_each_time(run, tmp_path, extension, magic):
    rounds = tmp_path / "rounds.tsv"
    rounds.write_text("scenario\ttrue_effect\testimate\tse\ttau\tcoverage\n" + "".join(
        f"{scenario}\t1.0\t{estimate}\t0.1\t0.2\t{coverage}\n"
        for scenario, estimate, coverage in (("none", 0, 0.9), ("both", 1, "NA"), ("none", 2, 0.8), ("both", 3, 1))))
    commands = {"simulation": [str(rounds)],
                "global": [str(run / "global.tsv"), "--method", "ivw"],
                "forest": [str(run), "--exposure", "A", "--outcome", "B", "--style", "notebook", "--width", "120"],
                "local": [str(run), "--locus", "locus1", "--exposure", "A", "--outcome", "B"],
                "tracks": [str(run), "--locus", "locus1", "--exposure", "A", "--outcome", "B", "--window", "5:25"]}
    for name, arguments in commands.items():
        made = []
        for copy in "ab":
            path = tmp_path / f"{name}_{copy}.{extension}"
            assert main(["plot", name, *arguments, "-q", "-o", str(path)]) == 0
            made.append(path.read_bytes())
        assert made[0] == made[1] and made[0].startswith(magic)


@pytest.mark.parametrize("change, said", [
    ({"--locus": "locus9"}, "no locus 'locus9'; did you mean"), ({"--outcome": "a"}, "unknown outcome 'a'"),
    ({"--window": "0:31"}, "the locus has 30 bases"), ({"-o": "f.jpg"}, "a figure's name ends in .png, .pdf, .svg"),
    ({"--style": "papper"}, 'no style of that name; did you mean "paper"?'),
    ({"--outcome": "A"}, "exposure and outcome are the same mark, A"),
])
def test_bad_requests_are_one_line(run, tmp_path, capsys, change, said):
    arguments = {"--locus": "locus1", "--exposure": "A", "--outcome": "B", "-o": str(tmp_path / "f.png"), **change}
    assert main(["plot", "tracks", str(run), *(text for item in arguments.items() for text in item)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "f.png").exists()


@pytest.mark.parametrize("name", ["global.tsv", "network.tsv"])
def test_heat_maps_and_graphs_are_those_of_tables_read_whole(tmp_path, monkeypatch, name):
    """In one piece and in several, of the table and of the folder, which without a network has global effects alone."""
    run = write_tables(tmp_path / "RUN", [f"mark{i}" for i in range(12)], n_edges=9)
    for figure in ("heatmap", "network") if name == "network.tsv" else ("heatmap",):
        assert main(["plot", figure, str(run / name), "-o", str(tmp_path / f"{figure}.png")]) == 0
    monkeypatch.setattr(tables, "PIECE", 17)
    for figure in ("heatmap", "network") if name == "network.tsv" else ("heatmap",):
        assert main(["plot", figure, str(run / name), "-o", str(tmp_path / "again.png")]) == 0
        assert (tmp_path / f"{figure}.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    folder = run
    if name == "global.tsv":
        folder = tmp_path / "OUT"
        folder.mkdir()
        for each in ("global.tsv", "run.json"):
            (folder / each).write_bytes((run / each).read_bytes())
    assert main(["plot", "heatmap", str(folder), "-o", str(tmp_path / "folder.png")]) == 0
    assert (tmp_path / "heatmap.png").read_bytes() == (tmp_path / "folder.png").read_bytes()


def test_a_network_has_no_methods(tmp_path, capsys):
    table = tmp_path / "network.tsv"
    table.write_text("exposure\toutcome\tdirect_std\tqvalue_min_effect\nA\tB\t0.5\t0.01\nB\tA\t0.1\t0.5\n")
    assert main(["plot", "heatmap", str(table), "-q", "-o", str(tmp_path / "plain.png")]) == 0
    assert main(["plot", "heatmap", str(table), "--method", "egger", "-o", str(tmp_path / "f.png")]) == 2
    assert "--method egger: a network has no methods" in capsys.readouterr().err and not (tmp_path / "f.png").exists()


def test_a_run_stands_for_its_tables(run, tmp_path, capsys):
    """Its folder and its table give the same figure; without such a table, the table is named."""
    for name, source in (("folder", run), ("table", run / "global.tsv")):
        assert main(["plot", "global", str(source), "-o", str(tmp_path / f"{name}.png")]) == 0
    assert (tmp_path / "folder.png").read_bytes() == (tmp_path / "table.png").read_bytes()
    assert main(["plot", "spacing", str(run), "-o", str(tmp_path / "none.png")]) == 2
    assert f"{run / 'strata.tsv'}: " in capsys.readouterr().err
    assert main(["estimate", str(run), "-o", str(tmp_path / "local.tsv")]) == 2
    assert f"give {run / 'effects.zarr'}" in capsys.readouterr().err
