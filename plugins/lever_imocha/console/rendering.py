"""Turns a page's data into HTML, or into JSON for programs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from lever_imocha.console.rights import Viewer
from lever_imocha.console.words import Words, span
from lever_imocha.runtime.addresses import CONSOLE


def page(request: Request, template: str, data: dict[str, Any], *, status: int = 200, **more: Any) -> Response:
    """Return the data as a page, or as JSON for who asks for that."""
    if _wants_json(request):
        return JSONResponse(jsonable_encoder(data), status_code=status)
    who: Viewer | None = getattr(request.state, "viewer", None)  # None on a page that says why there is none
    base = request.scope.get("root_path", "")
    place = {"base": base, "airflow": base.removesuffix(CONSOLE), "path": request.url.path, "who": who}
    return HTMLResponse(_templates().get_template(template).render(**data, **place, **more), status_code=status)


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("lever_imocha.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["utc"] = lambda at: f"{at:%Y-%m-%d %H:%M}" if at else ""
    environment.filters["from_iso"] = lambda at: f"{at[:10]} {at[11:19]}"  # UTC, as evidence has it
    environment.filters |= {
        "span": span, "decision": Words.decision, "vendor": Words.vendor, "explained": Words.explained,
    }  # fmt: skip
    return environment
