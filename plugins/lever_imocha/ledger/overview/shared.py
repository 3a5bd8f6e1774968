"""What the queries of the console share."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import TextClause, text

PAGE = 50
AT_MOST = 5_000
"""So many rows are looked at where all would take too long: the page stays fast, and says so."""

LATEST = """
    NOT EXISTS (
        SELECT 1 FROM lever_imocha.stage_entries later
        WHERE later.opportunity_id = e.opportunity_id AND (later.entered_at, later.id) > (e.entered_at, e.id)
        OFFSET 0  -- looked up for each, and not joined as a whole table
    )
"""
"""SQL: a stage entry `e` is its opportunity's latest."""


def sql_list(words: Iterable[str]) -> str:
    """Return words of ours as a list in SQL."""
    return ", ".join(f"'{word}'" for word in words)


def as_one(**queries: str) -> TextClause:
    """Join queries to one statement, whose only row has the rows of each as JSON: they are of one moment."""
    rows = "(SELECT coalesce(json_agg(one), '[]') FROM ({}) one) AS {}"
    return text(f"SELECT {', '.join(rows.format(query, name) for name, query in queries.items())}")
