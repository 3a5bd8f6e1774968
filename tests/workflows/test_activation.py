"""Who was in the stage before the integration first ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lever_imocha.clients.transport import TRIES
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.errors import ClockError, VendorDownError
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.ledger.watermarks import ACTIVATED, FULL_SWEEP, SWEEP
from lever_imocha.settings import Settings, parse_settings
from sqlalchemy import text

from tests.support import PYTHON, SQL
from tests.workflows.conftest import Stack, use_clock

DEFAULT = "perform_as: people-ops@example.com\n"
ADOPT, INVITE = (f"{DEFAULT}activation: {{existing: {word}}}\n" for word in ("adopt", "invite"))
LATER = "Recruiter screen"
LEFT_ALONE = f"hold: {Reason.BEFORE_ACTIVATION}"


@pytest.fixture
def stack(stack: Stack) -> Stack:
    stack.settings = parse_settings(DEFAULT)
    return stack


def decision(stack: Stack, opportunity_id: str) -> tuple[Action | None, Reason | None]:
    entry = stack.ledger.entries.last(opportunity_id)
    assert entry is not None
    return entry.decision, entry.reason


def with_later_stage(text: str = "", existing: str = "leave") -> Settings:
    rule = f"{{trigger_stage: {LATER}, {text}}}"
    return parse_settings(f"{DEFAULT}activation: {{existing: {existing}}}\nrules: [{{}}, {rule}]")


def webhook(stack: Stack, opportunity_id: str, event: str = "candidateStageChange") -> None:
    stack.ledger.deliveries.record(
        NewDelivery(vendor="lever", key=opportunity_id, event=event, opportunity_id=opportunity_id)
    )


def test_who_was_there_is_found_and_held_and_who_comes_later_is_invited(stack: Stack) -> None:
    there = [stack.candidate(PYTHON) for _ in range(4)]
    assert stack.run_invite() == [LEFT_ALONE] * 4
    assert {decision(stack, one) for one in there} == {(Action.HOLD, Reason.BEFORE_ACTIVATION)}
    new = stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    assert decision(stack, new) == (Action.INVITE, None)
    assert stack.run_invite(full=True) == []
    assert [mail["to"] for mail in stack.world.mails] == [stack.invitation().email]
    stack.again(there[0])
    assert stack.run_invite() == ["invite"]
    assert len(stack.world.mails) == 2


def test_the_first_run_activates_also_with_nobody_in_the_stage(stack: Stack) -> None:
    assert stack.run_invite() == []
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]


def test_nothing_is_left_in_lever_about_who_is_left_alone(stack: Stack) -> None:
    stack.settings = parse_settings(DEFAULT + "explain: {status_tags: true, notes: true}")
    there = [stack.candidate(PYTHON), stack.candidate("iMocha: Gone [999]"), stack.candidate(PYTHON, emails=[])]
    assert stack.run_invite() == [LEFT_ALONE] * 3
    assert stack.run_invite(full=True) == []
    assert stack.writes() == []
    assert not any(stack.world.notes.get(one) for one in there)


def test_a_webhook_before_the_first_sweep_mails_nobody_who_was_there(stack: Stack) -> None:
    there = stack.candidate(PYTHON)
    webhook(stack, there, "candidateArchiveChange")
    assert stack.run_invite(sweep=False) == [LEFT_ALONE]
    assert stack.world.invitations == {}
    assert stack.run_invite() == []
    stack.again(there)
    assert stack.run_invite() == ["invite"]


def test_who_was_moved_before_the_first_sweep_and_told_of_is_invited(stack: Stack) -> None:
    moved, there = stack.candidate(PYTHON), stack.candidate(PYTHON)
    webhook(stack, moved)
    assert stack.run_invite(sweep=False) == ["invite"]
    assert stack.run_invite() == [LEFT_ALONE]
    assert decision(stack, there) == (Action.HOLD, Reason.BEFORE_ACTIVATION)
    assert len(stack.world.mails) == 1


def test_to_adopt_takes_over_what_the_other_integration_sent_without_an_e_mail(stack: Stack) -> None:
    stack.settings = parse_settings(ADOPT + "public_url: https://airflow.example.com")
    there = stack.candidate(PYTHON, emails=["ann@example.com"])
    theirs = stack.imocha.invite(101, email="ann@example.com", name="Ann Example", send_email=True)
    stack.world.mails.clear()
    assert stack.run_invite() == ["adopt"]
    assert stack.world.mails == []
    invitation = stack.invitation()
    assert invitation.id == theirs.id
    assert "https://airflow.example.com/lever-imocha/webhooks/imocha/" in str(invitation.callback_url)
    assert decision(stack, there) == (Action.ADOPT, None)
    (known,) = stack.ledger.assessments.of(there)
    assert known.invitation_id == theirs.id
    assert stack.run_invite(full=True) == []
    stack.finish()
    assert stack.run_write_back() == ["written back and moved on"]


def test_an_attempt_that_has_ended_is_adopted_and_written_back(stack: Stack) -> None:
    stack.settings = parse_settings(ADOPT)
    stack.candidate(PYTHON, emails=["ann@example.com"])
    stack.imocha.invite(101, email="ann@example.com", name="Ann Example", send_email=False)
    stack.finish()
    assert stack.run_invite() == [f"ignore: {Reason.ALREADY_TAKEN}"]
    assert stack.world.mails == []
    assert stack.run_write_back() == ["written back and moved on"]


@pytest.mark.parametrize(("text", "done", "mails"), [(ADOPT, "adopt", 0), (INVITE, "invite", 1)])
def test_who_is_left_alone_is_decided_again_when_the_settings_change(
    stack: Stack, text: str, done: str, mails: int
) -> None:
    stack.candidate(PYTHON)
    stack.run_invite()
    stack.settings = parse_settings(text)
    assert stack.run_invite(full=True) == [done]
    assert len(stack.world.mails) == mails
    stack.settings = parse_settings(DEFAULT)
    assert stack.run_invite(full=True) in ([], [f"ignore: {Reason.ALREADY_HANDLED}"])
    assert len(stack.world.mails) == mails


@pytest.mark.parametrize(
    ("existing", "done", "mails"), [("leave", LEFT_ALONE, 0), ("adopt", "adopt", 0), ("invite", "invite", 1)]
)
@pytest.mark.parametrize("asks", ["tag", "rule"])
def test_a_stage_that_the_settings_name_later_mails_nobody_who_was_there(
    stack: Stack, existing: str, done: str, mails: int, asks: str
) -> None:
    tags = [PYTHON] if asks == "tag" else []
    stack.run_invite()
    there = stack.candidate(*tags, stage=LATER)
    webhook(stack, there)
    stack.run_invite()
    stack.settings = with_later_stage("" if tags else "tests: [101]", existing)
    assert stack.run_invite(full=True) == [done]
    assert len(stack.world.mails) == mails
    stack.candidate(*tags, stage=LATER)
    assert stack.run_invite() == ["invite"]
    assert stack.run_invite(full=True) == []
    assert len(stack.world.mails) == mails + 1


def test_who_came_since_the_last_sweep_into_a_stage_that_is_named_now_is_invited(stack: Stack) -> None:
    stack.run_invite()
    stack.candidate(PYTHON, stage=LATER)
    stack.settings = with_later_stage()
    assert stack.run_invite() == ["invite"]


def test_who_is_listed_late_in_a_stage_where_nobody_was_is_invited(stack: Stack) -> None:
    stack.settings = with_later_stage()
    stack.run_invite()
    came = datetime.now(UTC)
    stack.run_invite()
    late = stack.candidate(PYTHON, stage=LATER)
    stack.world.opportunities[late]["lastAdvancedAt"] = int(came.timestamp() * 1000)
    assert stack.run_invite(full=True) == ["invite"]


def test_a_tag_given_later_to_who_was_there_mails_nobody(stack: Stack) -> None:
    there = stack.candidate("Engineering")
    assert stack.run_invite() == [f"ignore: {Reason.NO_TAG}"]
    stack.world.opportunities[there]["tags"] = [PYTHON, SQL]
    assert stack.run_invite(full=True) == [LEFT_ALONE]
    assert stack.world.invitations == {}


@pytest.mark.parametrize("days", [1, -1])
def test_no_activation_is_recorded_by_a_wrong_clock(stack: Stack, days: int, sandbox_url: str, ledger_url: str) -> None:
    stack.candidate(PYTHON)
    use_clock(stack, timedelta(days=days), sandbox_url, ledger_url)
    with pytest.raises(ClockError, match=r"Our clock is 86\d+ s (ahead of|behind) Lever's.*time server"):
        stack.run_invite()
    assert stack.ledger.watermarks.get(ACTIVATED) is None
    use_clock(stack, timedelta(0), sandbox_url, ledger_url)
    assert stack.run_invite() == [LEFT_ALONE]
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]


def test_an_activation_that_is_still_to_come_is_corrected_by_the_next_sweep(stack: Stack) -> None:
    stack.run_invite()
    stack.ledger.watermarks.put(ACTIVATED, datetime.now(UTC) + timedelta(days=1))
    stack.run_invite()
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]


def test_a_clock_that_is_behind_for_a_while_makes_nobody_new(stack: Stack, sandbox_url: str, ledger_url: str) -> None:
    stack.candidate(PYTHON)
    use_clock(stack, timedelta(0), sandbox_url, ledger_url)
    assert stack.run_invite() == [LEFT_ALONE]
    for ahead in (timedelta(days=-1), timedelta(0)):
        use_clock(stack, ahead, sandbox_url, ledger_url)
        stack.candidate(PYTHON)
        assert stack.run_invite(full=True) == ["invite"]
    assert len(stack.world.mails) == 2


def test_who_is_put_off_by_a_clock_that_is_ahead_waits_no_longer_than_any_other(
    stack: Stack, sandbox_url: str, ledger_url: str
) -> None:
    stack.settings = parse_settings(INVITE)
    stack.run_invite()
    opportunity = stack.candidate(PYTHON)
    stack.fault(vendor="lever", method="GET", path_contains=f"opportunities/{opportunity}", status=500, times=TRIES)
    use_clock(stack, timedelta(days=365), sandbox_url, ledger_url)
    with pytest.raises(VendorDownError):
        stack.run_invite()
    use_clock(stack, timedelta(0), sandbox_url, ledger_url)
    assert stack.run_invite() == ["invite"]


def test_e_mails_counted_by_a_clock_that_was_ahead_hold_nobody_for_longer_than_an_hour(
    stack: Stack, sandbox_url: str, ledger_url: str
) -> None:
    stack.settings = parse_settings(INVITE + "limits: {per_hour: 1}\n")
    use_clock(stack, timedelta(0), sandbox_url, ledger_url)
    stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.mails SET at = at + interval '1 day'"))
    stack.run_invite(full=True)
    stack.candidate(PYTHON)
    use_clock(stack, timedelta(minutes=61), sandbox_url, ledger_url)
    assert stack.run_invite() == ["invite"]


@pytest.mark.parametrize("name", [SWEEP, FULL_SWEEP])
def test_after_a_clock_that_was_ahead_everybody_is_looked_at(stack: Stack, name: str) -> None:
    """It has looked for who came lately by its own time, and so found nobody."""
    stack.settings = parse_settings(INVITE)
    stack.run_invite()
    came = stack.candidate(PYTHON)
    early = datetime.now(UTC) - timedelta(hours=2)
    stack.world.opportunities[came].update(lastAdvancedAt=int(early.timestamp() * 1000), updatedAt=None)
    stack.ledger.watermarks.put(name, datetime.now(UTC) + timedelta(days=1))
    assert stack.run_invite() == ["invite"]
    assert stack.run_invite() == []


def test_nobody_counts_as_deleted_by_a_wrong_clock(stack: Stack, sandbox_url: str, ledger_url: str) -> None:
    stack.settings = parse_settings(INVITE)
    opportunity = stack.candidate(PYTHON)
    assert stack.run_invite() == ["invite"]
    stack.fault(vendor="lever", method="GET", path_contains=f"opportunities/{opportunity}", status=404, times=20)
    webhook(stack, opportunity, "candidateArchiveChange")
    assert stack.run_invite(sweep=False) == ["waits: not found in Lever"]
    use_clock(stack, timedelta(days=2), sandbox_url, ledger_url)
    assert stack.run_invite(sweep=False, force=True) == ["waits: not found in Lever"]
    assert stack.invitation().state == "Pending"
    use_clock(stack, timedelta(0), sandbox_url, ledger_url)
    with stack.ledger.transaction() as connection:
        connection.execute(text("UPDATE lever_imocha.opportunities SET missing_since = now() + interval '9 days'"))
    assert stack.run_invite(sweep=False, force=True) == ["waits: not found in Lever"]
    with stack.ledger.transaction() as connection:
        query = "SELECT missing_since <= now() FROM lever_imocha.opportunities"
        assert connection.execute(text(query)).scalar() is True
