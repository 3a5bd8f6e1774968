"""The DAG processor parses each file every 30 seconds, in a child of its own (figures: benchmarks.dag_parse)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "dags").glob("*.py"), *(ROOT / "docs" / "examples").glob("*.py")])
CODE = """
import json, os, runpy, sys
import airflow.dag_processing.processor

before = set(sys.modules)
heavy = (
    "lever_imocha.clients", "lever_imocha.ledger", "lever_imocha.workflows", "lever_imocha.hooks",
    "airflow.providers.http.hooks", "alembic", "aiohttp", "psycopg",
)
for path in sys.argv[1:]:
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        runpy.run_path(path)
        loaded = sorted(module for module in set(sys.modules) - before if module.startswith(heavy))
        print("\\n" + json.dumps([path, loaded]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_parsing_a_dag_file_loads_nothing_that_only_a_running_task_needs() -> None:
    command = [sys.executable, "-c", CODE, *map(str, FILES)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    loaded = [json.loads(line) for line in printed if line.startswith("[")]
    assert loaded == [[str(path), []] for path in FILES]
