"""Links that open a notebook of the course in Colab and Binder, from one variable.

The variable is ``repository`` in ``[tool.ganedu]`` of pyproject.toml: where the course lies on GitHub, as
"https://github.com/OWNER/NAME" (the branch main) or "https://github.com/OWNER/NAME/tree/BRANCH". It is empty
until a course has a public home; then there are no links, rather than links that lead elsewhere.
"""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

WORD = r"[A-Za-z0-9_.-]+"
ADDRESS = re.compile(rf"https://github\.com/({WORD})/({WORD}?)(?:\.git)?(?:/tree/({WORD}))?/?")


class Home(NamedTuple):
    """Where a course lies on GitHub."""

    owner: str
    name: str
    branch: str = "main"

    def colab(self, path: str) -> str:
        """Where Colab opens the notebook at ``path``, from the repository's root."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{self.branch}/{quote(path)}"

    def binder(self, path: str) -> str:
        """Where Binder builds environment.yml and opens the notebook at ``path`` in JupyterLab."""
        inside = quote(f"lab/tree/{path}", safe="")
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{self.branch}?urlpath={inside}"

    def requirement(self) -> str:
        """What pip installs the library from."""
        return f"ganedu @ git+https://github.com/{self.owner}/{self.name}@{self.branch}"


def parse(address: str) -> Home | None:
    """The home at ``address``; None for an empty one. Raises ValueError for what is no address on GitHub."""
    if not address:
        return None
    found = ADDRESS.fullmatch(address)
    if found is None:
        form = "https://github.com/OWNER/NAME or https://github.com/OWNER/NAME/tree/BRANCH"
        raise ValueError(f"repository: got {address!r}, expected {form}, or nothing")
    owner, name, branch = found.groups()
    return Home(owner, name, branch or "main")


def home(root: Path) -> Home | None:
    """The home that pyproject.toml of the course in ``root`` names, or None."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return parse(settings.get("tool", {}).get("ganedu", {}).get("repository", ""))
