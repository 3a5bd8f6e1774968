"""Business rules and the vendors' objects: pure functions and value types without I/O."""
