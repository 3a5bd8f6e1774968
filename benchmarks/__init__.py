"""Measurements behind every claim about speed; run by hand, not by the tests."""
