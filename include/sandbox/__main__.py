"""``python -m include.sandbox``: the sandbox on a port of this machine."""

from __future__ import annotations

import argparse

import uvicorn

from include.sandbox.app import create_app


def main() -> None:
    """Serve on the port given until stopped."""
    parser = argparse.ArgumentParser(prog="python -m include.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=18090)
    uvicorn.run(create_app(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
