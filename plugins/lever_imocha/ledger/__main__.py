"""``python -m lever_imocha.ledger upgrade | check``: the ledger named by LEVER_IMOCHA_LEDGER."""

from __future__ import annotations

import argparse
import os
import sys

from lever_imocha.errors import LedgerError
from lever_imocha.ledger.database import LEDGER_VARIABLE, check_schema, engine_for, upgrade


def main() -> int:
    """Run one command; 0 when the ledger is ready."""
    parser = argparse.ArgumentParser(prog="python -m lever_imocha.ledger", description="Keep the ledger's tables.")
    parser.add_argument("command", choices=["upgrade", "check"])
    command = parser.parse_args().command
    try:
        if LEDGER_VARIABLE not in os.environ:
            raise LedgerError(f"Set {LEDGER_VARIABLE} to the ledger's address, postgresql://user@host/name.")
        engine = engine_for(os.environ[LEDGER_VARIABLE])
        if command == "upgrade":
            upgrade(engine)
        check_schema(engine)
    except LedgerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("The ledger is ready.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
