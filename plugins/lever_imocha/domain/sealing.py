"""Seals a candidate's test link for one browser: only its private key, which never leaves it, opens it."""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

_LEAST_BITS, _MOST_BITS = 3072, 4096
_PADDING = OAEP(mgf=MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)


def checked_key(public_key: str) -> str:
    """Return a public key as it was given.

    :param public_key: SubjectPublicKeyInfo in base64.
    :raises ValueError: nothing can be sealed with it, or not safely.
    """
    _read(public_key)
    return public_key


def seal(link: str, public_key: str) -> str:
    """Return a link as RSA-OAEP with SHA-256 has it, in base64.

    :raises ValueError: it is longer than the key takes: 318 bytes for 3072 bits, 446 for 4096.
    """
    return b64encode(_read(public_key).encrypt(link.encode(), _PADDING)).decode()


def _read(public_key: str) -> RSAPublicKey:
    try:
        key = load_der_public_key(b64decode(public_key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("a public key is given as SubjectPublicKeyInfo in base64") from None
    if not isinstance(key, RSAPublicKey) or not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise ValueError(f"the key has to be an RSA key of {_LEAST_BITS} to {_MOST_BITS} bits")
    return key
