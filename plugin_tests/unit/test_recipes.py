"""The conda recipe and the Dockerfile say what setup.cfg says, and linters find nothing where they are installed."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from kipoi_deepmr import __version__

ROOT = Path(__file__).resolve().parents[2]
RECIPE = yaml.safe_load((ROOT / "conda-recipe" / "recipe.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CONDA_NAMES = {"dask[array]": "dask-core", "matplotlib": "matplotlib-base"}  # without what we do not use


def setup():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def lines_of(text):
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def split(requirement):
    """Name and versions of a requirement, as pip or conda writes it."""
    name, versions = re.fullmatch(r"([\w.\[\]-]+)\s*(.*)", requirement).groups()
    return CONDA_NAMES.get(name, name), versions


def test_the_recipe_needs_what_the_package_needs():
    options = setup()["options"]
    needed = dict(map(split, lines_of(options["install_requires"])))
    assert dict(map(split, RECIPE["requirements"]["run"])) == {**needed, "python": options["python_requires"]}
    assert set(RECIPE["requirements"]["host"]) >= {f"python {options['python_requires']}", "setuptools <81"}


def test_the_recipe_is_of_this_version_and_command():
    config = setup()
    assert RECIPE["context"]["version"] == __version__
    assert RECIPE["build"]["python"]["entry_points"] == lines_of(config["options.entry_points"]["console_scripts"])
    assert RECIPE["about"]["license"] == config["metadata"]["license"]
    assert (ROOT / RECIPE["about"]["license_file"]).is_file()


def test_the_image_has_a_python_that_we_support_and_extras_that_there_are():
    minor = re.search(r"^FROM python:3\.(\d+)-slim-\w+$", DOCKERFILE, re.M)[1]
    config = setup()
    assert f"Programming Language :: Python :: 3.{minor}" in config["metadata"]["classifiers"]
    extras = re.search(r"'\.\[(.*?)\]'", DOCKERFILE)[1].split(",")
    assert set(extras) <= set(config["options.extras_require"])
    user, = re.findall(r"^USER (.*)$", DOCKERFILE, re.M)
    assert user.isdigit() and int(user) > 0


def test_the_image_gets_all_that_is_installed():
    """Everything that setup.cfg, setup.py and the links in the package name is in the build's context."""
    context = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    linked = {str(path.resolve().relative_to(ROOT)) for path in (ROOT / "kipoi_deepmr").iterdir() if path.is_symlink()}
    assert linked and context >= {"kipoi_deepmr", "setup.cfg", "setup.py", "pyproject.toml", "kipoi_deepmr.pth",
                                  "_kipoi_deepmr_hook.py", "README.md", "LICENSE", *linked}
    assert all((ROOT / name).exists() for name in context)


def of_workflows(name):
    """A program of the environment that `make workflow-env` makes, or of PATH."""
    path = shutil.which(name, path=str(ROOT / ".envs" / "workflows" / "bin")) or shutil.which(name)
    return path or pytest.skip(f"{name} is not installed: make workflow-env")


def test_hadolint_finds_nothing():
    done = subprocess.run([of_workflows("hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_rattler_build_renders_the_recipe():
    code = ("import rattler_build as r, pathlib, sys; "
            "print(*r.Stage0Recipe.from_file(pathlib.Path(sys.argv[1])).render(r.VariantConfig()))")
    done = subprocess.run([of_workflows("python"), "-c", code, str(ROOT / "conda-recipe" / "recipe.yaml")],
                          capture_output=True, text=True)
    if "No module named 'rattler_build'" in done.stderr:
        pytest.skip("rattler_build is not installed: make workflow-env")
    assert done.returncode == 0 and f"version='{__version__}'" in done.stdout, done.stderr
