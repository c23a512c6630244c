"""Where the composed stack's files are, and what its .env says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sacristy.errors import NotComposed
from sacristy.settings import Settings

PROFILES = ("core", "ci", "batch", "monitoring", "dashboards")
ROLES = ("scientist", "ops")  # who logs in; each has a folder of settings and secrets for their own checkout
STATE = "/state"  # the home folder inside of every container of ours
NETWORK = "sacristy-models"


@dataclass(frozen=True)
class Place:
    """The folder compose/ of a project."""

    folder: Path

    @property
    def file(self) -> Path:
        """What runs."""
        return self.folder / "compose.yaml"

    @property
    def env(self) -> Path:
        """What is this site's own."""
        return self.folder / ".env"

    @property
    def secrets(self) -> Path:
        """One file for each secret."""
        return self.folder / "secrets"

    @property
    def clients(self) -> Path:
        """One home folder for each role: what a person's checkout needs in its .sacristy/."""
        return self.folder / "clients"

    @property
    def contexts(self) -> Path:
        """What images are built from: one folder for each Dockerfile."""
        return self.folder / ".build"

    def values(self) -> dict[str, str]:
        """Return what .env says. Raises NotComposed."""
        try:
            lines = self.env.read_text().splitlines()
        except FileNotFoundError:
            raise NotComposed(path=self.env) from None
        pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
        return {name: value for name, _, value in pairs}

    def url(self, site: str = "") -> str:
        """Return the https address of the stack, or of one of its sites such as `registry`. Raises NotComposed."""
        return site_url(self.values()["SACRISTY_NAME"], int(self.values()["SACRISTY_PORT"]), site)


def place_of(settings: Settings) -> Place:
    """Return where a project's composed stack is."""
    return Place(settings.project / "compose")


def site_url(name: str, port: int, site: str = "") -> str:
    """Return the https address of a site below a stack's name."""
    host = f"{site}.{name}" if site else name
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"
