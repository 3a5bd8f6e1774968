"""The wheel alone is enough: what it declares is what it needs, also where every dependency is as old as it allows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
IMPORT_ALL = """
import importlib, pkgutil, lever_imocha
modules = [module.name for module in pkgutil.walk_packages(lever_imocha.__path__, "lever_imocha.")]
for name in modules:
    importlib.import_module(name)
print(len(modules), lever_imocha.__file__)
"""
METADATA = """
from importlib.metadata import distribution
found = distribution("lever-imocha")
(entry,) = found.entry_points.select(group="apache_airflow_provider")
print(entry.load()()["package-name"], found.metadata["License-Expression"])
print(found.metadata.get_all("Project-URL"))
print(found.metadata.get_payload().splitlines()[0])
"""


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "docs", env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def uv_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    import os

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "LEVER_IMOCHA"))}
    return kept | {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, uv_environment: dict[str, str]) -> Path:
    """Built from a copy: setuptools leaves files beside what it builds from."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "plugins", source / "plugins", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    python = ("--python", sys.executable)
    run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", *python, "-o", out, source, **uv_environment)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.parametrize("versions", ["locked", "lowest"])
def test_an_empty_environment_with_the_wheel_imports_every_module(
    wheel: Path, tmp_path: Path, uv_environment: dict[str, str], versions: str, postgres_url: str
) -> None:
    from dev import postgres

    def uv(*command: str | Path) -> str:
        return run(UV, *command, **uv_environment)

    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    if versions == "locked":
        uv("pip", "install", "--quiet", "--python", python, wheel, "-c", ROOT / "requirements.lock")
    else:
        until = re.search(r"^RELEASED_BEFORE := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert until
        lowest = ("--resolution", "lowest-direct", "--exclude-newer", until[1])
        uv("pip", "install", "--quiet", "--python", python, *lowest, "-r", ROOT / "requirements.txt")
        uv("pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    uv("pip", "check", "--quiet", "--python", python)

    count, place = run(python, "-c", IMPORT_ALL, **uv_environment).splitlines()[-1].split()
    assert int(count) > 100
    assert str(tmp_path) in place
    ledger = postgres.create_database(postgres_url, f"wheel_{versions}")
    run(python, "-m", "lever_imocha.ledger", "upgrade", **uv_environment | {"LEVER_IMOCHA_LEDGER": ledger})


def test_the_wheel_says_what_it_is(wheel: Path, tmp_path: Path, uv_environment: dict[str, str]) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", **uv_environment)
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, **uv_environment)
    names, urls, title = run(python, "-c", METADATA, **uv_environment).splitlines()
    assert names == "lever-imocha Apache-2.0"
    assert urls == "None"  # an address that the project does not own would lead people to a stranger
    assert title == "# Lever + iMocha on Apache Airflow"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Framework :: Apache Airflow :: Provider" in project["classifiers"]
