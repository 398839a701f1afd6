"""No option is ignored without a word: what each needs is declared, and an option without it is refused or noted."""

import json
import re

import pytest

import kipoi_deepmr
from kipoi_deepmr.cli import config
from kipoi_deepmr.cli.main import main
from kipoi_deepmr.cli.parser import COMMANDS, FIGURES, check_together, make_parser
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.options import (
    EstimateOptions,
    EstimatorOptions,
    MutantOptions,
    NetworkOptions,
    kinds,
    without_effect,
)

ALL = {**COMMANDS, **{f"plot {name}": command for name, command in FIGURES.items()}}
# Help that names another option, which it does not need to have an effect, and why not
NAMED = {
    ("color_by", "mark_table"): "or else of the run",
    ("mc_dropout", "seed"): "which has a default", ("marks", "mark_table"): "for more than names",
    ("mark_table", "marks"): "for names alone", ("mark_table", "mark_groups_by"): "the same",
    ("mutants", "instrument_regions"): "refused without it, by the kind", ("instruments", "instrument_regions"): "too",
    ("instruments", "input_vcf"): "too", ("instrument_regions", "instruments"): "needed in the class of the estimates",
    ("scenarios", "graph"): "other names with it", ("n_training", "graph"): "another default with it",
    ("dropout", "mc_dropout"): "what it is good for", ("mc_dropout", "dropout"): "of the rounds that are stored",
}


def other_value(each, of_option=None):
    """A value of an option that is not its default."""
    kind = each.option.kind
    if kind.choices:
        return next(value for value in kind.choices if value != each.default)
    if isinstance(kind, kinds.OneOf):
        return next(value for value in kind.names if value != each.default)
    if isinstance(kind, kinds.Items):
        values = {kinds.Number: 1.0, kinds.OneOf: getattr(kind.item, "names", ("x",))[-1]}
        return (values.get(type(kind.item), "x"),)
    if isinstance(kind, kinds.Flag):
        return True
    if isinstance(kind, kinds.Number):
        return next(value for value in (2, 1, 0.5) if value != each.default and is_taken(kind, value))
    if isinstance(kind, kinds.Window):
        return (1, 2)
    if isinstance(kind, kinds.Pairs):
        return next({"x": value} for value in (1.0, "0:2", ["a"]) if is_taken(kind, {"x": value}))
    return {"x": 1} if isinstance(kind, kinds.JsonObject) else "x"


def is_taken(kind, value):
    try:
        return kind.of_value(value) is not None
    except (ValueError, TypeError):
        return False


def declared_of(command):
    """What each class of a command declares, by the name of the option."""
    found = {}
    for each in (each for cls in command.options for each in cls.declared()):
        found.setdefault(each.name, []).append(each)
    return found


def values_for(condition, declared, holds):
    """A value of the option of a condition with which it holds, or does not; KeyError if the command has no such."""
    each = declared[condition.name][0]
    kind = each.option.kind
    tried = [each.default, *(kind.choices or ()), other_value(each), "regions", "tcp://host:8786"]
    return next(value for value in tried if is_taken(kind, value) | (value is None) and condition.holds(value) == holds)


CASES = [(name, option, k) for name, command in ALL.items() for option, declared in declared_of(command).items()
         for k, need in enumerate(declared[0].option.needs) if need.names & declared_of(command).keys()]


@pytest.mark.parametrize(("name", "option", "k"), CASES)
def test_an_option_without_what_it_needs_is_told_and_with_it_is_not(name, option, k):
    command, declared = ALL[name], declared_of(ALL[name])
    met, unmet = {option: other_value(declared[option][0])}, {option: other_value(declared[option][0])}
    for number, need in enumerate(declared[option][0].option.needs):
        known = [condition for condition in need.conditions if condition.name in declared]
        met |= {known[0].name: values_for(known[0], declared, True)} if known else {}
        unmet |= {known[0].name: values_for(known[0], declared, True)} if known and number != k else {}
    for need in [declared[option][0].option.needs[k], *(need for each in declared[option][1:]
                                                        for need in each.option.needs)]:
        unmet |= {condition.name: values_for(condition, declared, False) for condition in need.conditions
                  if condition.name in declared}
    told = said_of(command, unmet)
    assert told.startswith(f"--{option} ") and "goes with" in told, told
    assert not said_of(command, met).startswith(f"--{option} ")


def said_of(command, values):
    """What is said of options, refused or not; empty if nothing is."""
    try:
        return "".join(without_effect(command.options, values, command.defaults)[0].values())
    except InputError as error:
        return str(error)


