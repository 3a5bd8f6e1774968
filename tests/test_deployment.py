"""The files for containers, read as far as that goes without an engine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_compose_file_has_every_service_and_no_password_of_its_own() -> None:
    text = (ROOT / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    wanted = {
        "postgres",
        "redis",
        "init",
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
        "receivers",
    }
    assert set(services) == wanted
    assert all("init" in services[name]["depends_on"] for name in wanted - {"postgres", "redis", "init"})
    assert not re.search(r"^\s*\w*(PASSWORD|SECRET|KEY)\w*: (?!\$\{\w+:\?)", text, re.MULTILINE)


def test_the_image_is_pinned_and_leaves_the_sandbox_out() -> None:
    image = re.search(r"^FROM apache/airflow:(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image is not None
    locked = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert image[1] == f"{locked[1]}-python3.11"
    assert "include/sandbox" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_package_depends_on_what_requirements_txt_names() -> None:
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [line for line in lines if line]


def test_the_image_gets_every_file_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for name in ("pyproject.toml", project["readme"], *project["license-files"]):
        assert name in " ".join(copied).split()
        assert f"!{name}" in let_in
