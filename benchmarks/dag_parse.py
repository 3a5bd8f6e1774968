"""Measures the parsing of our DAG files, compared with an empty one and one with a single HttpOperator.

As in Airflow's DAG processor, each file is parsed in a forked child of a process that has loaded Airflow. Run:
``python -m benchmarks.dag_parse``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

_EMPTY = "from airflow.sdk import DAG\nwith DAG('x', schedule=None):\n    pass\n"
_HTTP = (
    "from airflow.sdk import DAG\nfrom airflow.providers.http.operators.http import HttpOperator\n"
    "with DAG('x', schedule=None):\n    HttpOperator(task_id='a', endpoint='x')\n"
)


def cost(path: Path) -> tuple[float, int]:
    """Measure the parsing of one file.

    :return: milliseconds of CPU time, and the number of modules imported.
    """
    read, write = os.pipe()
    if not (child := os.fork()):
        started, before = time.process_time(), len(sys.modules)
        spec = importlib.util.spec_from_file_location("parsed", path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        os.write(write, f"{(time.process_time() - started) * 1000} {len(sys.modules) - before}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    took, modules = os.read(read, 100).decode().split()
    return float(took), int(modules)


def main() -> None:
    """Print the table."""
    import airflow.dag_processing.dagbag
    import airflow.dag_processing.processor  # noqa: F401 - what the DAG processor's child has loaded

    with tempfile.TemporaryDirectory() as directory:
        peers = {"empty": _EMPTY, "one HttpOperator": _HTTP}
        files = {name: Path(directory, f"{number}.py") for number, name in enumerate(peers)}
        for name, path in files.items():
            path.write_text(peers[name])
        files |= {path.stem: path for path in sorted(Path("dags").glob("*.py"))}
        for name, path in files.items():
            costs = [cost(path) for _ in range(5)]
            print(f"{name:<24} {median(took for took, _ in costs):6.0f} ms CPU, {costs[0][1]:4} modules")


if __name__ == "__main__":
    main()
