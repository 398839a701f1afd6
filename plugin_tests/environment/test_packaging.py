"""Wheel and editable install: what they put where, and that uninstalling takes all of it away again."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# nothing is downloaded and nothing built in another environment
PIP_OPTIONS = ("--no-index", "--no-deps", "--no-build-isolation")


def run(*command, cwd):
    env = {name: value for name, value in os.environ.items() if name != "KIPOI_DEEPMR_NO_HOOK"}
    env.update(HOME=str(cwd), PIP_CACHE_DIR=str(cwd / "pip_cache"))
    return subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def run_well(*command, cwd):
    process = run(*command, cwd=cwd)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def files_and_folders(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def copy_of_the_source(folder):
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    shutil.copytree(ROOT / "kipoi_deepmr", folder / "kipoi_deepmr", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def source(tmp_path):
    return copy_of_the_source(tmp_path / "source")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """A source distribution, and the wheel that is built from what it holds."""
    folder = tmp_path_factory.mktemp("distributions")
    source = copy_of_the_source(folder / "source")
    run_well(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source, cwd=folder)
    return sorted((folder / "dist").iterdir(), key=lambda path: path.suffix)


@pytest.fixture
def wheel(distributions):
    return distributions[1]


def test_an_index_would_take_both(distributions):
    assert [path.suffix for path in distributions] == [".gz", ".whl"]
    said = run_well(sys.executable, "-m", "twine", "check", "--strict", *distributions, cwd=distributions[0].parent)
    assert said.count("PASSED") == 2, said


def test_the_wheel_holds_what_is_no_python(wheel):
    """The page of the report, the example, and the sign that our annotations are for type checkers of others' code."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {"kipoi_deepmr/example/test_loci.bed", "kipoi_deepmr/example/5/model.keras"} <= set(names)
    assert "kipoi_deepmr/py.typed" in names
    page = {f"kipoi_deepmr/report/{path.name}" for path in (ROOT / "kipoi_deepmr" / "report").iterdir()
            if path.suffix in (".html", ".css", ".js")}
    assert len(page) > 9 and page <= set(names)


@pytest.fixture
def environment(tmp_path):
    """A new environment that sees every package of this one except ours."""
    others = tmp_path / "others"
    others.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(folder).iterdir():
            if "kipoi_deepmr" not in path.name and path.name != "__pycache__":
                (others / path.name).symlink_to(path)

    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True, with_pip=False)
    site_packages = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)}))
    (site_packages / "others.pth").write_text(f"{others}\n")
    return folder


def install_use_uninstall(environment, *what, package_is_in):
    python = environment / "bin" / "python"
    cwd = environment.parent
    before = files_and_folders(environment)
    assert "kipoi_deepmr" not in run_well(python, "-m", "kipoi", "list_plugins", cwd=cwd)

    run_well(python, "-m", "pip", "install", *PIP_OPTIONS, *what, cwd=cwd)
    assert any(path.endswith("site-packages/kipoi_deepmr.pth") for path in files_and_folders(environment))
    where = Path(run_well(python, "-c", "import kipoi_deepmr; print(kipoi_deepmr.__file__)", cwd=cwd).strip())
    assert where.is_relative_to(package_is_in.resolve())
    assert "kipoi_deepmr" in run_well(python, "-m", "kipoi", "list_plugins", cwd=cwd)
    for command in ([python, "-m", "kipoi", "postproc", "deepmr"], [environment / "bin" / "kipoi-deepmr"]):
        assert "aggregate" in run_well(*command, "--help", cwd=cwd)

    run_well(python, "-m", "pip", "uninstall", "--yes", "kipoi-deepmr", cwd=cwd)
    assert files_and_folders(environment) == before
    assert "kipoi_deepmr" not in run_well(python, "-m", "kipoi", "list_plugins", cwd=cwd)


def test_wheel_in_an_environment_and_out_again(wheel, environment):
    install_use_uninstall(environment, wheel, package_is_in=environment)


def test_editable_install_in_an_environment_and_out_again(source, environment):
    install_use_uninstall(environment, "--editable", source, package_is_in=source)


def test_what_the_wheel_holds(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "_kipoi_deepmr_hook.py",
        "kipoi_deepmr",
        "kipoi_deepmr-0.1.0.dist-info",
        "kipoi_deepmr.pth",
    }
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kipoi_deepmr").rglob("*.py")}
    assert modules <= set(names)


def test_what_the_source_distribution_holds(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"_kipoi_deepmr_hook.py", "kipoi_deepmr.pth", "kipoi_deepmr/__init__.py", "setup.py", "LICENSE",
            "README.md", "CHANGELOG.md", "CITATION.cff"} <= names


@pytest.mark.parametrize("build", ["build_wheel", "build_editable"])
def test_no_build_without_the_pth_file(source, tmp_path, build):
    """Without it Kipoi would not list the plugin, and nobody would be told."""
    (source / "kipoi_deepmr.pth").unlink()
    call = f"from setuptools import build_meta; build_meta.{build}({str(tmp_path)!r})"
    process = run(sys.executable, "-c", call, cwd=source)
    assert process.returncode != 0
    assert "kipoi_deepmr.pth" in process.stderr