def test_help_that_names_another_option_declares_that_it_is_needed():
    seen = set()
    for command in ALL.values():
        declared = declared_of(command)
        for each in (each for of_name in declared.values() for each in of_name):
            needed = {name for need in each.option.needs for name in need.names}
            named = set(re.findall(r"--(\w+)", f"{each.option.help} {each.option.default_text}")) - {each.name}
            seen |= {(each.name, other) for other in named & declared.keys() - needed}
    assert seen == set(NAMED)


def complaint(capsys, *words):
    capsys.readouterr()
    assert main([*map(str, words)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


PREDICT = ("predict", "no_model", "-o", "effects.zarr", "--intervals_file", "l.bed", "--fasta_file", "g.fa")


@pytest.mark.parametrize(("words", "told"), [
    ((*PREDICT, "--instrument_regions", "r.bed"), "--instrument_regions goes with --mutants regions or pairs, "
     "not single"),
    ((*PREDICT, "--mutant_draws", "20"), "--mutant_draws goes with --mutants windows, regions or pairs, not single"),
    ((*PREDICT, "--mutants", "deletions:3", "--mutant_bases", "dinucleotide"),
     "--mutant_bases goes with --mutants windows, regions or pairs, not deletions:3"),
    ((*PREDICT, "--dask", "local:2", "--dask_tls_config", "x"), "--dask_tls_config goes with --dask ADDRESS or"),
    (("check", "no_model", "--mutants", "windows:8"), "--mutants goes with --dataloader_args or --intervals_file"),
    (("check", "no_model", "--fasta_file", "g.fa"), "--fasta_file goes with --dataloader_args or --intervals_file"),
    (("run", *PREDICT[1:], "--instruments", "own", "--instrument_regions", "r.bed"), "--instrument_regions goes with "
     "--mutants regions or pairs, not single, or with --instruments direct or regions, not own"),
    (("run", *PREDICT[1:], "--network", "none", "--network_min_effect", "0.1"),
     "--network_min_effect goes with --network direct or inspre, not none"),
    (("run", *PREDICT[1:], "--preset", "paper", "--spread_shrinkage", "none"), "--spread_shrinkage goes with"),
    (("run", "--effects", "e.zarr", "-o", "x", "--mutants", "windows:8", "--ddof", "0"),
     "--effects holds predictions that are there already: leave out --ddof and --mutants"),
    (("estimate", "e.zarr", "-o", "l.tsv", "--vcf", "none", "--fasta_file", "g.fa"), "--fasta_file goes with --vcf"),
    (("annotate", "OUT", "-o", "x.vcf", "--input_vcf", "v.vcf", "--source", "dir"), "--source goes with --predict"),
    (("simulate", "-o", "x", "--graph", "chain", "--eta", "3"), "--eta goes without --graph"),
    (("simulate", "-o", "x", "--adjust", "all"), "--adjust is for the methods mvmr_ivw"),
    (("simulate", "-o", "x", "--spread_shrinkage", "none"), "--spread_shrinkage goes with --uncertainty"),
    (("calibrate", "m", "-o", "c.json", "--observed", "t", "--noise_sd", "1", "--recalibration", "quantile"),
     "--noise_sd goes with --recalibration scale or none, not quantile"),
    (("plot", "heatmap", "t.tsv", "-o", "x.png", "--mark_table", "m.tsv"), "--mark_table goes with --color_by"),
])
def test_the_command_line_refuses_before_anything_is_read(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"error: {told}" in complaint(capsys, *words) and not list(tmp_path.iterdir())


def test_a_file_of_options_is_checked_alike(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text(json.dumps({"instrument_regions": "r.bed", "mutant_draws": 20}))
    assert "--mutant_draws goes with --mutants" in complaint(capsys, *PREDICT, "--config", "o.json")
    (tmp_path / "o.json").write_text(json.dumps({"fasta_file": "g.fa", "vcf": "none"}))
    said = complaint_of_several(capsys, "estimate", "no.zarr", "-o", "l.tsv", "--config", "o.json")
    assert "--fasta_file has no effect: it goes with --vcf instruments or all, not none" in said  # meant for `run`


@pytest.mark.parametrize(("words", "name"), [
    (("annotate", "no", "-o", "x.vcf", "--input_vcf", "v.vcf"), "fasta_file"),
    (("annotate", "no", "-o", "x.vcf", "--input_vcf", "v.vcf"), "models"),
    (("plot", "heatmap", "no.tsv", "-o", "x.png"), "mark_table"),
    (("estimate", "no.zarr", "-o", "l.tsv"), "input_vcf")])
def test_one_file_serves_commands_of_which_some_have_no_use_for_an_option(words, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text(json.dumps({name: ["m"] if name == "models" else "a.b"}))
    said = complaint_of_several(capsys, *words, "--config", "o.json")
    assert f"--{name} has no effect: it goes with" in said and f"error: --{name}" not in said
    assert f"error: --{name} goes with" in complaint_of_several(capsys, *words, f"--{name}", "a.b")


@pytest.mark.parametrize(("of_file", "words", "told"), [
    ({"mutants": "windows:8", "mutant_draws": 20}, (*PREDICT, "--mutants", "single"), "mutant_draws"),
    ({"network_min_effect": 0.1, "network": "inspre"}, ("run", *PREDICT[1:], "--network", "none"),
     "network_min_effect"),
    ({"noise_sd": 1.5, "recalibration": "scale"}, ("calibrate", "no", "-o", "c.json", "--observed", "t",
                                                   "--recalibration", "quantile"), "noise_sd")])
def test_what_the_command_line_takes_from_options_of_a_file_is_noted(of_file, words, told, capsys, tmp_path,
                                                                      monkeypatch):
    """And left out; typed itself, it is refused."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text(json.dumps(of_file))
    said = complaint_of_several(capsys, *words, "--config", "o.json")
    assert f"--{told} has no effect: it goes with" in said and "comes from the file of --config" in said
    assert f"error: --{told}" not in said
    arguments = config.parse(make_parser("kipoi deepmr"), [*words, "--config", "o.json"])
    check_together(arguments)
    assert getattr(arguments, told) is None
    assert f"error: --{told} goes with" in complaint(capsys, *words, f"--{told}", str(of_file[told]))


def test_a_file_that_lacks_what_its_option_needs_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text(json.dumps({"mutant_draws": 20}))
    assert "not single; the file of --config gives it" in complaint(capsys, *PREDICT, "--config", "o.json")


def test_an_error_of_two_options_names_the_one_that_stands_in_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.json").write_text(json.dumps({"method": "mvmr_ivw", "adjust": "all"}))
    said = complaint(capsys, "estimate", "no.zarr", "-o", "l.tsv", "--method", "ivw", "--config", "o.json")
    assert "--adjust is for the methods" in said and "(--adjust stands in o.json: change it there" in said
    assert "stands in" not in complaint(capsys, "estimate", "no.zarr", "-o", "l.tsv", "--adjust", "all")


def test_what_a_preset_takes_from_an_option_of_several_commands_is_noted(capsys, tmp_path, monkeypatch):
    """A FASTA, which `run` needs, is of no use to `estimate` without a VCF."""
    monkeypatch.chdir(tmp_path)
    words = "estimate", "no.zarr", "-o", "l.tsv", "--fasta_file", "g.fa"
    said = complaint_of_several(capsys, *words, "--preset", "quick")
    assert "--fasta_file has no effect: it goes with --vcf instruments or all, not none" in said
    assert "error: no.zarr" in said
    assert "error: --fasta_file goes with" in complaint(capsys, *words, "--preset", "quick", "--vcf", "none")


def test_effects_on_the_command_line_are_in_place_of_the_models_of_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_run = {"models": ["m/1", "m/2"], "source": "dir", "intervals_file": "l.bed", "fasta_file": "g.fa", "ddof": 0,
              "mutants": "single,windows:8", "mutant_draws": 20, "method": ["ivw"]}
    (tmp_path / "run.json").write_text(json.dumps({"settings": {}, "arguments": of_run}))
    said = complaint_of_several(capsys, "run", "--effects", "no.zarr", "--config", "run.json", "-o", "OUT")
    assert "no.zarr" in said and "leave out" not in said
    arguments = config.parse(make_parser("kipoi deepmr"), ["run", "--effects", "no.zarr", "--config", "run.json", "-o",
                                                          "OUT"])
    assert not arguments.models and arguments.mutants is None and arguments.method == ("ivw",)
    (tmp_path / "run.json").write_text(json.dumps({**of_run, "effects": "no.zarr"}))  # says both itself
    assert "leave out" in complaint_of_several(capsys, "run", "--config", "run.json", "-o", "OUT")


def test_an_option_that_another_command_takes_without_its_needs_is_shared():
    free = {(each.name, name) for name, command in COMMANDS.items() if name != "simulate"  # whose names mean others
            for of_name in declared_of(command).values() for each in of_name if not each.option.needs}
    bound = {(each.name, name): each.option for name, command in ALL.items() if name != "simulate"
             for of_name in declared_of(command).values() for each in of_name if each.option.needs}
    of_both = {key: option for key, option in bound.items() if key[0] in {name for name, _ in free}}
    assert {("models", "annotate"), ("mark_table", "plot heatmap"), ("input_vcf", "estimate")} <= of_both.keys()
    assert not [key for key, option in of_both.items() if not (option.shared or option.only_warns)]


def complaint_of_several(capsys, *words):
    capsys.readouterr()
    assert main([*words]) == 2
    return capsys.readouterr().err


def test_a_seed_that_draws_nothing_is_noted(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = complaint_of_several(capsys, *PREDICT, "--seed", "7")
    assert "--seed has no effect: it goes with --n_loci or --mc_dropout or --mutants windows" in said
    for words in (["--n_loci", "5"], ["--mutants", "windows:8"], ["--mc_dropout", "3"], ["--seed", "42"]):
        assert "no effect" not in complaint_of_several(capsys, *PREDICT, "--seed", "7", *words)


def test_options_of_speed_alone_are_noted(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = complaint_of_several(capsys, *PREDICT, "--jobs", "2", "--worker_timeout", "5")
    for name in ("jobs", "worker_timeout"):
        assert f"--{name} has no effect: it goes with --python or --env" in said


    said = complaint_of_several(capsys, "run", "--effects", "no.zarr", "-o", "x", "--jobs", "2", "--seed", "7")
    assert "--jobs has no effect" in said and "--seed has no effect" in said and "leave out" not in said


def test_a_figure_shows_the_one_method_of_a_run(tmp_path):
    def method_of(*methods):
        (tmp_path / "run.json").write_text(json.dumps({"settings": {}, "arguments": {"method": methods}}))
        words = ["plot", "global", "OUT", "-o", "x.png", "--config", str(tmp_path / "run.json")]
        return config.parse(make_parser("kipoi deepmr"), words).method

    assert method_of("ivw") == "ivw"
    with pytest.raises(InputError, match="method: .* is not a value of this option"):
        method_of("ivw", "egger")


def test_what_says_the_default_is_not_refused():
    for command in ALL.values():
        spelt_out = {each.name: each.default for of_name in declared_of(command).values() for each in of_name}
        assert without_effect(command.options, spelt_out | command.defaults, command.defaults) == ({}, set())


@pytest.mark.parametrize(("words", "told"), [
    ({"mutant_draws": 20}, "--mutant_draws goes with --mutants"), ({"fasta_file": "g", "vcf": "none"}, "--fasta_file"),
    ({"instrument_regions": "r.bed", "instruments": "own"}, "--instrument_regions goes with --instruments direct"),
    ({"network": "none", "network_min_effect": 0.1}, "--network_min_effect goes with")])
def test_python_is_told_alike(words, told):
    with pytest.raises(InputError, match=told):
        kipoi_deepmr.run(None, None, **words)
    with pytest.raises(InputError, match="ensemble: a NoneType"):  # and no complaint of options
        kipoi_deepmr.run(None, None, instrument_regions="r.bed", mutants="regions", mutant_draws=20)


@pytest.mark.parametrize(("asked", "kept"), [
    ({"mutants": "pairs", "instruments": "own"}, False), ({"mutants": "single,regions", "preset": "paper"}, False),
    ({"mutants": "regions", "instruments": "regions"}, True), ({"mutants": "regions"}, True), ({}, True)])
def test_each_stage_of_a_run_takes_the_regions_that_it_has_a_use_for(asked, kept):
    words = {**asked, "instrument_regions": "r.bed"}
    assert without_effect([EstimateOptions, MutantOptions], words) == ({}, set())
    assert EstimateOptions.among(words).instrument_regions == ("r.bed" if kept else None)
    assert MutantOptions.among(words).instrument_regions == ("r.bed" if "mutants" in asked else None)


def test_an_option_that_the_members_do_not_allow_is_told():
    with pytest.raises(InputError, match="--preset default cannot be used, since there are 2 members.*paper "
                                         "--spread_shrinkage goes with --uncertainty members"):
        EstimatorOptions(spread_shrinkage="none").for_members(2)
    with pytest.raises(InputError, match="needs the effects of 3 members"):
        NetworkOptions(network_min_effect=0.1).for_members(2)
    assert NetworkOptions(network_min_effect=0.05).for_members(2).network == "none"
