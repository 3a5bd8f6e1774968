"""Puts things together: connections and settings become clients, ledger and workflows for a task. Begin with `services`."""
