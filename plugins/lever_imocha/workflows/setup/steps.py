"""Does what was chosen at set-up. Each step looks first whether there is anything to do; doing it all again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from lever_imocha.errors import LedgerError, LedgerVersionError, LeverImochaError, NotPermittedError, SettingsError
from lever_imocha.ledger.cache import TRIED_KEY
from lever_imocha.ledger.database import upgrade
from lever_imocha.ledger.repository import Ledger
from lever_imocha.settings import Settings, parse_settings, read_text
from lever_imocha.workflows.doctor.checkup import examine
from lever_imocha.workflows.doctor.facts import Facts, UnknownFactError
from lever_imocha.workflows.doctor.findings import Finding, Level, error, of_level
from lever_imocha.workflows.doctor.machine import judged_ledger
from lever_imocha.workflows.doctor.messages import is_recent
from lever_imocha.workflows.doctor.permissions import (
    CREATE_TEMPLATE,
    CREATE_WEBHOOKS,
    DELETE_WEBHOOKS,
    LIST_WEBHOOKS,
    NOTHING,
    UPDATE_TEMPLATE,
    known_or_none,
    missing,
    needs_notes,
    tried,
)
from lever_imocha.workflows.doctor.writes import trigger_stages
from lever_imocha.workflows.form_templates import FormTemplates
from lever_imocha.workflows.preview import Preview
from lever_imocha.workflows.setup.activation_plan import ActivationPlan
from lever_imocha.workflows.setup.form import NOBODY, Answer, changes
from lever_imocha.workflows.setup.settings_file import Changes, described, may_write, with_changes, write
from lever_imocha.workflows.setup.webhooks import register_webhooks
from lever_imocha.workflows.sync_tags import SyncTagsWorkflow


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """What the set-up works with.

    :param facts: read after the answer was given.
    :param engine: of the ledger, which may not be migrated yet.
    :param path: of the settings file.
    :param key_mark: tells Lever's API key from another one.
    :param stored_tokens: webhook id -> signature token, of the webhooks that were made here.
    :param store_tokens: keeps them.
    :param other_tokens: whether signature tokens are stored elsewhere.
    :param make_callback_secret: makes the secret of callbacks' addresses and keeps it.
    """

    facts: Facts
    engine: Callable[[], Engine]
    path: Path
    key_mark: Callable[[], str]
    stored_tokens: Callable[[], Mapping[str, str]]
    store_tokens: Callable[[dict[str, str]], None]
    other_tokens: Callable[[], bool]
    make_callback_secret: Callable[[], None]

    def obstacles(self, answer: Answer) -> list[Finding]:
        """Return what has to be corrected before anything can be activated, with the settings as the answer makes them.

        What the set-up makes is left out. The permissions for writing are asked for on an opportunity that does not exist, or,
        where a posting is chosen, tried on the same candidate that carries new tags: once for a key, as a key cannot be
        changed; nothing is left there. When nothing else is wrong, the ledger's tables are made.

        :raises SettingsError: the settings file cannot be changed like this; one line for each reason.
        """
        try:
            facts = self.facts.with_settings(self._changed(answer)[2])
            unsaved = [] if may_write(self.path) else self.unsaved(answer)
        except UnknownFactError:
            facts, unsaved = self.facts, []  # one of its checks says why
        made = {"webhooks", "webhook tokens", "DAGs"}
        if isinstance(tried(facts.engine.outcome), LedgerVersionError):
            made.add("ledger")
        carrier = _carrier(facts, answer)
        trying = not self._was_tried(facts, carrier)
        found = examine(facts, ask_for_writes=trying, try_writes_on=carrier if trying else None)
        wrong = unsaved + [finding for finding in of_level(found, Level.ERROR) if finding.check not in made]
        if wrong:
            return wrong
        try:
            upgrade(self.engine())
            if trying:
                tried_key = {"key": self.key_mark(), "notes": needs_notes(facts), "on_candidate": carrier is not None}
                Ledger(engine=self.engine()).cache.put(TRIED_KEY, tried_key)
        except LedgerError as problem:
            return [replace(judged_ledger(problem), check="ledger")]
        return []

    def _was_tried(self, facts: Facts, carrier: str | None) -> bool:
        """Tell whether this key's permissions to write, as far as the settings need them, are known from an earlier try."""
        try:
            kept, notes = facts.ledger().cache.get(TRIED_KEY) or {}, needs_notes(facts)
        except (UnknownFactError, LeverImochaError):
            return False  # a check says why
        enough = kept.get("notes") or not notes, kept.get("on_candidate") or carrier is None
        return kept.get("key") == self.key_mark() and all(enough)

    def unsaved(self, answer: Answer) -> list[Finding]:
        """Return what was chosen and the settings file does not say here: the workflow would do something else."""
        wanted, text, _ = self._changed(answer)
        if text is None:
            return []
        found = error(
            f"{self.path}, as it is read here, does not say what was chosen",
            f"write into it, on each machine: {'; '.join(described(wanted))}; then start lever_imocha_setup again",
        )
        return [replace(found, check="settings file")]

    def plan(self, answer: Answer) -> ActivationPlan:
        """Return what the activation is going to do, by the settings as the answer makes them; nothing is written there.

        The ledger's tables are made first: what is known of candidates stands there.

        :raises LeverImochaError: the plan cannot be made.
        """
        upgrade(self.engine())
        ledger, (_, _, settings) = Ledger(engine=self.engine()), self._changed(answer)
        preview = Preview(
            lever=self.facts.lever(), imocha=self.facts.imocha(), ledger=ledger, settings=settings, hourly=False
        )
        return ActivationPlan(preview.expected(), settings, ledger.mails.sent_last_hour())

    def run(self, answer: Answer) -> Iterator[str]:
        """Do all steps.

        :return: what was made, a line each, and what is left to be done by hand.
        :raises LeverImochaError: a step failed; those before it are done, and doing it again goes on from there.
        """
        upgrade(self.engine())
        settings, lines = self._saved(answer)
        yield from lines
        yield from self._template(settings)
        yield from self._callback_secret()
        yield from self._webhooks(settings)
        yield from self._tags(settings, answer)

    def _saved(self, answer: Answer) -> tuple[Settings, list[str]]:
        wanted, text, settings = self._changed(answer)
        if text is None:
            return settings, []
        lines = described(wanted)
        if write(self.path, text):
            return settings, [f"{self.path.name}: {line}" for line in lines]
        return settings, [f"by hand: {self.path} cannot be written here; write into it: {line}" for line in lines]

    def _changed(self, answer: Answer) -> tuple[Changes, str | None, Settings]:
        """Return what changes in the settings file, its new text, None when it stays as it is, and what it then says."""
        try:
            wanted = changes(answer, self.facts, known_or_none(self.facts.settings))
        except KeyError:
            raise SettingsError(["what was chosen is not in Lever any more: run lever_imocha_setup again"]) from None
        before = read_text(self.path) if self.path.exists() else ""
        text = with_changes(before, wanted)
        return wanted, text if text != before else None, parse_settings(text, source=self.path.name)

    def _template(self, settings: Settings) -> Iterator[str]:
        templates = FormTemplates(self.facts.lever(), settings.write_back)
        before = {template.text for template in self.facts.templates()}
        ledger = Ledger(engine=self.engine())
        with ledger.account_lock("form templates"):
            try:
                ready = templates.prepare([rule.form_template for rule in settings.rules])
            except NotPermittedError as problem:
                lacking = UPDATE_TEMPLATE if problem.call == "update_form_template" else CREATE_TEMPLATE
                raise SettingsError([replace(missing(lacking), check="Lever permissions").line]) from None
        yield from (f"form template {name!r} is made" for name in ready if ready[name].text not in before)
        yield from (f"by hand: form_template: {problem}" for problem in templates.problems.values())

    def _callback_secret(self) -> Iterator[str]:
        if self.facts.sources.callback_secret() is None:
            self.make_callback_secret()
            yield "the callback secret is made and stored"

    def _webhooks(self, settings: Settings) -> Iterator[str]:
        if settings.public_url is None:
            yield "by hand: for webhooks, set public_url in the settings file and run lever_imocha_setup again"
            return
        lever, made = self.facts.lever(), list[str]()
        try:
            for line in register_webhooks(
                lever,
                settings.public_url,
                stored=self.stored_tokens(),
                others=self.other_tokens(),
                store=self.store_tokens,
                works=is_recent(Ledger(engine=self.engine()).deliveries.last("lever"), self.facts.now()),
            ):
                made.append(line)
                yield line
        except NotPermittedError as problem:
            lacking = missing(LIST_WEBHOOKS if problem.call == "list_webhooks" else CREATE_WEBHOOKS)
            yield f"by hand: {lacking.found} -> docs/setup.md, Webhooks by hand; or {lacking.fix}"
            return
        if made and isinstance(tried(partial(lever.delete_webhook, NOTHING)), NotPermittedError):
            lacking = missing(DELETE_WEBHOOKS)
            yield f"by hand: {lacking.found} -> {lacking.fix}"

    def _tags(self, settings: Settings, answer: Answer) -> Iterator[str]:
        if answer.posting == NOBODY:
            yield (
                "by hand: no posting was chosen, so what the API key may write was not tried on a candidate: run"
                " lever_imocha_doctor with Try writing on"
            )
            return
        carrier = _carrier(self.facts.with_settings(settings), answer)
        if carrier is None:
            yield (
                "by hand: the posting has no active candidate outside of the trigger stages, so that no tag could be made and"
                " writing not be tried: run lever_imocha_setup with another one"
            )
            return
        lever, imocha = self.facts.lever(), self.facts.imocha()
        sync = SyncTagsWorkflow(lever=lever, imocha=imocha, ledger=Ledger(engine=self.engine()), settings=settings)
        result = sync.sync(opportunity_id=carrier)
        yield from (f"tag {tag!r} is made" for tag in result.created)
        yield from (f"by hand: Lever refuses the tag {tag!r}" for tag in result.refused)


def _carrier(facts: Facts, answer: Answer) -> str | None:
    """Return the candidate on whom the tag sync would put new tags; None if no posting is chosen, or nobody is found."""
    if answer.posting == NOBODY:
        return None
    try:
        stages = trigger_stages(facts)
        listed = facts.lever().list_opportunities(posting_ids=[answer.posting], archived=False)
        return next((one.id for one in listed if one.stage and one.stage not in stages), None)
    except (UnknownFactError, LeverImochaError):
        return None  # a check says why
