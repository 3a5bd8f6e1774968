"""Who may do what on the console, as Airflow's rights say. The only module that asks Airflow for rights.

============  =====================================================================================================
reads         who may read the DAG `lever_imocha_invite`
acts          who may trigger it
sees names    who may read the Airflow connection `lever_default`: its key reads every name in Lever. Others see initials
============  =====================================================================================================
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

log = logging.getLogger(__name__)

DAG_ID = "lever_imocha_invite"
CONNECTION = "lever_default"


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Somebody who may read the console.

    :param name: the user's name in Airflow.
    :param by_token: the request carries a token of its own and not the browser's cookie, so that no other site's page
        can have sent it.
    """

    name: str
    may_act: bool
    may_see_names: bool
    by_token: bool = False


async def airflow_viewer(request: Request) -> Viewer:
    """Return who asks, logged in to Airflow as for its own pages.

    :raises HTTPException: 401 for somebody who is not logged in, 403 for somebody who may not read.
    """
    # Loads the API server, and every process of Airflow's imports this module.
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    bearer = await bearer_scheme(request)
    try:
        user = await get_user(request, None, bearer)
    except HTTPException:  # 403 for a token that is none: it is the session that is wrong, and not a right
        raise HTTPException(401, "Unauthorized") from None
    return await run_in_threadpool(_viewer, request, user, bearer is not None)


def _viewer(request: Request, user: Any, by_token: bool) -> Viewer:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag

    requires_access_dag("GET", param_dag_id=DAG_ID)(request, user)
    try:
        requires_access_dag("POST", DagAccessEntity.RUN, DAG_ID)(request, user)
        may_act = True
    except HTTPException:
        may_act = False
    may_see_names = get_auth_manager().is_authorized_connection(
        method="GET", details=ConnectionDetails(conn_id=CONNECTION), user=user
    )
    return Viewer(name=user.get_name(), may_act=may_act, may_see_names=bool(may_see_names), by_token=by_token)


def require_own_page(request: Request, viewer: Viewer) -> None:
    """Make sure that a write was sent by somebody who may act, from a page of the console or with a token.

    A browser says where a request comes from, and no page of another site can add a header of htmx's to one.

    :raises HTTPException: 403.
    """
    if not viewer.may_act:
        raise HTTPException(403, f"You may read here, but not act: that takes the right to trigger {DAG_ID}.")
    same_origin = request.headers.get("sec-fetch-site") == "same-origin" and "hx-request" in request.headers
    if not (viewer.by_token or same_origin):
        raise HTTPException(403, "This was not sent by a page of the console.")
