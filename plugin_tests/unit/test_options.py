"""Options are declared once: what each object checks, and that the parser, files and pages follow from it."""

import copy
import dataclasses
import itertools
import pickle
import re
import subprocess
import sys

import pytest

from kipoi_deepmr import mr, options
from kipoi_deepmr.cli.parser import COMMANDS, FIGURES, OF_SIMULATE, make_parser, subcommands
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.options import AggregateOptions, EstimateOptions, EstimatorOptions, PredictOptions, StrataOptions

CLASSES = [each for each in vars(options).values()
           if isinstance(each, type) and issubclass(each, options.Options) and each is not options.Options]


@pytest.mark.parametrize("cls, given, said", [
    (EstimateOptions, {"instrumentz": 2}, "unknown option 'instrumentz'; did you mean \"instrument_z\"?"),
    (EstimateOptions, {"method": "eger"}, "method: 'eger' is not known; did you mean \"egger\"?"),
    (EstimateOptions, {"method": ["ivw", "ivw"]}, "method: 'ivw' is named twice"),
    (EstimateOptions, {"method": []}, "method: [] is an empty list"),
    (EstimateOptions, {"method": 3}, "method: 3 is not known"),
    (EstimateOptions, {"diagnostics": "al"}, "diagnostics: 'al' is not one of its values; did you mean \"all\"?"),
    (EstimateOptions, {"instrument_z": "2"}, "instrument_z: '2' must be a number of at least 0"),
    (EstimateOptions, {"instrument_z": float("nan")}, "instrument_z: nan must be a number of at least 0"),
    (EstimateOptions, {"instrument_z": float("inf")}, "instrument_z: inf must be a number of at least 0"),
    (EstimateOptions, {"instrument_z": True}, "instrument_z: True must be a number of at least 0"),
    (EstimateOptions, {"steiger": 1}, "steiger: 1 must be True or False"),
    (EstimateOptions, {"method_args": ["x"]}, "method_args: ['x'] must be a dict"),
    (EstimateOptions, {"exposures": ["A", "A"]}, "exposures: 'A' is named twice"),
    (EstimateOptions, {"adjust": "A"}, "--adjust is for the methods mvmr_ivw and mvmr_egger, not for egger"),
    (EstimateOptions, {"method": "mvmr_ivw"}, "method mvmr_ivw needs marks to hold fixed"),
    (EstimateOptions, {"method": "two_stage_least_squares", "uncertainty": "cross_fitted"}, "cannot be cross-fitted"),
    (EstimateOptions, {"instruments": "variants"}, "--instruments variants needs the variants"),
    (EstimateOptions, {"input_vcf": "x.vcf"}, "--input_vcf goes with --instruments variants"),
    (PredictOptions, {"keep": "member"}, "keep: 'member' is not one of its values; did you mean \"members\"?"),
    (PredictOptions, {"ddof": 2}, "ddof: 2 is not one of its values"),
    (PredictOptions, {"engine": "fast"}, "engine: 'fast' is not one of its values"),
    (AggregateOptions, {"tau2_method": "reml"}, "did you mean \"REML\"?"),
    (StrataOptions, {"bins": [1, 2]}, "--bins goes with --strata or --motifs"),
    (options.ClusterOptions, {"dask": "local:2", "dask_scheduler_file": "x"}, "exclude each other"),
    (options.ClusterOptions, {"dask_tls_config": "x"}, "--dask_tls_config goes with --dask"),
    (options.AnnotateOptions, {"input_vcf": "x.vcf", "fasta_file": "g.fa"}, "--fasta_file goes with --predict_indels"),
    (options.RoundOptions, {"graph": "chain", "eta": 1.0}, "--eta goes without --graph"),
    (options.RoundOptions, {"marks": 5}, "--marks goes with --graph"),
    (options.RoundOptions, {"dropout": 1.0}, "dropout: 1.0 must be a number of at least 0 and below 1"),
    (options.ModelOptions, {"mark_window": [5, 2]}, "mark_window: [5, 2] is not of the form START:END"),
    (options.ModelOptions, {"mark_windows": {"a": "5"}}, "mark_windows: "),
    (options.ModelOptions, {"models": "m", "mark_groups_by": "assay"}, "--mark_groups_by goes with --mark_table"),
    (options.ModelOptions, {"models": "m", "mark_table": "t", "mark_names": "n"}, "--mark_names exclude each other"),
    (options.ModelOptions, {"models": "m", "mark_table": "t", "stack": True}, "--mark_table and --stack exclude"),
    (options.ModelOptions, {"models": "m", "mark_table": "t", "mark_groups_by": "a", "mark_groups": {"x": "a"}},
     "--mark_groups_by and --mark_groups exclude each other"),
])
def test_a_wrong_option_is_refused_when_the_object_is_made(cls, given, said):
    with pytest.raises(InputError) as error:
        cls(**given)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_one_value_counts_as_a_list_of_one():
    assert EstimateOptions(method="egger", exposures="A").to_json() == EstimateOptions(
        method=["egger"], exposures=("A",)).to_json()
    assert EstimateOptions(method="egger").method == ("egger",)


