"""Declares the two connection types and their forms to Airflow, which reads this without importing a hook."""

from __future__ import annotations

from typing import Any

_HIDDEN = ["schema", "port", "login"]
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


def get_provider_info() -> dict[str, Any]:
    """Return the provider metadata for Airflow (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "lever-imocha",
        "name": "Lever and iMocha",
        "description": "Lever (applicant tracking) and iMocha (skills assessments) as one workflow.",
        "extra-links": ["lever_imocha.operators.links.LeverCandidateLink"],
        "connection-types": [
            {
                "connection-type": "lever",
                "hook-class-name": "lever_imocha.hooks.lever.LeverHook",
                "hook-name": "Lever",
                "ui-field-behaviour": {
                    "hidden-fields": _HIDDEN,
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {"host": "https://api.lever.co/v1"},
                },
                "conn-fields": {
                    "webhook_tokens": _secret("Webhook signature tokens", "One or more, separated by commas."),
                    **_SHARED_FIELDS,
                },
            },
            {
                "connection-type": "imocha",
                "hook-class-name": "lever_imocha.hooks.imocha.ImochaHook",
                "hook-name": "iMocha",
                "ui-field-behaviour": {
                    "hidden-fields": _HIDDEN,
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {"host": "https://apiv3.imocha.io/v3"},
                },
                "conn-fields": {
                    "callback_secret": _secret(
                        "Callback secret", "Random text of at least 16 characters; signs callback addresses."
                    ),
                    **_SHARED_FIELDS,
                },
            },
        ],
    }
