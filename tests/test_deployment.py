"""The files for containers, read as far as that goes without an engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from cryptography.fernet import Fernet
from lever_imocha.domain.signatures import callback_token
from lever_imocha.ledger.database import check_schema, engine_for, upgrade
from lever_imocha.webhooks.app import PREFIX
from sqlalchemy import make_url, text

from dev import compose, postgres
from dev.services import free_port

ROOT = Path(__file__).parents[1]


TEXT = (ROOT / "compose.yaml").read_text()
CONTENT = yaml.safe_load(TEXT)
SERVICES = CONTENT["services"]
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
ONE_SHOT = {"databases", "init", "ledger"}
STAY = AIRFLOW | {"postgres", "redis", "receivers", "proxy"}


def values() -> dict[str, str]:
    return dict.fromkeys(compose.new_secrets(), "the-value")


def test_the_compose_file_has_every_service_and_no_password_of_its_own() -> None:
    assert set(SERVICES) == STAY | ONE_SHOT
    assert not re.search(r"^\s*\w*(PASSWORD|SECRET|KEY|REDISCLI_AUTH)\w*: (?!\$\{\w+:\?)", TEXT, re.MULTILINE)


def test_what_stays_is_restarted_and_what_runs_once_is_waited_for() -> None:
    assert all(SERVICES[name]["restart"] == "unless-stopped" for name in STAY)
    assert all(SERVICES[name].get("restart", "no") == "no" for name in ONE_SHOT)
    assert all(set(SERVICES[name]["depends_on"]) == {"init", "ledger"} for name in AIRFLOW)
    waited = [at for service in SERVICES.values() for at in service.get("depends_on", {}).items()]
    assert {name for name, _ in waited} == ONE_SHOT | {"postgres", "redis", "receivers"}
    for name, at in waited:
        assert at["condition"] == ("service_completed_successfully" if name in ONE_SHOT else "service_healthy")
        assert name in ONE_SHOT or "healthcheck" in SERVICES[name]


def test_one_service_makes_the_image_that_the_others_run() -> None:
    own = [name for name, service in SERVICES.items() if service["image"] == "lever-imocha"]
    assert {*AIRFLOW, "init", "ledger", "receivers"} == set(own)
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["init"]


def test_each_service_has_a_health_check_but_the_proxy() -> None:
    shape = compose.Compose(values(), {})
    assert {name for name in STAY if not shape.service(name).health} == {"proxy"}


def test_the_log_of_what_stays_does_not_grow_without_end() -> None:
    assert {name for name in STAY if not SERVICES[name].get("logging", {}).get("options", {}).get("max-size")} == set()


def test_no_secret_is_on_a_command_line() -> None:
    shape = compose.Compose(values(), {})
    for name in SERVICES:
        service = shape.service(name)
        assert "the-value" not in " ".join([*service.command, *service.health])
        if name in AIRFLOW:
            assert service.environment["CONNECTION_CHECK_MAX_COUNT"] == "0"
    assert "the-value" in shape.config("redis")


def test_a_secret_made_for_it_can_stand_in_a_url() -> None:
    made = compose.new_secrets()
    fernet = made.pop("FERNET_KEY")
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{40,}", value) for value in made.values())
    assert Fernet(fernet)
    urls = compose.Compose(made, {}).service("worker").environment
    ledger = make_url(urls["LEVER_IMOCHA_LEDGER"])
    assert (ledger.username, ledger.password, ledger.database) == (
        "lever_imocha",
        made["LEDGER_DB_PASSWORD"],
        "lever_imocha",
    )
    assert make_url(urls["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).password == made["AIRFLOW_DB_PASSWORD"]


def test_the_receivers_know_neither_airflows_database_nor_an_api_key() -> None:
    given = values() | {"LEVER_WEBHOOK_TOKENS": "a,b", "IMOCHA_CALLBACK_SECRET": "c"}
    environment = compose.Compose(given, {}).service("receivers").environment
    lever, imocha = (json.loads(environment[f"AIRFLOW_CONN_{vendor}_DEFAULT"]) for vendor in ("LEVER", "IMOCHA"))
    assert lever == {"conn_type": "lever", "extra": {"webhook_tokens": "a,b"}}
    assert imocha == {"conn_type": "imocha", "extra": {"callback_secret": "c"}}
    assert not [key for key in environment if key.startswith("AIRFLOW__")]


def test_only_the_proxy_is_reached_from_outside() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"api-server": ["127.0.0.1:8080:8080"], "proxy": ["443:443"]}


def test_the_proxy_lets_two_paths_through() -> None:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    locations = re.findall(r"^    location (.+) \{\n((?:        .+\n)+)", text, re.MULTILINE)
    passed = {where for where, what in locations if "proxy_pass" in what}
    token = callback_token(7, "the-callback-secret")
    exact, pattern = sorted(passed)
    assert exact == f"= {PREFIX}/webhooks/lever"
    assert re.search(pattern.removeprefix('~ "').removesuffix('"'), f"{PREFIX}/webhooks/imocha/{token}")
    assert all("limit_except POST { deny all; }" in what for where, what in locations if where in passed)
    assert dict(locations)["/"].strip() == "return 404;"


def test_what_is_mounted_from_here_is_here() -> None:
    mounted = [text for service in SERVICES.values() for text in service.get("volumes", ()) if text.startswith("./")]
    assert mounted
    assert all((ROOT / text.partition(":")[0]).exists() for text in mounted)
    named = {
        text.partition(":")[0] for one in SERVICES.values() for text in one.get("volumes", ()) if text[0].isalpha()
    }
    assert named == set(CONTENT["volumes"])


def test_every_pin_has_its_hashes_and_the_locks_agree() -> None:
    locks = [(ROOT / name).read_text() for name in ("requirements.lock", "requirements-celery.lock")]
    pins = [
        re.findall(r"^([\w.-]+)==([^\s;\\]+)(.*(?:\n    --hash=sha256:\w{64}.*)*)", text, re.MULTILINE)
        for text in locks
    ]
    assert all("--hash" in rest for pin in pins for _, _, rest in pin)
    small, large = ({(name, version) for name, version, _ in pin} for pin in pins)
    assert small < large


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[str]:
    """A server of its own, on which deploy/databases.sql ran twice, as at two starts."""
    with tempfile.TemporaryDirectory(prefix="pg") as directory:
        data, port = Path(directory) / "d", free_port(0)
        postgres.start_with_passwords(data, port=port, password="p")
        service = compose.Compose(values(), {"@postgres/": f"@127.0.0.1:{port}/"})
        environment = service.service("databases").environment | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGPASSWORD": "p",
        }
        try:
            for _ in range(2):
                command = [str(postgres.psql()), "--quiet", f"--file={ROOT / 'deploy' / 'databases.sql'}"]
                subprocess.run(command, env=os.environ | environment, check=True)
            yield service.service("ledger").environment["LEVER_IMOCHA_LEDGER"]
        finally:
            postgres.stop(data, mode="immediate")


def test_the_ledgers_role_owns_its_database_and_nothing_else(databases: str) -> None:
    engine = engine_for(databases)
    upgrade(engine)
    check_schema(engine)
    engine.dispose()
    with psycopg.connect(databases, autocommit=True) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert rights == (False,) * 5
        owned = "SELECT array_agg(datname) FROM pg_database WHERE pg_get_userbyid(datdba) = current_user"
        assert connection.execute(owned).fetchone() == (["lever_imocha"],)
        for statement in ("CREATE DATABASE another", "CREATE ROLE another"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    for wrong, refused in (
        (f"{databases.removesuffix('lever_imocha')}airflow", "permission denied"),
        (databases.replace(":the-value@", ":another@"), "password authentication failed"),
    ):
        with pytest.raises(psycopg.OperationalError, match=refused):
            psycopg.connect(wrong)


def test_the_tests_themselves_run_without_a_superuser(ledger_url: str, own_ledger_url: str) -> None:
    for url in (ledger_url, own_ledger_url):
        with engine_for(url).connect() as connection:
            query = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
            assert connection.scalar(text(query)) is False


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


def test_the_images_user_can_read_what_it_gets_whatever_the_umask_was_of_the_checkout() -> None:
    copies = re.findall(r"^COPY .*$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copies
    assert all(line.startswith("COPY --chown=airflow:0 ") for line in copies)


def test_the_image_gets_every_file_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for name in ("pyproject.toml", project["readme"], *project["license-files"]):
        assert name in " ".join(copied).split()
        assert f"!{name}" in let_in
