"""`python -m stoker` is the `stoker` command. Imports nothing outside `main`, so that Ctrl-C at any
moment is an exit code and no traceback."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script."""
    try:
        from stoker.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