@pytest.mark.parametrize(("text", "names"), [
    ("A,B", ["A", "B"]), ('"H3K27ac, rep 1",B', ["H3K27ac, rep 1", "B"]), ('A, "B,C"', ["A", "B,C"]),
    ('"""A""",B', ['"A"', "B"]), ('5" probe,B', ['5" probe', "B"])])
def test_a_name_with_a_comma_is_in_quotes(text, names):
    for option in ("exposures", "adjust"):
        kind = next(each.option.kind for each in EstimateOptions.declared() if each.name == option)
        assert kind.of_text(text) == tuple(names) == kind.of_text(kind.join(names))
    assert parsed("estimate", "e", "-o", "l", "--exposures", text)["exposures"] == tuple(names)


def test_quotes_that_do_not_close_are_refused(capsys):
    with pytest.raises(SystemExit):
        parsed("table", "OUT", "--exposure", '"A,B')
    assert 'quotes that do not close; write a name with a comma as "A,B"' in capsys.readouterr().err


def test_a_default_spelt_out_is_the_default():
    for cls in CLASSES:
        needed = {each.name: "x" for each in cls.declared() if each.option.required}
        plain = cls(**needed)
        spelt_out = {each.name: each.default for each in cls.declared() if each.name not in needed}
        assert cls(**needed, **spelt_out) == plain == cls(**needed, **dict.fromkeys(spelt_out)), cls
        assert cls.among(plain.to_json()) == plain and cls.of(plain) is plain
        assert pickle.loads(pickle.dumps(plain)) == plain == copy.deepcopy(plain)
    assert EstimateOptions(instrument_z=3) == EstimateOptions(instrument_z=3.0)


def test_an_object_cannot_be_changed():
    chosen = EstimateOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen.method = ("ivw",)
    assert chosen.replace(method="ivw").method == ("ivw",) and chosen.method == ("egger_additive",)
    with pytest.raises(InputError, match="did you mean"):
        chosen.replace(methods="ivw")


@pytest.mark.parametrize("given, n_members, keep, said", [
    ({"exposures": "D"}, 3, "members", "unknown exposure 'D'"),
    ({"exposures": "A", "outcomes": "A"}, 3, "members", "no pair of two different marks: A"),
    ({"method": "mvmr_ivw", "adjust": "D"}, 3, "members", "unknown mark to adjust for 'D'"),
    ({"uncertainty": "members"}, 3, "summary", "uncertainty='members' needs every member's effects"),
    ({"uncertainty": "members"}, 1, "members", "needs two members or more"),
    ({"uncertainty": "cross_fitted"}, 2, "members", "uncertainty='cross_fitted' needs 3 members or more, not 2"),
    ({"method": "ivw_correlated"}, 3, "summary", "method ivw_correlated needs every member's effects"),
    ({"method": "max_likelihood", "method_args": {"psi": "members"}}, 3, "summary", "psi='members' needs every"),
    ({"calibration": "x.json"}, 3, "summary", "a calibration needs every member's effects"),
    ({"instruments": "direct"}, 5, "summary", "instruments='direct' needs every member's effects"),
    ({"instruments": "direct"}, 2, "members", "instruments='direct' needs 3 members or more, not 2"),
    ({"uncertainty": "ensemble"}, 2, "members", "uncertainty='ensemble' needs 3 members or more, not 2"),
])
def test_what_must_hold_of_the_effects(given, n_members, keep, said):
    chosen = EstimateOptions(**{"instruments": "own", "uncertainty": "instrument", **given})
    with pytest.raises(InputError, match=re.escape(said)):
        chosen.check(["A", "B", "C"], n_members, keep)


