"""`python -m sacristy.cli`: the command with the code of the folder it is called in."""

from __future__ import annotations

from sacristy.cli.main import main

if __name__ == "__main__":
    main()
