"""One task each: parameters go in, a workflow does the work."""
