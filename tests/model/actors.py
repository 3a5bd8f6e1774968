"""Recruiters, candidates, and the post: what they do, in the vendors' systems and in the model alike."""

from __future__ import annotations

from collections.abc import Callable

from lever_imocha.domain.acts import Act
from lever_imocha.ledger.values import NewDelivery

from tests.model.harness import SECOND, Harness
from tests.model.model import ENDED, TRIGGER, Candidate
from tests.support import PYTHON, SQL

TAGS = {101: PYTHON, 102: SQL, 999: "iMocha: Forgotten [999]"}
EMAILS = ("ann@example.com", "bob@example.com", "cid@example.com", "dee@example.com")


class Actors:
    """Each deed is done to the `who`-th opportunity, or not at all when it makes no sense."""

    def __init__(self, harness: Harness) -> None:
        self._scene, self._town = harness, harness.world

    def add(self, email: str | None, tests: tuple[int, ...], stage: str) -> None:
        """Somebody applies."""
        emails = [email] if email else []
        added = self._town.add_opportunity(stage=stage, name="N", emails=emails, tags=[TAGS[test] for test in tests])
        self._scene.keys.append(added["id"])
        wants = frozenset(tests) - {999}
        self._scene.model.add(added["id"], Candidate(email=email, wants=wants, held=999 in tests), stage)
        self._town.announce("candidateStageChange", added)

    def do(self, action: str, who: int) -> None:
        """One deed, a second later than the one before."""
        self._town.shift += SECOND
        self._town.expire()
        self._scene.see(answered=True)
        if self._scene.keys:
            ACTIONS[action](self, self._scene.keys[who % len(self._scene.keys)], who)

    def _person(self, key: str) -> Candidate:
        return self._scene.model.people[key]

    def _move(self, key: str, stage: str) -> None:
        if not self._person(key).left and self._person(key).stage != stage:
            self._town.move(key, stage)
            self._scene.model.enter(key, stage)

    def enter(self, key: str, _who: int) -> None:
        """Into the trigger stage."""
        self._move(key, TRIGGER)

    def move_out(self, key: str, who: int) -> None:
        """To another stage, the completed one included."""
        self._move(key, ("Recruiter screen", "Offer", "Assessment Complete")[who % 3])

    def archive(self, key: str, _who: int) -> None:
        """Rejected."""
        if not self._person(key).left:
            self._town.archive(key, "Withdrew")
            self._scene.model.leave(key, "archived")

    def take_back(self, key: str, _who: int) -> None:
        """Un-archived."""
        if self._person(key).left == "archived":
            self._town.archive(key, None)
            self._scene.model.return_(key)

    def delete(self, key: str, _who: int) -> None:
        """Deleted for good."""
        if self._person(key).left != "deleted":
            self._town.delete(key)
            self._scene.model.leave(key, "deleted")

    def correct(self, key: str, who: int) -> None:
        """An address for who has none, a known tag for one that is not, or one more test."""
        person = self._person(key)
        if person.left:
            return
        email, wants = person.email or EMAILS[who % 4], person.wants | {101 + who % 2}
        self._town.opportunities[key].update(emails=[email], tags=[TAGS[test] for test in sorted(wants)])
        self._scene.model.correct(key, email, wants)

    def change_link(self, _key: str, who: int) -> None:
        """The Default link's settings."""
        link = self._town.links[101 + who % 2]
        link["invitationSchedule"]["scheduleDetails"]["invitationValidityInDays"] = 1 + who

    def start(self, key: str, _who: int) -> None:
        """The candidate begins every test there is."""
        for invitation in self._town.invitations.values():
            if invitation.email == self._person(key).email and invitation.state == "Pending":
                invitation.state = "In Progress"
                invitation.attempted_on = invitation.changed_at = self._town.now()
                self._tell(invitation.state, invitation.id)

    def finish(self, key: str, who: int) -> None:
        """The candidate ends the first open test; the report may take a while."""
        for invitation in self._town.invitations.values():
            if invitation.email == self._person(key).email and invitation.state in ("Pending", "In Progress"):
                self._town.finish(invitation, ENDED[who % 3], ready=who % 4 != 3)
                return self._tell(invitation.state, invitation.id)
        return None

    def make_reports(self, _key: str, _who: int) -> None:
        """iMocha makes what reports are missing."""
        for invitation in self._town.invitations.values():
            if not invitation.report_ready:
                invitation.report_ready = True
                self._tell(invitation.state, invitation.id)

    def expire(self, key: str, _who: int) -> None:
        """The invitations' time is over."""
        for invitation in self._town.invitations.values():
            if invitation.email == self._person(key).email and invitation.state == "Pending":
                invitation.state, invitation.changed_at = "Expired", self._town.now()

    def ask(self, key: str, who: int) -> None:
        """Somebody asks on the console that the candidate is looked at again, or sent the e-mail again."""
        act = (Act.LOOK_AGAIN, Act.SEND_AGAIN)[who % 2]
        self._scene.ledger.requests.add(act, {key: "invited"}, reason="asked for", actor="bob")
        if act is Act.SEND_AGAIN:
            self._scene.model.allow_mail(key)

    def change_settings(self, _key: str, _who: int) -> None:
        """The rule is taken out of the settings, or put back."""
        self._scene.change_settings()

    def _tell(self, state: str, invitation_id: int) -> None:
        self._scene.callbacks.append((state, invitation_id))

    def deliver(self, vendor: str, back: int) -> None:
        """The post brings a message: a new one, an old one, one it has brought before; what it never brings is lost."""
        told = self._town.announced if vendor == "lever" else self._scene.callbacks
        if not told:
            return
        number = max(0, len(told) - 1 - back)
        event, about = told[number]
        key = f"{vendor} {number}"
        if vendor == "lever":
            delivery = NewDelivery(vendor=vendor, key=key, event=event, opportunity_id=str(about))
        else:
            delivery = NewDelivery(
                vendor=vendor, key=key, event=event, invitation_id=int(about), handled=event == "In Progress"
            )
        self._scene.ledger.deliveries.record(delivery)


ACTIONS: dict[str, Callable[[Actors, str, int], None]] = {
    action.__name__: action
    for action in (
        Actors.enter, Actors.move_out, Actors.archive, Actors.take_back, Actors.delete, Actors.correct,
        Actors.change_link, Actors.start, Actors.finish, Actors.make_reports, Actors.expire,
        Actors.ask, Actors.change_settings,
    )
}  # fmt: skip
