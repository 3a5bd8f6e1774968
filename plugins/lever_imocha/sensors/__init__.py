"""Sensors wait for something at a vendor, with or without a worker."""
