"""Reaching the ledger's database: what fails, and whether trying again helps."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.imocha import AttemptStatus
from lever_imocha.domain.rules import RuleKey
from lever_imocha.errors import LedgerError, Retry
from lever_imocha.ledger import __main__ as command_line
from lever_imocha.ledger.database import HEAD, alembic_config, check_schema, engine_for, upgrade
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.tables import SCHEMA, metadata
from lever_imocha.ledger.values import CANDIDATE_WORK, Effect, Work
from lever_imocha.ledger.watermarks import ACTIVATED, trigger_stage
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from dev import postgres


def test_migrations_make_exactly_the_tables_in_code(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_version_asked_for_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_a_task_does_not_load_alembic() -> None:
    code = "import sys, lever_imocha.ledger.database; sys.exit('alembic' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_a_migrated_ledger_is_ready(own_ledger_url: str) -> None:
    check_schema(engine_for(own_ledger_url))


def test_what_is_told_in_utc_is_utc_whatever_the_servers_time_zone(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'"))
    engine_for(own_ledger_url).dispose()
    ledger = Ledger(engine=engine_for(own_ledger_url), clock=lambda: datetime(2026, 7, 2, 12, tzinfo=UTC))
    ledger.queue.enqueue(["op"], Work.INVITE)
    assert [str(item) for item in ledger.queue.listed()] == ["op invite: due, queued 2026-07-02 12:00 UTC"]


def test_an_address_that_is_none_of_postgresql_is_refused() -> None:
    for url, message in (("sqlite:///x", "needs PostgreSQL"), ("nonsense", "not a database URL")):
        with pytest.raises(LedgerError, match=message) as caught:
            engine_for(url)
        assert caught.value.retry is Retry.NEVER


def test_an_unmigrated_ledger_names_the_command_and_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match=r"run python -m lever_imocha\.ledger upgrade") as caught:
        check_schema(engine_for(postgres_url))
    assert caught.value.retry is Retry.NEVER
    with pytest.raises(LedgerError, match="upgrade") as caught:
        Ledger(engine=engine_for(postgres_url)).queue.due(list(Work))
    assert caught.value.retry is Retry.NEVER


def test_a_ledger_of_another_version_is_not_tried_again(own_ledger_url: str) -> None:
    engine = engine_for(own_ledger_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {SCHEMA}.alembic_version SET version_num = '0001'"))  # noqa: S608
    with pytest.raises(LedgerError, match=f"is at version 0001, this package needs {HEAD}") as caught:
        check_schema(engine)
    assert caught.value.retry is Retry.NEVER


def test_a_closed_port_is_tried_again_and_no_password_is_told() -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        Ledger(engine=engine_for("postgresql://u:secret@127.0.0.1:1/x")).queue.due(list(Work))
    assert caught.value.retry is Retry.SOON
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_not_tried_again(postgres_url: str) -> None:
    with pytest.raises(LedgerError, match="check the connection") as caught:
        check_schema(engine_for(postgres_url.replace("/postgres?", "/nowhere?", 1)))
    assert caught.value.retry is Retry.NEVER


def test_a_role_without_rights_is_told_what_it_needs(own_ledger_url: str, postgres_url: str) -> None:
    stranger = make_url(postgres.create_database(postgres_url, "stranger")).username
    engine = engine_for(make_url(own_ledger_url).set(username=stranger).render_as_string(hide_password=False))
    for use in (check_schema, upgrade):
        with pytest.raises(LedgerError, match="may not use, or not make, the ledger's tables") as caught:
            use(engine)
        assert caught.value.retry is Retry.NEVER


def test_a_connection_lost_between_two_statements_fails_once_and_is_tried_again(
    ledger: Ledger, ledger_url: str, postgres_url: str
) -> None:
    assert ledger.queue.due(list(Work)) == []
    postgres.disconnect(postgres_url, str(engine_for(ledger_url).url.database))
    with pytest.raises(LedgerError) as caught:
        ledger.queue.due(list(Work))
    assert caught.value.retry is Retry.SOON
    assert ledger.queue.due(list(Work)) == []


def test_a_connection_that_is_asked_first_is_replaced_unseen(own_ledger_url: str, postgres_url: str) -> None:
    engine = engine_for(own_ledger_url, pre_ping=True)
    check_schema(engine)
    postgres.disconnect(postgres_url, str(engine.url.database))
    check_schema(engine)
    engine.dispose()


def test_a_full_pool_is_tried_again(own_ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(own_ledger_url)
    monkeypatch.setattr(engine.pool, "_timeout", 0)  # the pool's own setting; nobody waits in a test
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(engine.connect())
        with pytest.raises(LedgerError, match="all in use") as caught:
            engine.connect()
    assert caught.value.retry is Retry.SOON


def test_a_statement_that_lasts_too_long_is_ended_and_tried_again(own_ledger_url: str) -> None:
    engine = engine_for(f"{own_ledger_url}&options=-c%20statement_timeout%3D50ms")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "10s"
        with pytest.raises(LedgerError, match="took too long") as caught:
            connection.execute(text("SELECT pg_sleep(60)"))
    assert caught.value.retry is Retry.SOON


def test_mistakes_of_our_own_stay_what_they_are(own_ledger_url: str) -> None:
    with engine_for(own_ledger_url).connect() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELEC 1"))
        connection.rollback()
        with pytest.raises(IntegrityError):
            connection.execute(text(f"INSERT INTO {SCHEMA}.watermarks (name) VALUES ('w')"))  # noqa: S608


_numbers = itertools.count()


@pytest.fixture
def older_ledger(postgres_url: str) -> Iterator[Engine]:
    """A ledger as version 0.1.0 left it.

    Two entries are on hold; o's was invited, and iMocha has called back; p's report is being written, and q's is
    written; about r a webhook waits, and for s another try is set for later.
    """
    engine = engine_for(postgres.create_database(postgres_url, f"older_ledger{next(_numbers)}"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.execute(text("SET search_path TO lever_imocha"))
        for statement in _OLDER:
            connection.execute(text(statement))
        connection.execute(text("SET search_path TO public"))
    yield engine
    engine.dispose()


_OLDER = (
    "CREATE TABLE ratelimit___lever (name varchar, item_timestamp timestamp)",
    """
    INSERT INTO stage_entries (opportunity_id, stage_id, entered_at, first_seen_by, first_seen_at, pending_since,
                               eligibility, decision, reason, decided_at)
    SELECT id, 's', now(), 'sweep', now(), now(), '', decision, reason, CASE WHEN decision IS NOT NULL THEN now() END
    FROM (VALUES ('h1', 'hold', 'unknown test (iMocha: x (old) [1])'), ('h2', 'hold', 'no e-mail address'),
                 ('o', 'invite', NULL), ('p', 'invite', NULL), ('q', 'invite', NULL), ('s', NULL, NULL)
    ) AS given (id, decision, reason)
    """,
    """
    INSERT INTO opportunities (opportunity_id, name, tries, reason, not_before)
    VALUES ('s', 'Ann', 2, 'RequestRejectedError', now() + interval '1 hour'), ('o', 'Bo', 0, NULL, NULL)
    """,
    """
    INSERT INTO invitations (id, test_id, status, invited_at, times_invited, times_refreshed, ended_at)
    VALUES (1, 101, 'pending', now(), 1, 0, NULL), (2, 101, 'complete', now(), 1, 0, now()),
           (3, 101, 'complete', now(), 1, 0, now()), (4, 101, 'complete', now(), 1, 0, now())
    """,
    """
    INSERT INTO events (at, kind, opportunity_id, invitation_id, test_id)
    VALUES (now(), 'invited', 'p', 4, 101), (now(), 'reattempt_given', 'p', 2, 101), (now(), 'masked', 'q', 3, NULL)
    """,
    """
    INSERT INTO assessments (opportunity_id, test_id, entry_id, rule_key, invitation_id, written_at, tries)
    SELECT opportunity_id, 101, stage_entries.id, 'lead-new|uuid|A | B', invitations.id,
           CASE WHEN opportunity_id = 'q' THEN now() END, 3
    FROM stage_entries JOIN invitations ON (opportunity_id, invitations.id) IN (('o', 1), ('p', 2), ('q', 3))
    """,
    "INSERT INTO write_back_steps VALUES (2, 'p', 'form', now(), now(), 'form-id'), (2, 'p', 'file', now(), NULL, NULL)",
    "INSERT INTO notices VALUES ('h2', 'stage entry 2: no e-mail address', now(), now(), 'note-id')",
    """
    INSERT INTO deliveries (vendor, key, event, opportunity_id, invitation_id, received_at, handled_at)
    VALUES ('lever', 'a', 'candidateStageChange', 'r', NULL, now(), NULL),
           ('lever', 'b', 'candidateStageChange', 'o', NULL, now(), now()),
           ('imocha', 'c', 'complete', NULL, 1, now(), NULL), ('imocha', 'd', 'complete', NULL, 3, now(), NULL)
    """,
)


def test_an_older_ledger_keeps_what_it_knows(older_ledger: Engine) -> None:
    upgrade(older_ledger)
    check_schema(older_ledger)
    assert "ratelimit___lever" not in inspect(older_ledger).get_table_names(schema=SCHEMA)
    ledger = Ledger(engine=older_ledger)
    held = ledger.entries.last("h1")
    assert held is not None
    assert (held.decision, held.reason, held.detail) == (
        Action.HOLD,
        Reason.UNKNOWN_TEST,
        "iMocha: x (old) [1]",
    )
    held = ledger.entries.last("h2")
    assert held is not None
    assert (held.reason, held.detail) == (Reason.NO_EMAIL, "")
    (known,) = ledger.assessments.of("o")
    assert known.rule_key == RuleKey(trigger_stage_id="lead-new", completed_stage_id="uuid", form_template="A | B")
    assert known.status is AttemptStatus.PENDING


def test_an_older_ledger_was_activated_long_ago_and_a_new_one_not_yet(older_ledger: Engine, ledger: Ledger) -> None:
    upgrade(older_ledger)
    older = Ledger(engine=older_ledger)
    held = older.entries.last("h1")
    assert held is not None
    for name in (ACTIVATED, trigger_stage(held.stage_id)):
        activated = older.watermarks.get(name)
        assert activated is not None
        assert activated.year == 1970
    assert ledger.watermarks.get(ACTIVATED) is None


def test_an_older_ledger_keeps_what_its_rules_asked_and_since_when(older_ledger: Engine) -> None:
    rule = '{"trigger_stage_id": "s", "form_template": "A", "validity_days": 3, "tests": [1, 2], "postings": []}'
    with older_ledger.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0025")
        for statement in (
            f"INSERT INTO lever_imocha.reference VALUES ('lever', '{{\"rules\": [{rule}]}}', now())",  # noqa: S608
            """
            INSERT INTO lever_imocha.watermarks (name, at)
            VALUES ('rule of s asks for 1', '1970-01-01'), ('rule of s asks for 2', '2026-01-02')
            """,
            """
            UPDATE lever_imocha.stage_entries SET reason = 'was in the stage before the integration was activated'
            WHERE opportunity_id = 'h2'
            """,
        ):
            connection.exec_driver_sql(statement)
    upgrade(older_ledger)
    ledger = Ledger(engine=older_ledger)
    versions = ledger.settings_versions.all()
    assert [(one.since.year, [rule.tests for rule in one.asks.rules]) for one in versions] == [
        (1970, [(1,)]),
        (2026, [(1, 2)]),
    ]
    held = ledger.entries.last("h2")
    assert held is not None
    assert (held.reason, held.settings_version) == (Reason.BEFORE_ACTIVATION, None)


def test_an_older_ledger_keeps_the_work_that_waits_and_what_was_made(older_ledger: Engine) -> None:
    upgrade(older_ledger)
    ledger = Ledger(engine=older_ledger)
    assert set(ledger.queue.due(CANDIDATE_WORK)) == {"r"}
    assert set(ledger.queue.due(CANDIDATE_WORK, waiting=True)) == {"r", "s"}
    assert set(ledger.queue.due([Work.WRITE_BACK])) == {"o", "p"}
    assert ledger.queue.starting_runs([Work.INVITE])
    item = ledger.queue.claim("s", [Work.INVITE], worker="w", force=True)[Work.INVITE]
    assert (item.tries, item.error) == (2, "RequestRejectedError")
    assert ledger.queue.claim("p", [Work.WRITE_BACK], worker="w")[Work.WRITE_BACK].tries == 3
    for key in "op":
        assert len(ledger.assessments.to_write(key)) == 1
    assert ledger.assessments.to_write("q") == []
    assert ledger.effects.created_ids("p", "form") == {"form-id"}
    begun = ledger.effects.state(Effect.of_invitation("p", 2, "file"))
    assert begun is not None
    assert begun.done_at is None
    noted = Effect(opportunity_id="h2", subject="stage entry 2: no e-mail address", step="note")
    assert ledger.effects.state(noted) is not None
    assert ledger.opportunities.stored_of(["s", "o"]) == {"s", "o"}


def test_an_older_ledger_knows_the_earlier_attempts_and_which_are_masked(older_ledger: Engine) -> None:
    upgrade(older_ledger)
    invitations = Ledger(engine=older_ledger).invitations
    assert [invitations.to_mask(key) for key in "opq"] == [[1], [2, 4], []]
    assert invitations.belongs_to(4) == ["p"]


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ledger", *arguments])
    return command_line.main()


def test_a_person_lists_what_waits_and_has_it_tried_again(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEVER_IMOCHA_LEDGER", ledger_url)
    later = datetime(2100, 1, 1, tzinfo=UTC)
    for key, not_before in (("parked", None), ("waits", later)):
        ledger.queue.enqueue([key], Work.INVITE)
        item = ledger.queue.claim(key, [Work.INVITE], worker="w")[Work.INVITE]
        ledger.queue.put_off(item, error="VendorDownError", not_before=not_before)
    ledger.queue.enqueue(["due"], Work.WRITE_BACK)
    assert _run(monkeypatch, "queue") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", queued")[0].split(" since")[0] for line in lines] == [
        "parked invite: parked", "waits invite: waits until 2100-01-01 00:00 UTC", "due write_back: due",
    ]  # fmt: skip
    assert "failed 1 times, last: VendorDownError" in lines[0]
    assert _run(monkeypatch, "release") == 0
    assert ledger.queue.due([Work.INVITE]) == ["parked"]
    assert _run(monkeypatch, "release", "waits", "nobody") == 0
    assert ledger.queue.due([Work.INVITE]) == ["parked", "waits"]
    assert capsys.readouterr().out == "1 released.\n1 released.\n"
