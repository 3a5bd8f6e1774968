"""A write whose answer is lost: sent again where that changes nothing, else looked up first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lever_imocha.errors import OutcomeUnknownError, VendorDownError
from lever_imocha.workflows.idempotency import create_once, send_until_answered

CALL: dict[str, Any] = {"vendor": "Lever", "call": "create_note"}


class Vendor:
    """Makes things; some answers are lost, and what was sent then was made or not."""

    def __init__(self, *answers: str | Exception, made: bool = True) -> None:
        self.answers, self.made = list(answers), made
        self.things: list[str] = []
        self.looked = 0

    def make(self) -> str:
        answer = self.answers.pop(0)
        if self.made or isinstance(answer, str):
            self.things.append("thing")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def find(self) -> str | None:
        self.looked += 1
        return self.things[0] if self.things else None


def lost() -> OutcomeUnknownError:
    return OutcomeUnknownError(**CALL)


def once(vendor: Vendor, slept: list[float], *, look_first: bool = False) -> Callable[[], str]:
    return lambda: create_once(vendor.make, vendor.find, look_first=look_first, sleep=slept.append)


def test_what_was_made_although_the_answer_was_lost_is_found() -> None:
    vendor, slept = Vendor(lost()), list[float]()
    assert once(vendor, slept)() == "thing"
    assert (vendor.things, vendor.looked, slept) == (["thing"], 1, [1])


def test_what_was_not_made_is_made_again() -> None:
    vendor, slept = Vendor(lost(), lost(), "id", made=False), list[float]()
    assert once(vendor, slept)() == "id"
    assert (vendor.things, vendor.looked, slept) == (["thing"], 2, [1, 1])


@pytest.mark.parametrize("there", [True, False])
def test_what_may_be_there_already_is_looked_for_first(there: bool) -> None:
    vendor = Vendor("id")
    vendor.things += ["thing"] * there
    assert once(vendor, [], look_first=True)() == ("thing" if there else "id")
    assert len(vendor.things) == 1


@pytest.mark.parametrize(
    ("answers", "error", "waits"), [([lost(), lost(), lost(), "id"], OutcomeUnknownError, 2),
                                    ([VendorDownError(**CALL), "id"], VendorDownError, 0)],
)  # fmt: skip
def test_after_three_lost_answers_and_after_any_other_error_it_ends(
    answers: list[str | Exception], error: type[Exception], waits: int
) -> None:
    vendor, slept = Vendor(*answers, made=False), list[float]()
    with pytest.raises(error):
        once(vendor, slept)()
    assert vendor.answers == ["id"]
    assert len(slept) == waits


def test_a_call_that_may_be_repeated_is() -> None:
    vendor, slept = Vendor(lost(), "id"), list[float]()
    assert send_until_answered(vendor.make, sleep=slept.append) == "id"
    assert (len(vendor.things), slept) == (2, [1])
