"""The environment of every local Airflow process: one PostgreSQL, files in ``.run``, loopback only."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev import postgres

ROOT = Path(__file__).parents[1]
RUN = Path(os.environ.get("LEVER_IMOCHA_RUN") or ROOT / ".run")
"""What local processes keep; another folder is another Airflow, with databases of its own."""
RUNNING = RUN / "environment.json"
"""The environment variables of the Airflow that runs."""
BIN = Path(sys.executable).parent
USER = "admin"


def _secret(name: str) -> str:
    """Return a secret that is made once and kept in ``.run``, readable by its owner only."""
    path = RUN / "secrets" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    path = RUN / "secrets" / "fernet"
    if not path.exists():
        _secret("fernet")
        path.write_text(Fernet.generate_key().decode())
    return path.read_text()


def login() -> tuple[str, str]:
    """Return user and password of the local Airflow UI."""
    return USER, _secret("ui-password")


def variables(base_url: str, *, prefix: str = "", port: int = 18080) -> dict[str, str]:
    """Return Airflow's settings and the ledger's URL; create the databases if they do not exist.

    :param base_url: of the PostgreSQL server.
    :param prefix: of the databases' names.
    :param port: of Airflow's API server.
    """
    home = RUN / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    passwords = RUN / "secrets" / "passwords.json"
    passwords.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passwords.write_text(json.dumps(dict([login()])))
    metadata = postgres.create_database(base_url, f"{prefix}airflow").replace(
        "postgresql://", "postgresql+psycopg2://", 1
    )
    given = os.environ
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__FERNET_KEY": _fernet_key(),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": _secret("api"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret("jwt"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(RUN / "logs" / "tasks"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
        "LEVER_IMOCHA_LEDGER": (not prefix and given.get("LEVER_IMOCHA_LEDGER"))
        or postgres.create_database(base_url, f"{prefix}ledger"),
        "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}",
    }


def prepare(*, prefix: str = "", port: int = 18080) -> dict[str, str]:
    """Start PostgreSQL, migrate Airflow's metadata and the ledger, and return the environment variables."""
    RUN.mkdir(exist_ok=True)
    own = variables(postgres.start(RUN / "postgres"), prefix=prefix, port=port)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | own
    for command in (["airflow", "db", "migrate"], ["python", "-m", "lever_imocha.ledger", "upgrade"]):
        run_once([str(BIN / command[0]), *command[1:]], environment)
    return own


def run_once(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command to its end; if it fails, show what it said and exit."""
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        sys.exit(f"{' '.join(command)} failed; see above")


def main() -> None:
    """Run ``python -m dev.environment``: print ``export`` lines for a shell, for the Airflow that runs or `make up` starts."""
    environment = json.loads(RUNNING.read_text()) if RUNNING.exists() else prepare()
    for key, value in environment.items():
        sys.stdout.write(f"export {key}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()
