"""The rules: pure functions and value types, no I/O."""
