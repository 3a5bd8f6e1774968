"""Alembic's environment: migrations run on the connection that `lever_imocha.ledger.database` hands over."""

from __future__ import annotations

from alembic import context
from lever_imocha.ledger.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
)
context.run_migrations()
