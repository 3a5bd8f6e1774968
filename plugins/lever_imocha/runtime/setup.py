"""Gives the set-up its connections, and says at its end what is on and what is left to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lever_imocha.errors import listed
from lever_imocha.hooks.ledger import ledger_url
from lever_imocha.hooks.lever import LeverHook
from lever_imocha.hooks.stored_secrets import make_callback_secret, store_tokens, stored_tokens
from lever_imocha.ledger.database import engine_for
from lever_imocha.runtime.airflow_api import set_paused
from lever_imocha.runtime.doctor import facts_of, keep_and_tell, log_findings
from lever_imocha.settings import settings_path
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, of_level
from lever_imocha.workflows.doctor.machine import DAGS
from lever_imocha.workflows.setup.activation_plan import ActivationPlan
from lever_imocha.workflows.setup.form import FIRST_RULE, Answer, Dropdown, fields
from lever_imocha.workflows.setup.steps import SetUp

_MARKS = {Level.ERROR: "**error**", Level.WARNING: "warning"}


@dataclass(frozen=True)
class Form:
    """What a person is asked.

    :param text: the doctor's table, as Markdown.
    :param fields: none when Lever does not say what there is.
    """

    text: str
    fields: list[Dropdown]


def form_of(facts: Facts, *, before: Mapping[str, Any]) -> Form:
    """Look, and make the form.

    :param before: what was chosen in the run before, and `why` it was not done.
    """
    text = "\n\n".join(filter(None, (before.get("why"), _markdown(_examined(facts)))))
    try:
        return Form(
            text, [_as_before(field, before.get(field.name)) for field in fields(facts, before.get("rule", FIRST_RULE))]
        )
    except UnknownFactError as problem:
        return Form(f"{text}\n\nThere is nothing to choose from yet: {problem.what} cannot be read.", [])


def _examined(facts: Facts) -> list[Finding]:
    """Run the checks; whether the DAGs are paused is what the set-up ends with, and no finding."""
    return [finding for finding in examine(facts) if finding.check != "DAGs"]


def _as_before(field: Dropdown, chosen: str | None) -> Dropdown:
    return replace(field, default=chosen) if chosen in field.options else field


def _markdown(findings: Sequence[Finding]) -> str:
    wrong = of_level(findings, Level.ERROR) + of_level(findings, Level.WARNING)
    good = len(of_level(findings, Level.OK))
    rows = [f"| {_MARKS[one.level]} {one.check} | {_cell(one.found)} | {_cell(one.fix)} |" for one in wrong]
    table = ["| check | found | what to do |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([*table, f"{good} checks are well, {len(wrong)} not; all lines are in the log of `look`."])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def confirmation(plan: ActivationPlan) -> str:
    """Return the plan as Markdown, for the person who is about to activate it."""
    rows = [
        f"| {_cell(line.what)} | {_cell(line.why)} | {len(line.opportunity_ids)} | {_cell(listed(line.opportunity_ids))} |"
        for line in plan.lines
    ]
    return "\n".join(
        [
            "This is going to happen to everybody who is in the trigger stages now. Nothing is made or sent yet.",
            "",
            "| what | why | how many | opportunities |",
            "|---|---|---|---|",
            *rows,
            "",
            plan.pace,
        ]
    )


def set_up(lever_conn_id: str, imocha_conn_id: str) -> SetUp:
    """Return the set-up with its connections."""
    return SetUp(
        facts=facts_of(lever_conn_id=lever_conn_id, imocha_conn_id=imocha_conn_id),
        engine=lambda: engine_for(ledger_url()),
        path=settings_path(),
        key_mark=lambda: LeverHook(lever_conn_id).key_mark,
        stored_tokens=stored_tokens,
        store_tokens=store_tokens,
        other_tokens=lambda: bool(LeverHook(lever_conn_id).own_webhook_tokens),
        make_callback_secret=make_callback_secret,
    )


@dataclass
class Ending:
    """How a set-up ended.

    :param lines: what is on, what was made, what is left to do.
    :param wrong: why nothing was switched on.
    """

    lines: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def check(
    lever_conn_id: str,
    imocha_conn_id: str,
    *,
    paused: Callable[[], Mapping[str, bool]],
    activate: Answer | None,
    done: Sequence[str],
) -> Ending:
    """Look again, and switch the DAGs on if that was asked for and nothing is wrong.

    :param activate: what was chosen, where it is to be switched on.
    """
    facts = facts_of(lever_conn_id=lever_conn_id, imocha_conn_id=imocha_conn_id)
    findings = _examined(facts)
    log_findings(findings)
    wrong = of_level(findings, Level.ERROR)
    if activate and not wrong:
        wrong = set_up(lever_conn_id, imocha_conn_id).unsaved(activate)
    made = [f"made: {line}" for line in done if not line.startswith("by hand: ")]
    ending = Ending(
        [*(made or ["made: nothing, all was there"]), *(line for line in done if line.startswith("by hand: "))]
    )
    ending.lines += [f"by hand: {one.found} -> {one.fix}" for one in of_level(findings, Level.WARNING)]
    if wrong:
        ending.wrong = [finding.line for finding in wrong]
    elif activate:
        ending.lines.append(_switched_on(paused()))
    keep_and_tell(findings, facts)
    return ending


def _switched_on(paused: Mapping[str, bool]) -> str:
    """Switch the DAGs on; before 3.3 Airflow does not say which are off."""
    off = [dag for dag in DAGS if paused.get(dag, True)]
    if not off or set_paused(off, paused=False):
        return f"on: {', '.join(DAGS)}"
    return f"by hand: Airflow, Dags: switch on {', '.join(off)}"
