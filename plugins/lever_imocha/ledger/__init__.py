"""Durable memory on PostgreSQL: what was seen, decided, done; ids and, erasable, a display name."""
