"""Names become ids for one call: what somebody writes in a DAG is looked up in Lever."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.forms import FormTemplate
from lever_imocha.domain.names import Named, find_id, is_uuid
from lever_imocha.errors import SettingsError


class LeverNames:
    """Finds what a name or an id means. An id in Lever's usual form, a UUID, is taken as it is, without a call.

    :param lever: reads the lists.
    """

    def __init__(self, lever: LeverClient) -> None:
        self._lever = lever

    def stage_id(self, name: str) -> str:
        """Return a stage's id.

        :raises SettingsError: Lever has no such stage, or several of this name.
        """
        return self._found(name, self._lever.list_stages, "stage")

    def posting_id(self, name: str) -> str:
        """Return a posting's id.

        :raises SettingsError: Lever has no such posting, or several of this name.
        """
        return self._found(name, self._lever.list_postings, "posting")

    def template(self, name: str) -> FormTemplate:
        """Return a form template with its fields.

        :raises SettingsError: Lever has no such template, or several of this name.
        """
        return self._lever.get_form_template(self._found(name, self._lever.list_form_templates, "template"))

    def user_id(self, name: str) -> str:
        """Return the id of an active user, named by e-mail address.

        :raises SettingsError: no active user has this address.
        """
        if "@" not in name:
            return name
        user = self._lever.find_user(name)
        if user is None:
            raise SettingsError(["perform_as: no active Lever user has this e-mail address; name one who has"])
        return user.id

    @staticmethod
    def _found(name: str, read: Callable[[], Iterable[Named]], key: str) -> str:
        return name if is_uuid(name) else find_id(name, list(read()), key=key)
