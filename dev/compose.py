"""Reads compose.yaml: which secrets it needs, and its services as processes of this machine."""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILE = ROOT / "compose.yaml"
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<text>[^}]*))?\})")


def new_secrets() -> dict[str, str]:
    """Return a new value for every variable that compose.yaml requires: letters, digits, "-" and "_"."""
    required = {found["name"] for found in _VARIABLE.finditer(FILE.read_text()) if found["kind"] == "?"}
    return {name: _fernet_key() if name == "FERNET_KEY" else secrets.token_urlsafe(32) for name in sorted(required)}


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Service:
    """One service of compose.yaml as a process.

    :param health: the command of its health check.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]


class Compose:
    """compose.yaml, with values for its variables, and with places of this machine for those of its containers.

    :param values: variable -> value.
    :param places: text -> its replacement, in commands and environments; the first one first.
    """

    def __init__(self, values: Mapping[str, str], places: Mapping[str, str]) -> None:
        import yaml  # not needed, and may not be there, where secrets are made

        self._values, self._places = values, places
        self._content = yaml.safe_load(FILE.read_text())

    def config(self, name: str) -> str:
        """Return the content of a configuration file."""
        return self._text(self._content["configs"][name]["content"])

    def service(self, name: str) -> Service:
        """Return a service; as the image does, `airflow` runs what is neither `bash` nor `python`."""
        given = self._content["services"][name]
        words = given.get("entrypoint") or given.get("command", [])
        words = shlex.split(words) if isinstance(words, str) else list(words)
        if given.get("image") == "lever-imocha" and words[0] not in ("bash", "python"):
            words = ["airflow", *words]
        environment = {key: self._text(value) for key, value in given.get("environment", {}).items()}
        return Service(name, [self._text(word) for word in words], environment, self._health(given))

    def _health(self, given: Mapping[str, Any]) -> list[str]:
        kind, *words = given.get("healthcheck", {}).get("test", ["NONE"])
        words = [self._text(word) for word in words]
        return ["sh", "-c", *words] if kind == "CMD-SHELL" else words

    def _text(self, text: str) -> str:
        for place, ours in self._places.items():
            text = text.replace(place, ours)
        return _VARIABLE.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        return self._values.get(found["name"]) or (found["text"] if found["kind"] == "-" else "")


def main() -> None:
    """Run ``python -m dev.compose``: write the file ``.env`` beside compose.yaml, unless there is one."""
    path = ROOT / ".env"
    if path.exists():
        sys.exit(f"{path} is there already: new passwords would not fit the databases that were made with the old ones")
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in new_secrets().items()))
    sys.stdout.write(f"{path} has new passwords and keys; ADMIN_PASSWORD is that of the user admin. Keep a copy.\n")


if __name__ == "__main__":
    main()
