"""An unmodified Kipoi lists and runs the plugin and is otherwise as it was: real commands, real processes."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import _kipoi_deepmr_hook as hook
import kipoi_deepmr

BIN = Path(sys.executable).parent
KIPOI = str(BIN / "kipoi")
SUBCOMMANDS = ("run", "predict", "estimate", "aggregate")

MODEL_YAML = """\
defined_as: kipoi.model.BaseModel
args: {}
info:
  authors: [{name: Nobody}]
  doc: A model that only `kipoi ls` looks at.
schema:
  inputs: {shape: "(10, 4)"}
  targets: {shape: "(2, )"}
"""


@pytest.fixture
def run(tmp_path):
    """Run a command in an empty folder that is also its home."""

    def run(*command, **environment):
        env = {name: value for name, value in os.environ.items() if name != "KIPOI_DEEPMR_NO_HOOK"}
        env.update(HOME=str(tmp_path), **environment)
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def bare_python(run, tmp_path):
    """Run code in an interpreter that sees nothing but the standard library, the hook and what is in tmp_path."""

    def bare_python(code, *arguments):
        (tmp_path / "_kipoi_deepmr_hook.py").write_text(Path(hook.__file__).read_text())
        prelude = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        process = run(sys.executable, "-I", "-S", "-c", prelude + code, *arguments)
        assert process.returncode == 0, process.stderr
        return process.stdout

    return bare_python


@pytest.fixture
def toy_kipoi(tmp_path):
    """A package that has of Kipoi only what the hook touches."""
    package = tmp_path / "kipoi"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text("PLUGINS = [{'plugin': 'kipoi_other'}]\n")
    (package / "__main__.py").write_text("import sys\n")


# commands


@pytest.mark.parametrize(
    "command",
    [
        (KIPOI, "postproc", "deepmr"),
        (KIPOI, "deepmr"),
        (sys.executable, "-m", "kipoi", "postproc", "deepmr"),
        (sys.executable, "-m", "kipoi", "deepmr"),
        (str(BIN / "kipoi-deepmr"),),
    ],
    ids=lambda command: " ".join((Path(command[0]).name, *command[1:])),
)
def test_every_way_to_the_command_line(run, command):
    shown = run(*command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "deepmr" in shown.stdout.splitlines()[0]
    assert all(name in shown.stdout for name in SUBCOMMANDS)

    refused = run(*command, "no_such_subcommand")
    assert refused.returncode == 2
    assert "no_such_subcommand" in refused.stderr


def test_kipoi_lists_the_plugin_as_installed(run):
    listed = run(KIPOI, "list_plugins")
    assert listed.returncode == 0, listed.stderr
    (ours,) = [line.split() for line in listed.stdout.splitlines() if "kipoi_deepmr" in line.split()]
    assert ours[:3] == ["kipoi_deepmr", "True", "True"]  # plugin, installed, cli

    from_python = run(sys.executable, "-c", "import kipoi; print(*kipoi.list_plugins().query('installed').plugin)")
    assert "kipoi_deepmr" in from_python.stdout.split()


def test_the_hook_can_be_turned_off(run):
    assert "kipoi_deepmr" not in run(KIPOI, "list_plugins", KIPOI_DEEPMR_NO_HOOK="1").stdout
    assert run(KIPOI, "deepmr", "--help", KIPOI_DEEPMR_NO_HOOK="1").returncode == 1
    assert run(str(BIN / "kipoi-deepmr"), "--help", KIPOI_DEEPMR_NO_HOOK="1").returncode == 0


def without_the_plugin(help_text):
    """Kipoi's help less what it says about plugins, in one line since the list of commands is wrapped."""
    lines = [line for line in help_text.splitlines() if not line.startswith(("    deepmr ", "No plugins installed."))]
    return " ".join(" ".join(lines).replace(",deepmr", "").replace(", deepmr", "").split())


