"""The README and the pages of the documentation, their snippets, and the commands that they show."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# By path from the root of the repository.
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
SNIPPETS = {
    page: snippets
    for page, text in PAGES.items()
    if (snippets := re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
}
# The words of each command of `mtrnn`, on all pages.
COMMANDS = [
    command.split() for text in PAGES.values() for command in re.findall(r"^mtrnn ([^#\n]*)", text, flags=re.MULTILINE)
]
