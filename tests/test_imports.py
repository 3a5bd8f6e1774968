"""Every import of the package is of a distribution that it depends on, and no dependency is without use."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
AIRFLOW = {"airflow.providers.http": "apache-airflow-providers-http", "airflow": "apache-airflow"}
"""Airflow's namespace is shared by many distributions."""
OF_AIRFLOW_3_1 = {"flask_appbuilder", "wtforms"}
"""Its API server puts something in their place while it asks hooks for their forms."""
NOT_IMPORTED = {"apache-airflow-providers-postgres", "apache-airflow-providers-standard"}
"""They bring the ledger's connection type, and the operators that Airflow's UI expects."""


def imported() -> set[str]:
    """Names of modules that the package and the DAG files import from elsewhere."""
    names = set()
    for path in [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "dags").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    others = {"lever_imocha"} | OF_AIRFLOW_3_1 | set(sys.stdlib_module_names)
    return {name for name in names if name.split(".")[0] not in others}


def distribution(module: str) -> str:
    for prefix, name in AIRFLOW.items():
        if f"{module}.".startswith(f"{prefix}."):
            return name
    return canonical(distributions()[module.split(".")[0]][0])


distributions = cache(packages_distributions)  # it reads the metadata of everything that is installed


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {canonical(re.split(r"[\[<>=!~; ]", line)[0]) for line in project["dependencies"]}
    needed = {distribution(module) for module in imported()}
    assert declared == needed | NOT_IMPORTED