@pytest.mark.parametrize(
    ("arguments", "returncode"),
    [
        (("ls", "--source", "dir"), 0),
        (("predict", "--help"), 0),
        (("--help",), 0),
        (("postproc",), 1),
        (("postproc", "no_such_plugin"), 1),
        (("no_such_command",), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_other_commands_are_as_without_us(run, tmp_path, arguments, returncode):
    (tmp_path / "model.yaml").write_text(MODEL_YAML)
    with_us = run(KIPOI, *arguments)
    without_us = run(KIPOI, *arguments, KIPOI_DEEPMR_NO_HOOK="1")
    assert with_us.returncode == without_us.returncode == returncode, with_us.stderr
    assert without_the_plugin(with_us.stdout) == without_the_plugin(without_us.stdout)
    assert without_the_plugin(with_us.stderr) == without_the_plugin(without_us.stderr)


# package


def test_importing_the_package_imports_nothing_heavy(run):
    imported = run(sys.executable, "-c", "import sys, kipoi_deepmr; print(*sys.modules)").stdout.split()
    assert "kipoi_deepmr" in imported
    heavy = {"dask", "kipoi", "matplotlib", "numpy", "pandas", "scipy", "tensorflow", "xarray", "zarr"}
    assert not heavy & set(imported)
    assert [name for name in imported if name.startswith("kipoi_deepmr.")] == []


@pytest.mark.parametrize("name", kipoi_deepmr.__all__)
def test_public_names(name):
    assert name in dir(kipoi_deepmr)
    assert getattr(kipoi_deepmr, name) is not None


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no_such_name"):
        kipoi_deepmr.no_such_name  # noqa: B018


def test_what_kipoi_asks_of_a_plugin():
    assert kipoi_deepmr.ModelParser is None
    assert kipoi_deepmr.DataloaderParser is None
    assert callable(kipoi_deepmr.cli_main)


# hook


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["kipoi", "postproc", "deepmr", "run", "x"], ["kipoi", "deepmr", "run", "x"]),
        (["kipoi", "postproc", "deepmr"], ["kipoi", "deepmr"]),
        (["kipoi", "deepmr", "run"], ["kipoi", "deepmr", "run"]),
        (["kipoi", "postproc", "grad", "deepmr"], ["kipoi", "postproc", "grad", "deepmr"]),
        (["kipoi", "postproc"], ["kipoi", "postproc"]),
        (["kipoi"], ["kipoi"]),
        ([], []),
    ],
)
def test_rewriting_the_command_line(monkeypatch, before, after):
    monkeypatch.setattr(sys, "argv", before)
    hook.rewrite_argv()
    assert sys.argv == after


def test_rewriting_before_there_is_a_command_line(monkeypatch):
    monkeypatch.delattr(sys, "argv")
    hook.rewrite_argv()


def test_registering_once():
    kipoi_plugin = SimpleNamespace(PLUGINS=[{"plugin": "kipoi_other"}])
    hook.register(kipoi_plugin)
    hook.register(kipoi_plugin)
    assert [entry["plugin"] for entry in kipoi_plugin.PLUGINS] == ["kipoi_other", "kipoi_deepmr"]


def test_registering_with_a_kipoi_that_keeps_no_list():
    hook.register(SimpleNamespace())
    hook.register(SimpleNamespace(PLUGINS=None))


def test_the_hook_imports_only_sys(bare_python):
    assert bare_python("old = {*sys.modules}; import _kipoi_deepmr_hook; print({*sys.modules} - old)") == (
        "{'_kipoi_deepmr_hook'}\n"
    )


def test_without_kipoi(bare_python):
    code = """
import _kipoi_deepmr_hook
for name in "kipoi", "kipoi.plugin", "kipoi.__main__":
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error)
"""
    assert bare_python(code) == "No module named 'kipoi'\n" * 3


IMPORT_AND_SHOW = "import kipoi.plugin; print(*(entry['plugin'] for entry in kipoi.plugin.PLUGINS))\n"


