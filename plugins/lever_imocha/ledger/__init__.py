"""Durable memory on PostgreSQL: what was seen, decided, done; ids and, erasable, a display name.

Begin with `repository`, which has all parts, then `work_queue`. `tables` and `values` say what is kept, `database` and
`migrations` how it is reached and upgraded, `base` what the parts share; docs/architecture.md has a line for each part.
"""
