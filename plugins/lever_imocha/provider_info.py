"""Declares the two connection types and their forms to Airflow, which reads this without importing a hook."""

from __future__ import annotations

from typing import Any

_VENDORS = ("Lever", "iMocha")
_FORM: dict[str, Any] = {
    # The port is shown for the Test button: Airflow 3.3.2 sends 0 for an empty port, and refuses the test because the
    # stored connection has none. With 443 stored, both are the same.
    "hidden-fields": ["schema", "login"],
    "relabeling": {"host": "Base URL", "password": "API key", "port": "Port (443; needed to test)"},
}
_SHARED_FIELDS: dict[str, Any] = {
    "timeout": {
        "label": "Time-out (seconds)",
        "description": "For one request; 20 when empty.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 300},
    },
    "verify": {
        "label": "CA bundle",
        "description": "Path of a CA bundle to check TLS certificates with; the system's when empty.",
        "schema": {"type": ["string", "null"]},
    },
}


def _secret(label: str, description: str) -> dict[str, Any]:
    return {
        "label": label,
        "description": description,
        "schema": {"type": ["string", "null"], "format": "password"},
    }


def _modules(package: str) -> list[dict[str, Any]]:
    """Return the module of each vendor in one of our packages."""
    return [
        {"integration-name": vendor, "python-modules": [f"lever_imocha.{package}.{vendor.lower()}"]}
        for vendor in _VENDORS
    ]


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata for Airflow (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "lever-imocha",
        "name": "Lever and iMocha",
        "description": "Lever (applicant tracking) and iMocha (skills assessments) as one workflow. Documentation: README.md"
        " and the folder docs of its source.",
        "integrations": [
            {"integration-name": "Lever", "external-doc-url": "https://hire.lever.co/developer/documentation"},
            {"integration-name": "iMocha", "external-doc-url": "https://developer.imocha.io/"},
        ],
        "hooks": _modules("hooks"),
        "operators": [
            *_modules("operators"),
            {
                "integration-name": "Lever",
                "python-modules": [
                    f"lever_imocha.operators.{name}"
                    for name in ("assessment", "comparison", "deactivation", "doctor", "retention", "setup")
                ],
            },
        ],
        "sensors": _modules("sensors"),
        "triggers": [
            *_modules("triggers"),
            {"integration-name": "Lever", "python-modules": ["lever_imocha.triggers.deliveries"]},
            {"integration-name": "iMocha", "python-modules": ["lever_imocha.triggers.ended_attempts"]},
        ],
        "notifications": ["lever_imocha.notifications.notifier.SettingsNotifier"],
        "extra-links": [f"lever_imocha.operators.links.{name}" for name in ("LeverCandidateLink", "TimelineLink")],
        "connection-types": [
            {
                "connection-type": "lever",
                "hook-class-name": "lever_imocha.hooks.lever.LeverHook",
                "hook-name": "Lever",
                "ui-field-behaviour": _FORM | {"placeholders": {"host": "https://api.lever.co/v1", "port": "443"}},
                "conn-fields": {
                    "webhook_tokens": _secret("Webhook signature tokens", "One or more, separated by commas."),
                    **_SHARED_FIELDS,
                },
            },
            {
                "connection-type": "imocha",
                "hook-class-name": "lever_imocha.hooks.imocha.ImochaHook",
                "hook-name": "iMocha",
                "ui-field-behaviour": _FORM | {"placeholders": {"host": "https://apiv3.imocha.io/v3", "port": "443"}},
                "conn-fields": {
                    "callback_secret": _secret(
                        "Callback secret", "Random text of at least 16 characters; signs callback addresses."
                    ),
                    **_SHARED_FIELDS,
                },
            },
        ],
    }


def connection_form(connection_type: str) -> dict[str, Any]:
    """Return what the metadata says about one connection type."""
    types = get_provider_info()["connection-types"]
    return next(entry for entry in types if entry["connection-type"] == connection_type)
