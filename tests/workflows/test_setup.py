"""The set-up against the sandbox: what can be chosen, what is made, and that doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lever_imocha.domain.decisions import Action, Reason
from lever_imocha.domain.forms import our_fields
from lever_imocha.errors import SettingsError
from lever_imocha.ledger.database import check_schema, engine_for
from lever_imocha.ledger.repository import Ledger
from lever_imocha.ledger.values import NewDelivery
from lever_imocha.settings import load_settings, read_text
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.facts import Facts, Sources, UnknownFactError
from lever_imocha.workflows.doctor.findings import Level, of_level
from lever_imocha.workflows.doctor.permissions import NOTHING
from lever_imocha.workflows.setup.deactivation import Deactivation
from lever_imocha.workflows.setup.form import NEW_RULE, Answer, fields
from lever_imocha.workflows.setup.settings_file import with_changes
from lever_imocha.workflows.setup.steps import SetUp
from lever_imocha.workflows.setup.webhooks import register_webhooks
from sqlalchemy import make_url

from dev import postgres
from include.sandbox.world import Fault
from tests.clients.conftest import lever_client, serve_answers
from tests.support import PYTHON
from tests.workflows.conftest import Stack

HOOKS = "http://127.0.0.1:9"
SHIPPED = Path(__file__).parents[2] / "include" / "lever_imocha.yaml"


@dataclass
class Installation:
    """A new installation: the settings file as it comes, a ledger without tables, an account without anything of ours."""

    stack: Stack
    path: Path
    url: str
    tokens: dict[str, str] = field(default_factory=dict)
    other_tokens: bool = False
    key: str = "first"
    secrets: list[str] = field(default_factory=list)

    @property
    def world(self) -> Any:
        return self.stack.world

    def facts(self) -> Facts:
        return Facts(
            Sources(
                settings=lambda: load_settings(self.path),
                settings_text=lambda: read_text(self.path),
                settings_changed=lambda: None,
                lever=lambda: self.stack.lever,
                imocha=lambda: self.stack.imocha,
                ledger=self._ledger,
                webhook_tokens=lambda: list(self.tokens.values()),
                callback_secret=lambda: next(iter(self.secrets), None),
                clocks=dict,
                paused=dict,
                reach=lambda _url: None,
                notifier_problem=lambda _settings: None,
            )
        )

    def _ledger(self) -> Any:
        engine = engine_for(self.url)
        check_schema(engine)
        return engine

    def answer(self, **given: str) -> Answer:
        chosen = {field.name: field.default for field in fields(self.facts(), given.get("rule", "0"))}
        return Answer.read(chosen | given)

    def set_up(self) -> SetUp:
        return SetUp(
            facts=self.facts(),
            engine=lambda: engine_for(self.url),
            path=self.path,
            key_mark=lambda: self.key,
            stored_tokens=lambda: self.tokens,
            store_tokens=lambda tokens: self.tokens.update(tokens),
            other_tokens=lambda: self.other_tokens,
            make_callback_secret=lambda: self.secrets.append("made-once"),
        )

    def run(self, answer: Answer) -> list[str]:
        return list(self.set_up().run(answer))

    def with_settings(self, old: str, new: str) -> None:
        """Change the settings file."""
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def started(self, *, later: timedelta = timedelta(0)) -> Stack:
        """The workflow as it runs after the set-up, some time later."""
        self.stack.clock = lambda: datetime.now(UTC) + later
        self.stack.settings = load_settings(self.path)
        self.stack.ledger = Ledger(engine=engine_for(self.url), clock=self.stack.clock)
        return self.stack

    def obstacles(self, **given: str) -> list[str]:
        return [finding.check for finding in self.set_up().obstacles(self.answer(**given))]

    def deactivation(self) -> Deactivation:
        def store(tokens: dict[str, str]) -> None:
            self.tokens = tokens

        return Deactivation(facts=self.facts(), stored_tokens=lambda: self.tokens, store_tokens=store)


@pytest.fixture
def new(stack: Stack, tmp_path: Path, postgres_url: str, request: pytest.FixtureRequest) -> Installation:
    path = tmp_path / "lever_imocha.yaml"
    path.write_text(SHIPPED.read_text().replace("# public_url: https://hooks.example.com  ", f"public_url: {HOOKS}"))
    return Installation(stack, path, postgres.create_database(postgres_url, f"setup{abs(hash(request.node.name))}"))


def test_a_new_installation_is_made_whole_and_again_nothing_changes(new: Installation) -> None:
    new.stack.candidate(stage="Offer", applications=[{"id": "a", "posting": new.world.postings[0]["id"]}])
    assert lines_of(new, "ledger: error")
    answer = new.answer(posting=new.world.postings[0]["id"])
    done = new.run(answer)
    assert [line for line in done if line.startswith("by hand")] == []
    assert [template["text"] for template in new.world.templates.values()] == ["iMocha Assessment"]
    assert {webhook["event"] for webhook in new.world.webhooks.entries} == {
        "candidateStageChange", "candidateArchiveChange", "candidateHired", "candidateDeleted",
    }  # fmt: skip
    assert new.tokens == {webhook["id"]: webhook["token"] for webhook in new.world.webhooks.entries}
    assert new.secrets == ["made-once"]
    assert f"tag {PYTHON!r} is made" in done
    assert of_level(examine(new.facts()), Level.ERROR) == []
    before, calls = new.path.read_text(), len(new.stack.writes())
    new.world.switches["unseen_tags_vanish"] = False
    assert new.run(answer) == []
    assert (new.path.read_text(), len(new.stack.writes())) == (before, calls)


def test_a_webhook_whose_signature_token_does_not_come_has_none_stored() -> None:
    """Everybody knows what an empty one signs."""
    kept: list[dict[str, str]] = []
    for vendor in serve_answers():
        vendor.says({"data": []}, *({"data": {"id": f"w{number}", "event": "e"}} for number in range(4)))
        lever = lever_client(vendor.url)
        lines = list(register_webhooks(lever, HOOKS, stored={}, others=False, store=kept.append))
    assert [line.startswith("by hand: Lever gave no signature token") for line in lines] == [True] * 4
    assert kept == []


def test_nothing_is_activated_that_the_settings_file_does_not_say(new: Installation) -> None:
    answer = new.answer(existing="invite")
    (found,) = new.set_up().unsaved(answer)
    assert "write into it, on each machine: activation.existing: invite; then start" in found.line
    assert new.set_up().obstacles(answer) == []
    new.run(answer)
    assert new.set_up().unsaved(answer) == []
    new.path = new.path.parent / "gone" / "lever_imocha.yaml"
    (found,) = new.set_up().obstacles(answer)
    assert found.line.startswith("settings file: error: ")
    assert "activation.existing: invite" in found.fix
    assert "by hand" in new.run(answer)[0]


def test_what_a_key_may_write_is_tried_once_for_a_key(new: Installation) -> None:
    carrier = new.stack.candidate(stage="Offer", applications=[{"id": "a", "posting": new.world.postings[0]["id"]}])
    answer = new.answer(posting=new.world.postings[0]["id"])

    def tries() -> int:
        assert new.set_up().obstacles(answer) == []
        return sum(carrier in write for write in new.stack.writes())

    tried = tries()
    assert tried > 0
    assert tries() == tried
    new.key = "another"
    assert tries() == 2 * tried


def test_without_a_posting_writes_are_asked_for_once_and_only_of_nothing(new: Installation) -> None:
    for _ in range(2):
        assert new.set_up().obstacles(new.answer(posting="none")) == []
    writes = new.stack.writes()
    assert writes
    assert [write for write in writes if NOTHING not in write] == []
    assert len(set(writes)) == len(writes)


def test_a_role_that_may_not_make_the_tables_comes_back_before_anything_is_made(
    new: Installation, postgres_url: str
) -> None:
    stranger = make_url(postgres.create_database(postgres_url, "stranger")).username
    new.url = make_url(new.url).set(username=stranger).render_as_string(hide_password=False)
    (found,) = new.set_up().obstacles(new.answer())
    assert found.line.startswith("ledger: error: The role of the connection lever_imocha_ledger may not use")


def lines_of(new: Installation, part: str) -> list[str]:
    return [finding.line for finding in examine(new.facts()) if part in finding.line]


def test_what_is_offered_is_what_is_in_the_account(new: Installation) -> None:
    new.world.stages.append({"id": "second", "text": "Assessment"})
    offered = {field.name: field for field in fields(new.facts())}
    stages = offered["trigger_stage"].options
    assert stages["second"] == "Assessment [second]"
    assert stages["offer"] == "Offer"
    assert list(offered["acting_user"].options.values()) == ["people-ops@example.com"]
    assert offered["acting_user"].default == new.world.users[0]["id"]
    assert offered["form_template"].options == {"new": "create: iMocha Assessment"}
    assert offered["existing"].default == "leave"
    assert offered["told"].default == "both"


def test_which_of_two_stages_of_one_name_is_meant_a_person_chooses(new: Installation) -> None:
    new.world.stages.append({"id": "second", "text": "Assessment"})
    assert {field.name: field for field in fields(new.facts())}["trigger_stage"].default is None


@pytest.mark.parametrize(
    ("written", "there", "options", "chosen"),
    [
        ("Skills report", [], ["create: Skills report"], "new"),
        ("iMocha Assesment", ["iMocha Assessment"], ["iMocha Assessment"], None),
        ("Skills report", ["iMocha Assessment"], ["create: Skills report", "iMocha Assessment"], "new"),
        ("iMocha Assessment", ["iMocha Assessment"], ["iMocha Assessment"], "t0"),
    ],
)
def test_a_form_template_is_made_only_where_it_is_not_there(
    new: Installation, written: str, there: list[str], options: list[str], chosen: str | None
) -> None:
    new.with_settings("form_template: iMocha Assessment", f"form_template: {written}")
    for place, name in enumerate(there):
        new.world.templates[f"t{place}"] = {"id": f"t{place}", "text": name, "fields": our_fields()}
    offered = {field.name: field for field in fields(new.facts())}["form_template"]
    assert (list(offered.options.values()), offered.default) == (options, chosen)
    if chosen:
        before = new.path.read_text()
        new.run(new.answer())
        assert new.path.read_text() == before
        assert sorted(one["text"] for one in new.world.templates.values()) == sorted({written, *there})


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"# \xe9"), lambda path: (path.unlink(), path.mkdir())]
)
def test_a_settings_file_that_cannot_be_read_is_said(new: Installation, spoil: Callable[[Path], object]) -> None:
    answer = new.answer()
    spoil(new.path)
    with pytest.raises(SettingsError, match=r"is not UTF-8|cannot be read"):
        new.set_up().obstacles(answer)


def test_what_was_chosen_is_written_and_all_comments_stay(new: Installation) -> None:
    new.world.stages.append({"id": "second", "text": "Offer"})
    before = new.path.read_text().splitlines()
    done = new.run(new.answer(trigger_stage="second", completed_stage="applicant-new", existing="adopt"))
    after = new.path.read_text().splitlines()
    changed = [(old, now) for old, now in zip(before, after, strict=True) if old != now]
    assert changed == [
        ("  - trigger_stage: Assessment", "  - trigger_stage: second"),
        ("    completed_stage: Assessment Complete", "    completed_stage: New applicant"),
        ("  existing: leave", "  existing: adopt"),
    ]
    assert "lever_imocha.yaml: activation.existing: adopt" in done


@pytest.mark.parametrize(
    ("existing", "mails", "invitations"), [("leave", [0, 0, 0], 0), ("adopt", [0, 0, 0], 5), ("invite", [2, 4, 5], 5)]
)
def test_the_activation_does_what_was_planned(
    new: Installation, existing: str, mails: list[int], invitations: int
) -> None:
    new.with_settings("per_hour: 200", "per_hour: 2")
    new.with_settings("skip_origins: []", "skip_origins: [internal]")
    screen = "Recruiter screen"
    for _ in range(5):
        new.stack.candidate(PYTHON, stage=screen)
    new.stack.candidate("iMocha: Gone [999]", stage=screen)
    new.stack.candidate(PYTHON, stage=screen, emails=[])
    new.stack.candidate(PYTHON, stage=screen, origin="internal")
    new.stack.candidate(stage=screen)
    new.stack.candidate(PYTHON, stage="Assessment")
    before, answer = new.path.read_text(), new.answer(trigger_stage=new.world.stage_id(screen), existing=existing)
    plan = new.set_up().plan(answer)
    assert sum(len(line.opportunity_ids) for line in plan.lines) == 9
    assert new.stack.writes() == []
    assert new.path.read_text() == before
    new.run(answer)
    for hour, sent in enumerate(mails):
        stack = new.started(later=timedelta(hours=hour))
        stack.run_invite()
        assert len(new.world.mails) == sent
    assert len(new.world.invitations) == invitations
    decided = {Action.INVITE: "invite", Action.ADOPT: "adopt", Action.HOLD: "hold", Action.IGNORE: "leave alone"}
    for line in plan.lines:
        for opportunity in line.opportunity_ids:
            entry = stack.ledger.entries.last(opportunity)
            assert entry is not None
            assert entry.decision is not None
            assert line.what.startswith(decided[entry.decision])
            why = ", ".join(filter(None, (entry.reason, entry.detail)))
            assert line.why == (why or "test 101")
    addresses = {new.world.opportunities[one]["emails"][0] for one in plan.reached}
    assert {one.email for one in new.world.invitations.values()} == addresses


@pytest.mark.parametrize("existing", ["leave", "adopt", "invite"])
def test_what_is_done_about_mixed_people_is_what_the_plan_said(new: Installation, existing: str) -> None:
    screen, first = "Recruiter screen", new.world.postings[0]["id"]
    new.world.postings.append(new.world.postings[0] | {"id": "other", "text": "Office Manager"})
    plain: dict[str, Any] = {"stage": screen, "applications": [{"id": "a", "posting": first}]}
    by_other_integration = new.stack.candidate(PYTHON, **plain, emails=["hosted@example.com"])
    new.stack.imocha.invite(101, email="hosted@example.com", name="Ann", send_email=False)
    person: dict[str, Any] = {"emails": ["two@example.com"], "contact": "c-two"}
    people = {
        "invited by iMocha's own integration": by_other_integration,
        "tag without a number": new.stack.candidate("iMocha: Python Developer", **plain),
        "confidential": new.stack.candidate(PYTHON, **plain, confidentiality="confidential"),
        "of another posting": new.stack.candidate(
            PYTHON, stage=screen, applications=[{"id": "b", "posting": "other"}], **person
        ),
        "the same person": new.stack.candidate(PYTHON, **plain, **person),
        "no address": new.stack.candidate(PYTHON, **plain, emails=[]),
        "archived": new.stack.candidate(PYTHON, **plain),
    }
    new.world.archive(people["archived"], "Withdrew")
    answer = new.answer(trigger_stage=new.world.stage_id(screen), existing=existing, only_posting=first)
    plan = new.set_up().plan(answer)
    planned = {one: line.what.partition(":")[0] for line in plan.lines for one in line.opportunity_ids}
    assert {*planned} == {*people.values()} - {people["archived"]}
    new.run(answer)
    done, mails = new.run(answer), len(new.world.mails)
    assert [line for line in done if not line.startswith("by hand")] == []
    stack = new.started()
    stack.run_invite()
    words = {
        Action.INVITE: "invite",
        Action.ADOPT: "adopt the invitation",
        Action.HOLD: "hold",
        Action.IGNORE: "leave alone",
    }
    for who, opportunity in people.items():
        entry = stack.ledger.entries.last(opportunity)
        decided = words[entry.decision] if entry and entry.decision else None
        assert decided == planned.get(opportunity), (who, decided, planned)
    sent = {new.world.invitations[mail["invitation"]].email for mail in new.world.mails[mails:]}
    reached = {new.world.opportunities[one]["emails"][0] for one in plan.reached}
    assert sent == (reached if existing == "invite" else set())
    stack.run_invite()
    assert len(new.world.mails) - mails == len(sent)


HANDLED = f"ignore: {Reason.ALREADY_HANDLED}"
LEFT = "hold: was in the stage before the settings asked for a test"


def test_the_plan_says_how_fast_and_nobody_is_no_plan(new: Installation) -> None:
    answer = new.answer(existing="invite")
    assert new.set_up().plan(answer).expected == []
    for _ in range(5):
        new.stack.candidate(PYTHON)
    plan = new.set_up().plan(answer)
    assert plan.pace.startswith("E-mails: 5. 5 of them go out in the first hour: limits.per_hour is 200;")
    new.with_settings("per_hour: 200", "per_hour: 2")
    plan = new.set_up().plan(answer)
    assert plan.pace.startswith(
        "E-mails: 5. 2 of them go out in the first hour, the rest in the next 2 hours: limits.per_hour is 2;"
    )
    assert len(plan.reached) == 5
    assert new.set_up().plan(new.answer(existing="leave")).pace == "Nobody gets an e-mail."


def test_whoever_has_had_no_e_mail_is_stopped_by_leaving_them_alone(
    new: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    new.with_settings("per_hour: 200", "per_hour: 2")
    for _ in range(5):
        new.stack.candidate(PYTHON)
    new.run(new.answer(existing="invite"))
    new.started().run_invite()
    new.started().run_invite()
    assert (
        "of those in the stage before the activation, 2 of 5 are invited or adopted; 3 wait for their turn"
        in caplog.text
    )
    new.run(new.answer(existing="leave"))
    assert set(new.started(later=timedelta(hours=9)).run_invite(full=True)) == {LEFT, HANDLED}
    assert len(new.world.mails) == 2
    assert new.stack.ledger.entries.of_activation() is None


SECOND = "  - {trigger_stage: Offer, completed_stage: New lead, postings: [Python Engineer], delay: 60}  # ours\n"


def lists(new: Installation, rule: str) -> dict[str, str | None]:
    return {field.name: field.default for field in fields(new.facts(), rule)}


def test_the_form_is_about_the_rule_that_was_chosen_and_changes_no_other(new: Installation) -> None:
    new.with_settings("\nwrite_back:", f"{SECOND}\nwrite_back:")
    offered = {field.name: field for field in fields(new.facts(), "1")}
    assert offered["rule"].options == {
        "0": "rules[0]: Assessment, all postings", "1": "rules[1]: Offer, Python Engineer", "new": "a new rule",
    }  # fmt: skip
    assert (offered["rule"].default, offered["trigger_stage"].default) == ("1", "offer")
    assert offered["only_posting"].options["same"] == "as it is: Python Engineer"
    assert lists(new, "0")["trigger_stage"] == new.world.stage_id("Assessment")
    before = new.path.read_text().splitlines()
    done = new.run(new.answer(rule="1", completed_stage="applicant-new", only_posting="all"))
    assert {
        "lever_imocha.yaml: rules[1].completed_stage: New applicant",
        "lever_imocha.yaml: rules[1].postings: []",
    } <= {*done}
    after = new.path.read_text().splitlines()
    assert [" ".join(now.split()) for old, now in zip(before, after, strict=True) if old != now] == [
        "- {trigger_stage: Offer, completed_stage: New applicant, postings: [], delay: 60} # ours",
    ]


def test_a_new_rule_is_added_once_and_where_it_counts(new: Installation) -> None:
    first, posting = load_settings(new.path).rules[0], new.world.postings[0]
    before = new.path.read_text()
    assert lists(new, NEW_RULE)["trigger_stage"] is None
    of_posting = new.answer(rule=NEW_RULE, trigger_stage=new.world.stage_id("Assessment"), only_posting=posting["id"])
    assert not [finding for finding in new.set_up().obstacles(of_posting) if finding.check == "stages, postings"]
    for _ in range(2):
        new.run(of_posting)
        assert load_settings(new.path).rules[1:] == (first,)
    of_stage = new.answer(rule=NEW_RULE, trigger_stage="offer", only_posting=posting["id"])
    for _ in range(2):
        new.run(of_stage)
    for_all = new.answer(rule=NEW_RULE, trigger_stage="offer")
    for _ in range(2):
        new.run(for_all)
    assert [(rule.trigger_stage, rule.postings) for rule in load_settings(new.path).rules] == [
        ("Assessment", (posting["text"],)), ("Assessment", ()), ("Offer", (posting["text"],)), ("Offer", ()),
    ]  # fmt: skip
    assert [line for line in before.splitlines() if line not in new.path.read_text().splitlines()] == []


def test_a_rule_that_is_gone_meanwhile_is_not_written(new: Installation) -> None:
    with pytest.raises(SettingsError, match="is not in Lever any more"):
        new.run(new.answer().model_copy(update={"rule": "1"}))


def test_a_file_that_cannot_be_written_is_said_and_the_rest_is_made(new: Installation) -> None:
    directory = new.path.parent / "not-there"
    new.path, before = directory / "lever_imocha.yaml", new.path
    done = new.run(new.answer(acting_user=new.world.users[0]["id"]))
    assert before.exists()
    assert not directory.exists()
    assert any(
        line.startswith("by hand:") and "perform_as: (the e-mail address of the user you chose)" in line
        for line in done
    )
    assert not any("people-ops" in line for line in done)
    assert new.world.templates


def test_a_file_with_mistakes_is_not_touched(new: Installation) -> None:
    new.path.write_text("perform_as: people-ops@example.com\nrules: [\n")
    answer = new.answer(completed_stage="offer", acting_user=new.world.users[0]["id"])
    with pytest.raises(SettingsError, match="is not YAML; correct it first"):
        new.run(answer)
    assert new.path.read_text().endswith("rules: [\n")


def test_what_was_not_chosen_is_named() -> None:
    with pytest.raises(SettingsError, match="choose a value for: trigger_stage, acting_user"):
        Answer.read({"trigger_stage": None, "completed_stage": "offer", "form_template": "new"})
    with pytest.raises(SettingsError, match="the completed stage must differ"):
        Answer.read(dict.fromkeys(("trigger_stage", "completed_stage", "form_template", "acting_user"), "x"))


def test_a_stage_that_was_deleted_meanwhile_is_not_written(new: Installation) -> None:
    with pytest.raises(SettingsError, match="is not in Lever any more"):
        new.run(new.answer(trigger_stage="gone"))


def test_a_webhook_whose_token_was_lost_is_made_anew(new: Installation) -> None:
    new.run(new.answer())
    ids = [webhook["id"] for webhook in new.world.webhooks.entries]
    lost = ids[0]
    del new.tokens[lost]
    new.run(new.answer())
    assert [webhook["id"] for webhook in new.world.webhooks.entries if webhook["id"] in ids] == ids[1:]
    assert len(new.world.webhooks.entries) == 4
    assert {webhook["id"] for webhook in new.world.webhooks.entries} <= set(new.tokens)


OURS = {"event": "candidateHired", "url": f"{HOOKS}/lever-imocha/webhooks/lever"}


def twice(new: Installation) -> tuple[list[str], list[str]]:
    """Have one of our webhooks there three times; return the ids of all others, and of the surplus ones."""
    new.run(new.answer())
    for other in (
        OURS | {"url": "https://else.example.com/lever-imocha/webhooks/lever"},
        OURS | {"event": "contactCreated"},
    ):
        new.world.webhooks.register(other, token="t" * 20)
    kept = [webhook["id"] for webhook in new.world.webhooks.entries]
    surplus = [new.world.webhooks.register(OURS, token="t" * 20)["id"] for _ in range(2)]
    return kept, surplus


def accepted(new: Installation, *, ago: timedelta) -> None:
    ledger = Ledger(engine=engine_for(new.url), clock=lambda: datetime.now(UTC) - ago)
    ledger.deliveries.record(NewDelivery(vendor="lever", key="1", event="candidateHired", handled=True))


def ids(new: Installation) -> list[str]:
    return [webhook["id"] for webhook in new.world.webhooks.entries]


def test_a_webhook_that_is_there_twice_is_deleted_but_for_the_one_that_works(new: Installation) -> None:
    kept, surplus = twice(new)
    new.other_tokens = True
    accepted(new, ago=timedelta(hours=1))
    assert "lever_imocha_setup, Save only or Activate" in "".join(lines_of(new, "webhooks: warning"))
    tokens = dict(new.tokens)
    done = new.run(new.answer())
    assert [line for line in done if "was there twice" in line] == [
        "the webhook 'Candidate hired' was there twice: the one whose signature token is stored stays,"
        f" {webhook_id} is deleted"
        for webhook_id in surplus
    ]
    assert (ids(new), new.tokens) == (kept, tokens)
    assert "twice" not in str(new.run(new.answer()))


@pytest.mark.parametrize("why", ["nothing came lately", "two tokens are stored", "no token is stored"])
def test_where_it_is_not_clear_which_webhook_works_all_are_left(new: Installation, why: str) -> None:
    kept, surplus = twice(new)
    new.other_tokens = True
    accepted(new, ago=timedelta(days=2) if why == "nothing came lately" else timedelta(hours=1))
    if why == "two tokens are stored":
        new.tokens[surplus[0]] = "t" * 20
    if why == "no token is stored":
        new.tokens.clear()
    new.run(new.answer())
    assert ids(new) == [*kept, *surplus]


def test_a_surplus_webhook_that_was_made_on_lever_s_page_is_left_to_a_person(new: Installation) -> None:
    kept, surplus = twice(new)
    accepted(new, ago=timedelta(hours=1))
    new.world.faults.append(Fault(vendor="lever", method="DELETE", path_contains=surplus[0], status=403))
    assert "by hand: the webhook 'Candidate hired' is there twice" in "\n".join(new.run(new.answer()))
    assert ids(new) == [*kept, surplus[0]]


def test_webhooks_whose_tokens_are_stored_elsewhere_and_those_of_others_are_left_alone(new: Installation) -> None:
    for url in (f"{HOOKS}/lever-imocha/webhooks/lever", "https://else.example.com/hook"):
        new.world.webhooks.register({"event": "candidateStageChange", "url": url}, token="t" * 20)
    there = [webhook["id"] for webhook in new.world.webhooks.entries]
    new.other_tokens = True
    new.run(new.answer())
    assert [webhook["id"] for webhook in new.world.webhooks.entries][:2] == there
    assert len(new.world.webhooks.entries) == 5


@pytest.mark.parametrize(
    ("label", "line"),
    [
        (
            "create webhooks",
            "by hand: the API key lacks the box for creating webhooks (Write): webhooks are registered by",
        ),
        (
            "list webhooks",
            "by hand: the API key lacks the box for listing webhooks (List): webhooks are registered by hand",
        ),
    ],
)
def test_a_key_that_may_not_make_webhooks_leaves_them_to_a_person(new: Installation, label: str, line: str) -> None:
    new.world.lacking_permissions.add(label)
    assert any(done.startswith(line) for done in new.run(new.answer()))


def test_nothing_is_offered_while_lever_does_not_answer(new: Installation) -> None:
    new.world.lever_key = "another"
    with pytest.raises(UnknownFactError):
        fields(new.facts())


def test_what_the_set_up_cannot_solve_blocks_the_activation(new: Installation) -> None:
    assert new.obstacles() == []
    new.world.lacking_permissions.add("Find all tags")
    assert new.obstacles() == ["Lever permissions"]


def test_what_a_person_wants_recruiters_to_see_is_written(new: Installation) -> None:
    new.run(new.answer(told="tag"))
    explain = load_settings(new.path).explain
    assert (explain.status_tags, explain.notes) == (True, False)
    assert {field.name: field.default for field in fields(new.facts())}["told"] == "tag"


def test_deactivating_deletes_our_webhooks_only_and_names_whose_invitations_are_open(new: Installation) -> None:
    other = {"event": "candidateHired", "url": "https://else.example.com/hook"}
    new.world.webhooks.register(other, token="t" * 20)
    new.run(new.answer())
    new.world.webhooks.register({"event": "candidateHired", "url": f"{HOOKS}/lever-imocha/webhooks/lever"}, token="")
    assert "No invitation is open." in new.deactivation().text
    done = list(new.deactivation().delete_webhooks())
    assert [webhook["url"] for webhook in new.world.webhooks.entries] == [other["url"]]
    assert len(done) == 5
    assert new.tokens == {}
    assert list(new.deactivation().delete_webhooks()) == []
    new.world.lacking_permissions.add("list webhooks")
    (line,) = new.deactivation().delete_webhooks()
    assert line.startswith("by hand: Lever, Settings > Integrations and API > Webhooks: delete")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "perform_as: a@example.com\nrules:\n  - trigger_stage: A\n"),
        (
            "# mine\nperform_as: b@example.com  # why\n",
            "# mine\nperform_as: a@example.com  # why\nrules:\n  - trigger_stage: A\n",
        ),
    ],
)
def test_keys_that_are_missing_are_added(before: str, after: str) -> None:
    assert with_changes(before, {("perform_as",): "a@example.com", ("rules", 0, "trigger_stage"): "A"}) == after


def test_beside_a_new_rule_the_one_of_the_defaults_stays() -> None:
    after = with_changes("perform_as: a@example.com\n", {("rules", 1): {"trigger_stage": "A"}})
    assert after == "perform_as: a@example.com\nrules:\n  - {}\n  - trigger_stage: A\n"


def test_what_stands_behind_a_list_stays() -> None:
    before = "perform_as: a@example.com\nrules:\n  - postings: []  # all\n    tags: []\n"
    after = with_changes(before, {("rules", 0, "postings"): ["A, B"]})
    assert after == before.replace("[]  # all", "    # all\n      - A, B")


def test_a_posting_without_a_candidate_is_said_and_makes_no_tags(new: Installation) -> None:
    done = new.run(new.answer(posting=new.world.postings[0]["id"]))
    assert done[-1].startswith("by hand: the posting has no active candidate outside of the trigger stages")
    assert len(new.world.webhooks.entries) == 4


def test_deactivating_names_whose_invitations_are_open(stack: Stack, new: Installation, ledger_url: str) -> None:
    opportunity = stack.candidate(PYTHON)
    stack.run_invite()
    new.url = ledger_url
    assert f"1 candidates have an open invitation, whose result will not be written to Lever: {opportunity}." in (
        new.deactivation().text
    )
    stack.finish()
    stack.run_write_back()
    assert new.deactivation().open_invitations() == "No invitation is open."
