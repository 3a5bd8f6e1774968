"""To whom Airflow itself sends an e-mail when a task fails, as a mail server sees it."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Iterator

import pytest
from airflow.sdk import DAG
from lever_imocha.operators.imocha import ImochaInviteOperator
from lever_imocha.operators.lever import LeverAddTagsOperator

from include.sandbox.world import World
from tests.airflow_versions import read_dags, synced

pytestmark = pytest.mark.xdist_group("airflow")


@pytest.fixture
def recipients(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Airflow's mail server; the addresses that it was given."""
    given: list[str] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            for line in self.rfile:
                verb = line[:4].upper()
                if verb == b"RCPT":
                    given.append(line.decode().strip()[len("rcpt TO:<") : -1])
                elif verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                self.wfile.write(b"250 fine\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address[:2]
        sender = {"conn_type": "smtp", "host": host, "port": port, "extra": {"disable_ssl": True, "disable_tls": True}}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(sender))
        for name, value in (("HOST", host), ("PORT", port), ("STARTTLS", False), ("MAIL_FROM", "airflow@example.com")):
            monkeypatch.setenv(f"AIRFLOW__SMTP__SMTP_{name}", str(value))
        yield given
        server.shutdown()


@pytest.mark.slow
def test_no_candidate_is_told_that_a_task_failed(world: World, recipients: list[str]) -> None:
    world.imocha_key = world.lever_key = "another"
    alerts = {"email": ["oncall@example.com"], "email_on_failure": True}
    with DAG(dag_id="fails", schedule=None, default_args=alerts) as dag:
        LeverAddTagsOperator(task_id="tag", opportunity_id="x", tags=["a"])
        ImochaInviteOperator(task_id="invite", test_id=101, email="ann@example.com", name="Ann")
        invite = ImochaInviteOperator.partial(task_id="invite_each", test_id=101, name="Ben")
        invite.expand(email=["ben@example.com"])
        by_test = ImochaInviteOperator.partial(task_id="invite_to_each", email="cid@example.com", name="Cid")
        by_test.expand(test_id=[101])
    bag = read_dags(os.devnull)
    bag.bag_dag(dag)
    assert synced(bag).dags["fails"].test().state.value == "failed"
    assert recipients == ["oncall@example.com"]
    # What the scheduler reads when a task is lost with its worker.
    assert [task.task_id for task in dag.tasks if task.email_on_failure or task.email_on_retry] == ["tag"]
