"""`python -m stoker` is the `stoker` command."""

from __future__ import annotations

from stoker.cli.main import main

if __name__ == "__main__":
    main()
