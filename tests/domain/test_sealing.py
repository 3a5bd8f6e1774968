"""A link is opened by the private key of the browser that asked, and by nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lever_imocha.domain.imocha import Invitation
from lever_imocha.domain.sealing import checked_key, seal

from tests.support import KeyPair, in_base64

LINK = "https://test.imocha.io/IMInstructions?0123456789abcdef"


@pytest.mark.parametrize(("bits", "most"), [(3072, 318), (4096, 446)])
def test_the_private_key_opens_it_up_to_the_length_that_the_key_takes(bits: int, most: int) -> None:
    keys = KeyPair(bits)
    assert checked_key(keys.public) == keys.public
    for link in (LINK, "x" * most):
        sealed = seal(link, keys.public)
        assert keys.open(sealed) == link
        assert link not in sealed
    assert seal(LINK, keys.public) != seal(LINK, keys.public), "two of one link do not tell that it is one"
    with pytest.raises(ValueError, match=r"(?i)encrypt"):
        seal("x" * (most + 1), keys.public)
    with pytest.raises(ValueError, match=r"(?i)decrypt"):
        KeyPair(bits).open(seal(LINK, keys.public))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "base64"),
        ("no base64", "base64"),
        ("AAAA", "base64"),
        (in_base64(rsa.generate_private_key(65537, 2048)), "3072 to 4096 bits"),
        (in_base64(ec.generate_private_key(ec.SECP256R1())), "RSA key"),
        (in_base64(ed25519.Ed25519PrivateKey.generate()), "RSA key"),
    ],
    ids=[
        "empty",
        "no base64",
        "no key",
        "too short",
        "elliptic curve",
        "Edwards curve",
    ],  # keys are random, names may not be
)
def test_what_seals_nothing_is_no_key(key: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checked_key(key)


def test_the_answer_that_has_the_link_does_not_tell_it() -> None:
    invitation = Invitation.model_validate({"testInvitationId": 1, "testUrl": LINK})
    assert invitation.test_url is not None
    assert invitation.test_url.get_secret_value() == LINK
    told = f"{invitation!r} {invitation} {invitation.model_dump()} {invitation.model_dump_json()}"
    assert "IMInstructions" not in told
    for odd in (None, 7, ["x"], {"a": LINK}):
        assert Invitation.model_validate({"testInvitationId": 1, "testUrl": odd}).id == 1
