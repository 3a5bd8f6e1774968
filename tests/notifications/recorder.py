"""A notifier such as any provider's: made with arguments, some of them templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier


class Recorder(BaseNotifier):
    """Adds the message to a file, a line each.

    :param fail: refuse instead, as a service that is down.
    """

    template_fields = ("text",)

    def __init__(self, *, path: str, text: str, fail: bool = False) -> None:
        super().__init__()
        self.path, self.text, self.fail = path, text, fail

    def notify(self, context: Any) -> None:
        if self.fail:
            raise ConnectionError("down")
        with Path(self.path).open("a") as file:
            file.write(f"{self.text}\n")