@pytest.mark.parametrize(
    "code",
    [
        "import _kipoi_deepmr_hook\n" + IMPORT_AND_SHOW,
        "import kipoi.plugin, _kipoi_deepmr_hook\n" + IMPORT_AND_SHOW,
        "import _kipoi_deepmr_hook\n" * 2 + IMPORT_AND_SHOW,
        "import _kipoi_deepmr_hook; del sys.modules['_kipoi_deepmr_hook']\n"
        + "import _kipoi_deepmr_hook\n"
        + IMPORT_AND_SHOW,
        "import _kipoi_deepmr_hook, importlib, kipoi.plugin; importlib.reload(kipoi.plugin)\n" + IMPORT_AND_SHOW,
        "class OldFinder:\n    find_module = lambda *arguments: None\n"
        + "import _kipoi_deepmr_hook; sys.meta_path.insert(1, OldFinder)\n"
        + IMPORT_AND_SHOW,
        "import _kipoi_deepmr_hook; sys.meta_path.append(sys.meta_path.pop(0))\n"
        + "import kipoi\nsys.meta_path.insert(0, sys.meta_path.pop())\n"
        + IMPORT_AND_SHOW,
    ],
    ids=["before kipoi", "after kipoi", "twice", "two copies", "kipoi reloaded", "a finder without find_spec", "moved"],
)
def test_order_of_imports(bare_python, toy_kipoi, code):
    assert bare_python(code) == "kipoi_other kipoi_deepmr\n"
    assert bare_python(code + "print(sum('Kipoi' in repr(finder) for finder in sys.meta_path))").endswith("\n1\n")


def test_kipoi_keeps_its_own_loader(bare_python, toy_kipoi):
    code = """
import _kipoi_deepmr_hook, importlib.util, inspect, runpy
print(importlib.util.find_spec("kipoi.plugin").loader.is_package("kipoi.plugin"))
print([entry["plugin"] for entry in runpy.run_module("kipoi.plugin")["PLUGINS"]])
import kipoi.plugin
print(type(kipoi.plugin.__loader__).__name__, type(kipoi.plugin.__spec__.loader).__name__)
print(inspect.getsource(kipoi.plugin), end="")
"""
    assert bare_python(code).splitlines() == [
        "False",
        "['kipoi_other']",
        "SourceFileLoader SourceFileLoader",
        "PLUGINS = [{'plugin': 'kipoi_other'}]",
    ]


def test_an_error_in_kipoi_is_kipois_own(bare_python, toy_kipoi, tmp_path):
    (tmp_path / "kipoi" / "plugin.py").write_text("1 / 0\n")
    code = """
import _kipoi_deepmr_hook
try:
    import kipoi.plugin
except ZeroDivisionError:
    print("kipoi.plugin" in sys.modules)
"""
    assert bare_python(code) == "False\n"


def test_command_line_is_rewritten_when_kipoi_main_is_looked_for(bare_python, toy_kipoi):
    code = "import _kipoi_deepmr_hook, kipoi\nprint(sys.argv[1:])\nimport kipoi.__main__\nprint(sys.argv[1:])"
    before, after = bare_python(code, "postproc", "deepmr", "run").splitlines()
    assert before == "['postproc', 'deepmr', 'run']"
    assert after == "['deepmr', 'run']"


def test_subinterpreters(run):
    interpreters = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(interpreters)
    code = f"""
import {interpreters} as interpreters
inner = "import sys; print([finder.__name__ for finder in sys.meta_path if 'Kipoi' in repr(finder)], flush=True)"
print(interpreters.run_string(interpreters.create(), inner))
"""
    process = run(sys.executable, "-c", code)
    assert process.stdout == "['KipoiFinder']\nNone\n", process.stderr


def test_this_interpreter_started_with_the_hook():
    assert any(getattr(finder, "__name__", None) == "KipoiFinder" for finder in sys.meta_path)
    assert importlib.import_module("kipoi.plugin").is_plugin("kipoi_deepmr")
