"""Checks of what the vendors send: Lever's webhooks and iMocha's callbacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from croniter import croniter

from lever_imocha.domain.lever import WEBHOOK_EVENTS, Origin, Webhook
from lever_imocha.domain.signatures import webhook_url
from lever_imocha.errors import NotPermittedError, SettingsError
from lever_imocha.ledger.cache import REFUSED
from lever_imocha.settings import settings_path
from lever_imocha.workflows.doctor.facts import Facts
from lever_imocha.workflows.doctor.findings import Finding, error, ok, unknown, warning
from lever_imocha.workflows.doctor.permissions import LIST_WEBHOOKS, known_or_none, missing, tried

_PAGE = "Lever, Settings > Integrations and API > Webhooks"
_TOKENS = "Airflow, Connections > lever_default > Webhook signature tokens"
_SECRET = "Airflow, Connections > imocha_default > Callback secret"
_OTHER_TOKEN = (
    f"for a webhook that was made on Lever's page: {_TOKENS}: copy its token there from Lever; for those of lever_imocha_setup: give"
    " the receivers the tokens that Airflow has (docs/setup.md), or run lever_imocha_deactivate, and then lever_imocha_setup"
)
_OTHER_SECRET = (
    f"give the receivers the secret that Airflow has (docs/setup.md), which is in {_SECRET}, or else what lever_imocha_setup"
    " has stored; if it was changed, nothing: the sweep finds how the invitations end that were open then"
)
_IMOCHA = ".imocha.io"
_OWN_PATH = urlsplit(webhook_url("")).path
_DAY = timedelta(days=1)
_SLOW = "candidates are invited minutes later, when the sweep finds them"


def ours(webhooks: Sequence[Webhook], public_url: str | None) -> list[Webhook]:
    """Return those that lead to our address, or, while that is not known, to a receiver like ours; others use Lever, too."""
    if public_url is None:
        return [webhook for webhook in webhooks if urlsplit(webhook.url.rstrip("/")).path.endswith(_OWN_PATH)]
    return [webhook for webhook in webhooks if webhook.url.rstrip("/") == webhook_url(public_url)]


def judged_registered(webhooks: Sequence[Webhook], public_url: str | None, told: bool) -> Iterator[Finding]:
    """Say whether Lever is to send the events that are acted on, and to us.

    :param told: a delivery came in the last day; webhooks made on Lever's page may not be listed (lever.md 11.1).
    """
    if public_url is None:
        fix = f"{settings_path()}: set public_url to the receivers' address as the internet sees it"
        if ours(webhooks, None) or told:
            yield warning("public_url is not set: the webhooks' address is not known here", fix)
        else:
            yield warning(f"there are no webhooks: {_SLOW}", f"{fix}, then run lever_imocha_setup")
        return
    there = {webhook.event for webhook in ours(webhooks, public_url)}
    lacking = [shown for event, shown in WEBHOOK_EVENTS.items() if event not in there]
    some = {origin for one in ours(webhooks, public_url) for origin in one.origins if len(one.origins) < len(Origin)}
    if some:
        yield warning(
            f"a webhook of Lever tells only of candidates whose origin is {', '.join(sorted(some))}; others: {_SLOW}",
            f"{_PAGE}: give it all origins; or delete it, and run lever_imocha_setup",
        )
    elif not lacking:
        yield ok("Lever's webhooks are registered for our address")
    elif not there and told:
        yield ok("Lever sends webhooks")
    else:
        elsewhere = sorted({urlsplit(webhook.url).netloc for webhook in webhooks if webhook.event not in there})
        other = f"; there are some for {', '.join(elsewhere)}" if elsewhere else ""
        yield warning(
            f"no webhook of Lever for {', '.join(lacking)} leads to {webhook_url(public_url)}{other}: {_SLOW}",
            f"run lever_imocha_setup, or {_PAGE}: add them with this address",
        )


def judged_others(webhooks: Sequence[Webhook], public_url: str | None) -> Iterator[Finding]:
    """Say which webhooks let a move be acted on twice: one that is there twice, one of another installation."""
    own = webhook_url(public_url) if public_url else ""
    counted = Counter(webhook.event for webhook in webhooks if webhook.url.rstrip("/") == own)
    twice = [WEBHOOK_EVENTS.get(event, event) for event, number in counted.items() if number > 1]
    if twice:
        yield warning(
            f"more than one webhook of Lever for {', '.join(twice)} leads to {own}: each move is told more than once",
            "lever_imocha_setup, Save only or Activate, keeps the one whose signature token it has stored and deletes the others;"
            " those that were made on Lever's page are deleted there; where it has no token, or two, run"
            " lever_imocha_deactivate first",
        )
    for address in sorted({webhook.url.rstrip("/") for webhook in webhooks} - {own}):
        host, path = urlsplit(address).hostname or "", urlsplit(address).path
        if host.endswith(_IMOCHA):
            yield warning(
                f"a webhook of Lever leads to iMocha's own integration ({host}), which invites, too",
                f"{_PAGE}: delete it (docs/setup.md, Coming from iMocha's own integration)",
            )
        elif own and path.endswith(_OWN_PATH):
            yield warning(
                f"a webhook of Lever leads to {host}: an old address, or another installation that invites, too",
                f"if nothing else is to use it, {_PAGE}: delete it",
            )


def is_recent(at: datetime | None, now: datetime) -> bool:
    """Tell whether something happened in the last day."""
    return at is not None and now - at < _DAY


def judged_tokens(tokens: Collection[str], *, registered: bool) -> Finding:
    """Say whether deliveries can be checked: a token is shown once, when its webhook is made (lever.md 11.1)."""
    if tokens:
        return ok(f"{len(tokens)} webhook signature tokens are stored")
    if not registered:
        return unknown("there are no webhooks, so no signature token is needed")
    return error(
        "no webhook signature token is stored: every delivery of Lever is refused",
        f"{_PAGE}: copy each webhook's signature token to {_TOKENS}; for those that lever_imocha_setup made, run it again",
    )


def judged_last(
    vendor: str, last: datetime | None, refused: tuple[datetime, str] | None, now: datetime, *, registered: bool
) -> Finding:
    """Say what the last deliveries of a vendor tell.

    :param last: when one was accepted.
    :param refused: when one was refused, and why.
    """
    if refused and now - refused[0] < _DAY and (last is None or refused[0] > last):
        remedy = _OTHER_TOKEN if vendor == "Lever" else _OTHER_SECRET
        since = f"the last good one came at {last:%Y-%m-%d %H:%M} UTC" if last else "none was ever accepted"
        # No more than a warning: whoever knows the address can send what is refused.
        return warning(f"deliveries in the name of {vendor} are refused: {refused[1]}; {since}", remedy)
    if last is not None:
        return ok(f"the last delivery of {vendor} came at {last:%Y-%m-%d %H:%M} UTC")
    if not registered:
        return unknown(f"nothing of {vendor} was received, as nothing is registered")
    if vendor == "Lever":
        return warning(
            "no webhook of Lever was ever received",
            f"{_PAGE}: a Super Admin switches each event on there; then press Verify, and move a candidate",
        )
    return unknown("no callback of iMocha was ever received")


def _told(facts: Facts) -> bool:
    """Tell whether a webhook of Lever came in the last day."""
    return is_recent(known_or_none(lambda: facts.ledger().deliveries.last("lever")), facts.now())


def check_webhooks(facts: Facts) -> Iterator[Finding]:
    """Look at the registered webhooks and their tokens."""
    told, settings = _told(facts), known_or_none(facts.settings)
    if isinstance(tried(facts.webhooks.outcome), NotPermittedError):
        if settings and settings.public_url and not told:
            yield missing(LIST_WEBHOOKS)
        else:
            yield unknown("which webhooks are registered: the API key has no box for listing them", f"look at {_PAGE}")
        return
    settings, webhooks = facts.settings(), facts.webhooks()
    yield from judged_registered(webhooks, settings.public_url, told)
    yield from judged_others(webhooks, settings.public_url)


def longest_pause(schedule: str, now: datetime) -> timedelta:
    """Return the longest time between two points of a cron expression in the next year; no less than a day."""
    longest, at = _DAY, now
    while at < now + timedelta(days=366):
        last = croniter(schedule, at + _DAY).get_prev(datetime)
        following = croniter(schedule, last).get_next(datetime)
        longest, at = max(longest, following - last), following
    return longest


def check_sweeps(facts: Facts) -> Iterator[Finding]:
    """Look at how long a move stays unseen that no webhook tells of."""
    schedule = facts.settings().poll.schedule
    pause = longest_pause(schedule, facts.now())
    if pause > _DAY and not _registered(facts) and not _told(facts):
        yield warning(
            f"poll.schedule: {schedule!r} lets up to {pause / _DAY:.0f} days pass between two sweeps, and no webhook is"
            " known: who is moved in the meantime waits as long",
            f"{settings_path()}: write '*/5 * * * *'; or run lever_imocha_setup, which makes webhooks",
        )
    else:
        yield ok(f"Lever is swept at {schedule!r}")


def check_tokens(facts: Facts) -> Iterator[Finding]:
    """Look at the stored signature tokens."""
    facts.lever()  # what is wrong with the whole connection is said once
    try:
        tokens = facts.webhook_tokens.outcome()
    except SettingsError as problem:
        yield from (error(line, f"{_TOKENS}: correct it") for line in problem.problems)
        return
    yield judged_tokens(tokens, registered=_registered(facts))


def _registered(facts: Facts) -> bool:
    """Tell whether Lever is to send something to us."""
    settings = known_or_none(facts.settings)
    return bool(ours(known_or_none(facts.webhooks) or (), settings.public_url if settings else None))


def check_deliveries(facts: Facts) -> Iterator[Finding]:
    """Look at what came last from both vendors, and at what was refused."""
    ledger, settings = facts.ledger(), facts.settings()
    for vendor, expected in (("Lever", _registered(facts)), ("iMocha", settings.public_url is not None)):
        kept = ledger.cache.get(f"{REFUSED}.{vendor.lower()}")
        refused = (datetime.fromisoformat(kept["at"]), str(kept["why"])) if kept else None
        last = ledger.deliveries.last(vendor.lower())
        yield judged_last(vendor, last, refused, facts.now(), registered=expected)


def judged_callbacks(public_url: str | None, secret: str | None) -> Finding:
    """Say whether iMocha is told where to call back."""
    if public_url and secret:
        return ok("iMocha is told where to call back")
    if public_url:
        return warning(
            "no callback secret is stored: iMocha is not told where to call back, and reports come a minute later",
            f"run lever_imocha_setup, which makes one; or {_SECRET}: put a random text of at least 16 characters",
        )
    return unknown("public_url is not set, so iMocha is not told where to call back: reports come a minute later")


def check_callbacks(facts: Facts) -> Iterator[Finding]:
    """Look at what callbacks need."""
    facts.imocha()  # what is wrong with the whole connection is said once
    try:
        secret = facts.callback_secret.outcome()
    except SettingsError as problem:
        yield from (error(line, f"{_SECRET}: correct it") for line in problem.problems)
        return
    yield judged_callbacks(facts.settings().public_url, secret)


def check_notifier(facts: Facts) -> Iterator[Finding]:
    """Look whether the notifier that alerts go through can be made."""
    settings = facts.settings()
    problem = facts.sources.notifier_problem(settings)
    if problem:
        yield warning(f"{problem}: nobody is told of what goes wrong", f"{settings_path()}: correct it")
    else:
        yield ok(
            f"alerts go through {settings.alerts.notifier}" if settings.alerts.notifier else "no notifier is named"
        )


def check_address(facts: Facts) -> Iterator[Finding]:
    """Ask our own address as the vendors see it; from here, which is not quite the same."""
    public_url = facts.settings().public_url
    if public_url is None:
        yield unknown("public_url is not set, so there is no address to ask")
        return
    problem = facts.sources.reach(webhook_url(public_url))
    if problem:
        yield warning(
            f"{webhook_url(public_url)}, asked from here: {problem}",
            "start the receivers and let the proxy pass their two paths (docs/webhooks.md); or correct public_url",
        )
    else:
        yield ok(f"{webhook_url(public_url)} answers, asked from here")