def test_what_holds_of_the_effects():
    EstimateOptions().check(["A", "B"], 3)
    EstimateOptions(preset="paper").check(["A", "B"], 1, "summary")
    EstimateOptions(uncertainty="cross_fitted").check(["A", "B"], 3)
    EstimateOptions(preset="paper", method="mvmr_ivw", adjust="all").check(["A", "B", "C"], 1, "summary")
    assert EstimateOptions(exposures="B").pairs(["A", "B", "C"]) == {1: [0, 2]}


def leaves(parser, *words):
    if not subcommands(parser):
        yield words, parser
    for name, command in subcommands(parser).items():
        yield from leaves(command, *words, name)


def test_every_option_is_on_the_command_line_with_its_name_default_and_help():
    parsers = dict(leaves(make_parser("x")))
    for name, command in {**{(k,): v for k, v in COMMANDS.items()},
                          **{("plot", k): v for k, v in FIGURES.items()}}.items():
        text = " ".join(parsers[name].format_help().split())
        for each in (each for cls in command.options for each in cls.declared()):
            if each.name in command.without:
                assert not any(f"--{each.name}" in action.option_strings for action in parsers[name]._actions)
                continue
            shown = f"--{each.name}" if not each.option.positional else each.option.kind.metavar
            assert shown in text, (name, each.name)
            default = each.option.kind.shown(command.defaults[each.name]) if each.name in command.defaults \
                else each.default_text
            if default and not each.option.positional and name != ("run",):
                assert f"(default:{default})".replace(" ", "") in text.replace(" ", ""), (name, each.name, default)


def test_an_option_of_two_classes_is_one_option():
    """The same name in one command has one kind of values, so that one word serves both."""
    for name, command in {**COMMANDS, **FIGURES}.items():
        kinds = {}
        for each in (each for cls in command.options for each in cls.declared()):
            kind = type(each.option.kind), each.option.kind.choices
            assert kinds.setdefault(each.name, kind) == kind, (name, each.name)


