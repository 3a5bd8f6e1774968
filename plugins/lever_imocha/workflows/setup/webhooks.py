"""Registers Lever's webhooks, and deletes them: each is looked up before, and its signature token is stored at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.lever import WEBHOOK_EVENTS, Webhook
from lever_imocha.domain.signatures import webhook_url
from lever_imocha.errors import VendorRefusedError


def register_webhooks(
    lever: LeverClient,
    public_url: str,
    *,
    stored: Mapping[str, str],
    others: bool,
    store: Callable[[dict[str, str]], None],
    works: bool = False,
) -> Iterator[str]:
    """Make sure that Lever sends each event that is acted on, once, and that its signature token is stored.

    A token is shown once, when the webhook is made (lever.md 11.1). A webhook of ours without one is made anew, unless
    tokens are stored elsewhere, of which one may be its. Beside the only one that was made here, others that lead to the
    same address for the same event tell each move again: they are deleted while webhooks work.

    :param stored: webhook id -> signature token, of those that were made here.
    :param others: whether other signature tokens are stored.
    :param works: a delivery of Lever was accepted lately.
    :param store: keeps the tokens of all that were made here.
    :return: what was done, a line each; nothing when all was there.
    """
    url, tokens = webhook_url(public_url), dict(stored)
    ours: dict[str, list[Webhook]] = {}
    for webhook in lever.list_webhooks().whole():
        if webhook.url.rstrip("/") == url:
            ours.setdefault(webhook.event, []).append(webhook)
    for event, shown in WEBHOOK_EVENTS.items():
        there = ours.get(event, [])
        made_here = [webhook for webhook in there if webhook.id in tokens]
        if works and len(made_here) == 1:
            yield from _without_surplus(lever, [webhook for webhook in there if webhook.id not in tokens], shown)
        if made_here or (there and others):
            continue
        try:
            for webhook in there:
                lever.delete_webhook(webhook.id)
        except VendorRefusedError:
            yield f"by hand: the webhook {shown!r} cannot be made anew: copy its signature token from Lever's page Webhooks"
            continue
        made = lever.create_webhook(url=url, event=event)
        yield _kept(made, shown, tokens, store)


def _kept(made: Webhook, shown: str, tokens: dict[str, str], store: Callable[[dict[str, str]], None]) -> str:
    if made.signature_token is None:  # everybody knows what an empty one signs
        return (
            f"by hand: Lever gave no signature token for the webhook {shown!r}: copy it from Lever's page into the Lever"
            " connection's extra webhook_tokens"
        )
    tokens[made.id] = made.signature_token
    store(tokens)
    return f"the webhook {shown!r} is registered and its signature token stored"


def _without_surplus(lever: LeverClient, surplus: Sequence[Webhook], shown: str) -> Iterator[str]:
    for webhook in surplus:
        try:
            lever.delete_webhook(webhook.id)
            yield f"the webhook {shown!r} was there twice: the one whose signature token is stored stays, {webhook.id} is deleted"
        except VendorRefusedError:
            yield f"by hand: the webhook {shown!r} is there twice: on Lever's page, delete the one that was made there"


def delete_webhooks(
    lever: LeverClient, public_url: str | None, *, stored: Mapping[str, str], store: Callable[[dict[str, str]], None]
) -> Iterator[str]:
    """Delete the webhooks that lead to our address or were made here, and forget their signature tokens.

    :param stored: webhook id -> signature token, of those that were made here.
    :param store: keeps the tokens that are left.
    :return: what was done, a line each; nothing when there are none.
    """
    url, tokens = webhook_url(public_url) if public_url else None, dict(stored)
    for webhook in list(lever.list_webhooks()):
        if webhook.id in stored or webhook.url.rstrip("/") == url:
            lever.delete_webhook(webhook.id)
            if tokens.pop(webhook.id, None):
                store(tokens)
            yield f"the webhook {WEBHOOK_EVENTS.get(webhook.event, webhook.event)!r} is deleted"
