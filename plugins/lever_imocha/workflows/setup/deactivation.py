"""The other side of the set-up: what is switched off, and who still has an invitation by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lever_imocha.errors import LeverImochaError, listed
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.machine import DAGS
from lever_imocha.workflows.doctor.permissions import known_or_none
from lever_imocha.workflows.setup.webhooks import delete_webhooks

STOPPED = tuple(dag for dag in DAGS if dag != "lever_imocha_retention")
"""What is switched off. `lever_imocha_retention` goes on: what is no longer to be kept is removed all the same."""


@dataclass(frozen=True, kw_only=True)
class Deactivation:
    """What a deactivation works with.

    :param stored_tokens: webhook id -> signature token, of the webhooks that the set-up has made.
    :param store_tokens: keeps them.
    """

    facts: Facts
    stored_tokens: Callable[[], Mapping[str, str]]
    store_tokens: Callable[[dict[str, str]], None]

    @property
    def text(self) -> str:
        """What is going to happen, as Markdown."""
        return "\n".join(
            [
                "- In Lever, the webhooks of this installation are deleted.",
                f"- {', '.join(STOPPED)} are switched off. lever_imocha_retention stays on and removes what is no longer"
                " to be kept.",
                "- Nothing is changed about candidates, and no e-mail is sent. Settings, ledger and form template stay:"
                " lever_imocha_setup switches all on again.",
                f"- {self.open_invitations()}",
            ]
        )

    def open_invitations(self) -> str:
        """Say which candidates can still begin a test; nothing comes back to Lever while all is off."""
        ledger = known_or_none(self.facts.ledger)
        if ledger is None:
            return "Whose invitations are open is not known: the ledger cannot be used."
        found = list(ledger.assessments.with_open_invitation())
        if not found:
            return "No invitation is open."
        return (
            f"{len(found)} candidates have an open invitation, whose result will not be written to Lever: {listed(found)}."
            " Wait until they are done, or cancel at iMocha; Tests > People in Airflow shows all of them."
        )

    def delete_webhooks(self) -> Iterator[str]:
        """Delete the webhooks of this installation, and forget their signature tokens.

        :return: what was done, a line each, and what is left to be done by hand.
        """
        settings = known_or_none(self.facts.settings)
        try:
            yield from delete_webhooks(
                self.facts.lever.outcome(),
                settings.public_url if settings else None,
                stored=self.stored_tokens(),
                store=self.store_tokens,
            )
        except LeverImochaError as problem:
            yield (
                "by hand: Lever, Settings > Integrations and API > Webhooks: delete those of this installation"
                f" ({problem.public_message})"
            )
