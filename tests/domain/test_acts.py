"""What a person can ask for about one test, and whom nobody sends an e-mail whoever asks."""

from __future__ import annotations

import pytest
from lever_imocha.domain.acts import Act, address_check, is_possible, same_address
from lever_imocha.domain.imocha import AttemptStatus

CAN_BEGIN = {AttemptStatus.PENDING, AttemptStatus.UNKNOWN}
ENDED = {AttemptStatus.COMPLETE, AttemptStatus.TEST_LEFT, AttemptStatus.TERMINATED}


@pytest.mark.parametrize(
    ("act", "statuses"),
    [
        (Act.CANCEL, CAN_BEGIN),
        (Act.EXTEND, CAN_BEGIN),
        (Act.CORRECT_ADDRESS, CAN_BEGIN | {AttemptStatus.CANCELLED, AttemptStatus.EXPIRED}),
        (Act.REATTEMPT, ENDED),
        (Act.WRITE_AGAIN, ENDED),
    ],
)
def test_an_act_is_possible_where_the_attempt_lets_it(act: Act, statuses: set[AttemptStatus]) -> None:
    assert act.is_of_test
    assert {status for status in AttemptStatus if is_possible(act, status, written=True)} == statuses
    assert {status for status in AttemptStatus if is_possible(act, status, written=False)} == statuses - ENDED
    assert not is_possible(act, None, written=True)


def test_an_address_is_the_same_in_other_capitals() -> None:
    assert same_address("Ann@Example.com ", "ann@example.com")
    assert not same_address("ann@example.com", "anne@example.com")
    assert address_check("Ann@Example.com ") == address_check("ann@example.com") < 256


def test_that_an_address_is_another_one_shows_nearly_always() -> None:
    checks = [address_check(f"ann{number}@example.com") for number in range(1000)]
    assert checks.count(address_check("bob@example.com")) < 20
