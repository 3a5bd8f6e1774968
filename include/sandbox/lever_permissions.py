"""Lever's permissions of an API key, one for each endpoint (lever.md 1.3)."""

from __future__ import annotations

import re

_ONE, _OF = r"/[^/]+", r"/opportunities/[^/]+"
PERMISSIONS: dict[str, tuple[str, str]] = {
    "Find an opportunity": ("GET", rf"/opportunities{_ONE}"),
    "Find all opportunities": ("GET", "/opportunities"),
    "Find a stage": ("GET", rf"/stages{_ONE}"),
    "Find all stages": ("GET", "/stages"),
    "Find all tags": ("GET", "/tags"),
    "Find a user": ("GET", rf"/users{_ONE}"),
    "Find all users": ("GET", "/users"),
    "Find a posting": ("GET", rf"/postings{_ONE}"),
    "Find all postings": ("GET", "/postings"),
    "Find a form template": ("GET", rf"/form_templates{_ONE}"),
    "Find all form templates": ("GET", "/form_templates"),
    "Find all opportunity forms": ("GET", rf"{_OF}/forms"),
    "Find all opportunity files": ("GET", rf"{_OF}/files"),
    "Find all opportunity notes": ("GET", rf"{_OF}/notes"),
    "Update opportunity stage": ("PUT", rf"{_OF}/stage"),
    "Add opportunity tag": ("POST", rf"{_OF}/addTags"),
    "Remove opportunities tag": ("POST", rf"{_OF}/removeTags"),
    "Create an opportunity form": ("POST", rf"{_OF}/forms"),
    "Upload an opportunities file": ("POST", rf"{_OF}/files"),
    "Create an opportunity note": ("POST", rf"{_OF}/notes"),
    "Update an opportunity note": ("PUT", rf"{_OF}/notes{_ONE}"),
    "Create a form template": ("POST", "/form_templates"),
    "Update a form template": ("PUT", rf"/form_templates{_ONE}"),
    # Their labels are not known; these are descriptions.
    "deleted opportunities": ("GET", "/opportunities/deleted"),
    "list webhooks": ("GET", "/webhooks"),
    "create webhooks": ("POST", "/webhooks"),
    "delete webhooks": ("DELETE", rf"/webhooks{_ONE}"),
}
TO_EXPAND_APPLICATIONS = {"Find an opportunity application", "Find all opportunity applications"}
"""The strictest reading: whether they are needed for this is not known (lever.md 1.3)."""


def permission_for(method: str, path: str) -> str | None:
    """Return the permission that a call needs, by its label; None for calls that this table does not have."""
    found = [label for label, (how, what) in PERMISSIONS.items() if how == method and re.fullmatch(what, path)]
    return found[-1] if found else None  # the list of deleted opportunities looks like an opportunity