def test_help_imports_nothing_heavy():
    code = ("import sys; from kipoi_deepmr.cli.parser import make_parser; make_parser('x').format_help(); "
            "print([m for m in ('numpy', 'pandas', 'scipy', 'numba', 'xarray') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_docstrings_list_the_options():
    for cls in CLASSES:
        for each in cls.declared():
            assert f"\n    {each.name} : " in cls.__doc__
    assert 'diagnostics : {"quick", "all", "none"}, default quick' in EstimateOptions.__doc__


def parsed(*words):
    return vars(make_parser("kipoi deepmr").parse_args([*words]))


def test_dashes_and_underscores_are_the_same_in_names_of_options():
    for words in (["--instrument-z", "2", "--no-report"], ["--instrument_z", "2", "--no_report"],
                  ["--instrument-z=2", "--no-rep"]):
        assert parsed("run", "m", "-o", "OUT-1", *words) == parsed(
            "run", "m", "-o", "OUT-1", "--instrument_z", "2", "--no_report")
    assert parsed("estimate", "a-b.zarr", "-o", "l-1.tsv", "--exposures=A-1,B-2")["exposures"] == ("A-1", "B-2")
    assert parsed("run", "-o", "x", "--", "m-1", "--n-loci")["models"] == ["m-1", "--n-loci"]


@pytest.mark.parametrize("words, said", [
    (["estimate", "e", "-o", "l", "--instrumentz=2"], 'unknown option --instrumentz; did you mean "--instrument_z"?'),
    (["estimate", "e", "--outptu", "l"], 'unknown option --outptu; did you mean "--output"?'),
    (["aggregate", "l", "-o", "g", "--tau-method=DL"], 'unknown option --tau_method; did you mean "--tau2_method"?'),
    (["plot", "local", "OUT", "--locsu", "x"], 'unknown option --locsu; did you mean "--locus"?'),
    (["estimate", "e", "-o", "l", "--mutant_draws", "3"], "unknown option --mutant_draws; it is one of check, run, "
     "predict\n"),
    (["estimate", "e", "-o", "l", "--mutant-draws=3"], "unknown option --mutant_draws; it is one of check, "),
    (["plot", "network", "OUT", "--color_by", "assay"], "unknown option --color_by; it is one of plot heatmap\n"),
    (["run", "e", "-o", "l", "--zebra", "3"], "unknown option --zebra; --help lists those that there are\n"),
    (["estimat"], "unknown command 'estimat'; did you mean \"estimate\"?"),
    (["plot", "globl"], "unknown command 'globl'; did you mean \"global\"?"),
    (["run", "m", "-o", "x", "--diagnostics", "al"], "argument --diagnostics: 'al' is not one of its values; did you"),
    (["run", "m", "-o", "x", "--method", "ivw,eger"], "argument --method: 'eger' is not known; did you mean \"egger\""),
    (["run", "m", "-o", "x", "--n_loci", "0"], "argument --n_loci: '0' must be a whole number of at least 1"),
])
def test_a_wrong_word_suggests_the_nearest(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed(*words)
    assert stopped.value.code == 2 and said in capsys.readouterr().err


def test_the_simulation_compares_methods_that_there_are():
    chosen = EstimatorOptions.among({}, **OF_SIMULATE)
    assert set(chosen.method) <= set(mr.METHODS) and chosen.instrument_z == 2.0
    assert EstimatorOptions.among({"instrument_z": 3.0}, **OF_SIMULATE).instrument_z == 3.0


def test_a_preset_gives_what_is_not_given():
    paper = EstimateOptions(preset="paper")
    assert (paper.method, paper.instruments, paper.instrument_z, paper.min_instruments, paper.uncertainty) == (
        ("egger_robust",), "pooled", 3.0, 11, "instrument")
    assert AggregateOptions(preset="paper").tau2_method == "DL" and AggregateOptions().tau2_method == "REML"
    mixed = EstimateOptions(preset="paper", instrument_z=2, method="ivw")
    assert (mixed.method, mixed.instrument_z, mixed.min_instruments) == (("ivw",), 2.0, 11)
    assert mixed.replace(preset="quick").to_json() == EstimateOptions(
        preset="quick", instrument_z=2, method="ivw").to_json()
    assert EstimateOptions.among(paper.to_json()) == paper  # as run.json has it, preset named and all spelt out
    with pytest.raises(InputError, match="preset: 'papr' is not one of its values; did you mean \"paper\""):
        EstimateOptions(preset="papr", method="ivw")


def test_each_rule_has_a_z_of_its_own():
    for rule, z in (("pooled", 3.0), ("own", 1.0), ("direct", 1.75)):
        assert EstimateOptions(instruments=rule).instrument_z == z
    assert EstimateOptions(instruments="variants", input_vcf="x.vcf").instrument_z == 3.0
    assert EstimateOptions(instruments="own", instrument_z=2).instrument_z == 2.0
    assert EstimateOptions(instruments="own").replace(instruments="pooled").instrument_z == 3.0


def test_help_names_the_presets():
    text = " ".join(dict(leaves(make_parser("x")))["run",].format_help().split())
    assert "--preset {default,paper,quick}" in text and "with --preset paper: egger_robust" in text
    assert "with --preset paper: DL" in text


def test_the_default_steps_back_where_there_are_too_few_members():
    for n_members, keep in ((3, "members"), (5, "members")):
        assert EstimateOptions().for_members(n_members, keep) == (EstimateOptions(), "")
    paper = EstimateOptions(preset="paper")
    assert paper.for_members(1, "summary") == (paper, "")
    by_preset = [EstimateOptions(), EstimateOptions(preset="quick")]
    for options_, (n_members, keep, said) in itertools.product(by_preset, (
            (2, "members", "there are 2 members, and it takes 3"), (1, "members", "there is 1 member, and it takes 3"),
            (5, "summary", "--keep summary"))):
        instead, caution = options_.for_members(n_members, keep)
        assert instead == EstimateOptions(preset="paper") and said in caution and "\n" not in caution
        instead.check(["A", "B"], n_members, keep)
    with pytest.raises(InputError, match="needs 3 members or more, not 2"):  # and no caution beside it
        EstimateOptions(uncertainty="cross_fitted").for_members(2)


def test_the_network_is_left_out_where_there_are_too_few_members_and_refused_if_asked_for():
    plain = options.NetworkOptions()
    assert plain.network == "direct" and plain.for_members(3) is plain
    assert plain.for_members(2).network == plain.for_members(5, "summary").network == "none"
    with pytest.raises(InputError, match="--network direct needs the effects of 3 members .* those of 2"):
        options.NetworkOptions(network="direct").for_members(2)
    with pytest.raises(InputError, match="here are none .--keep summary."):
        options.NetworkOptions(network="inspre").for_members(5, "summary")
    assert options.NetworkOptions(preset="paper").network == "none"
