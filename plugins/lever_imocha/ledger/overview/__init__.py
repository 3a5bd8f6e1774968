"""What the console shows: each method is one statement, and reads no big table from end to end.

Whoever is on a list was seen in a trigger stage once: what is listed are the latest stage entries. Pages go on after a
key and not after a number of rows, so that the last page costs as much as the first.
"""
