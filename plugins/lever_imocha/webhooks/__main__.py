"""``python -m lever_imocha.webhooks``: the receivers alone, without Airflow's API server and without its database."""

from __future__ import annotations

import logging
import sys

import click
import uvicorn

from lever_imocha.errors import LedgerError, Retry, SettingsError
from lever_imocha.webhooks.app import PREFIX, app, create_server_app
from lever_imocha.webhooks.context import open_context
from lever_imocha.webhooks.server import allow_many_connections, server_config

log = logging.getLogger("lever_imocha.webhooks")


@click.command(context_settings={"auto_envvar_prefix": "LEVER_IMOCHA_WEBHOOKS", "show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8090, help="Port to listen on; 0 takes a free one.")
def main(host: str, port: int) -> None:
    """Receive webhooks of Lever and callbacks of iMocha, and put them into the ledger.

    Connections come from AIRFLOW_CONN_LEVER_DEFAULT, AIRFLOW_CONN_IMOCHA_DEFAULT and LEVER_IMOCHA_LEDGER, or from the
    secrets backend that Airflow's configuration names. Put a proxy in front that speaks TLS.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    allow_many_connections()
    try:
        for problem in open_context().problems.values():
            log.warning("%s", problem)
    except (SettingsError, LedgerError) as error:
        if error.retry is not Retry.SOON:
            sys.exit(str(error))
        log.error("%s", error)  # every delivery tries again
    config = server_config(create_server_app(app), host=host, port=port)
    listener = config.bind_socket()
    listener.listen(config.backlog)  # whoever comes from now on is answered
    log.info("receiving at http://%s:%s%s/webhooks", *listener.getsockname()[:2], PREFIX)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
