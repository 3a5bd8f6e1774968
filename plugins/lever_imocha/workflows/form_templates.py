"""The form templates of the settings: found in Lever, checked, and where the settings allow it created or completed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cached_property

from lever_imocha.clients.lever import LeverClient
from lever_imocha.domain.forms import FormTemplate, check_template, merged_fields, missing_fields, our_fields
from lever_imocha.domain.names import ambiguous, ids_of, is_uuid, not_there
from lever_imocha.errors import ApiError, NotFoundError, SettingsError
from lever_imocha.settings import WriteBackSettings

log = logging.getLogger(__name__)


class FormTemplates:
    """Lever's form templates, listed once.

    :param known: the ids of the templates that were used before, by their names in the settings.
    :ivar problems: why a template cannot be used, by its name in the settings.
    """

    def __init__(
        self, lever: LeverClient, settings: WriteBackSettings, *, known: Mapping[str, str] | None = None
    ) -> None:
        self._lever, self._settings, self._known = lever, settings, known or {}
        self.problems: dict[str, str] = {}
        self._answers = True

    def problem_with(self, name: str) -> str | None:
        """Return what is wrong with a template; None when nothing is, or Lever does not answer. Changes nothing.

        This is a check ahead of time: that it cannot be made stops nobody.
        """
        try:
            if self._answers:
                self._usable(name)
        except SettingsError as error:
            self.problems[name] = str(error)
        except ApiError as error:
            self._answers = False  # the other names would each wait as long
            log.warning("form templates are not checked before inviting: %s", error)
        return self.problems.get(name)

    def prepare(self, names: Iterable[str]) -> dict[str, FormTemplate]:
        """Return the templates that can be used, by name; one that is missing or lacks our fields is created or completed if allowed.

        Nothing is changed about a template that could not be used afterwards.
        """
        ready = {}
        for name in dict.fromkeys(names):
            try:
                ready[name] = self._completed(name, self._usable(name))
            except SettingsError as error:
                self.problems[name] = str(error)
        return ready

    @cached_property
    def _listed(self) -> list[FormTemplate]:
        return list(self._lever.list_form_templates())

    def _usable(self, name: str) -> FormTemplate | None:
        """Return the template of a name or an id, with its fields; None when it is still to be created.

        :raises SettingsError: it cannot be used, and what the settings allow would not help.
        """
        ids = ids_of(name, self._listed)
        if len(ids) > 1:
            raise SettingsError([ambiguous(name, ids)])
        found = next((item for item in self._listed if item.id in ids), None) or self._unlisted(name)
        if found is None:
            if self._settings.create_template and not is_uuid(name):
                return None
            raise SettingsError([f"{not_there(name, self._listed)}; or set write_back.create_template: true"])
        template = found if found.fields else self._lever.get_form_template(found.id)
        check_template(template)
        lacking = missing_fields(template)
        if len(lacking) == len(our_fields()) and not self._settings.update_template:
            raise SettingsError(
                [
                    f"{name!r} has none of our fields; set write_back.update_template: true,"
                    f" or add to it in Lever: {', '.join(lacking)}"
                ]
            )
        return template

    def _unlisted(self, name: str) -> FormTemplate | None:
        """Return a template that was used before and is not listed: one list is no proof that it is gone.

        Another one of the same name would make the name ambiguous, and stop everybody.
        """
        if (known := self._known.get(name)) is None:
            return None
        try:
            template = self._lever.get_form_template(known)
        except NotFoundError:
            return None
        return template if ids_of(name, [template]) else None

    def _completed(self, name: str, template: FormTemplate | None) -> FormTemplate:
        if template is None:
            del self._listed  # read again if the answer is lost
            return self._lever.create_form_template(text=name, fields=our_fields())
        if missing_fields(template) and self._settings.update_template:
            return self._lever.update_form_template(template, fields=merged_fields(template))
        return template
