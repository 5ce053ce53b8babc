"""`make quick`: the tests of the rooms that changed since HEAD (or another commit: BASE=main), without scripts."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVERYWHERE = ["tests/test_conf.py"]


def changed_files(base: str) -> list[str]:
    """Files that differ from a commit, those that git does not know yet included."""
    commands = (["diff", "--name-only", base], ["ls-files", "--others", "--exclude-standard"])
    return [
        line
        for command in commands
        for line in subprocess.check_output(["git", *command], cwd=ROOT, text=True).splitlines()
    ]


def tests_of(files: list[str]) -> list[str]:
    """The folders and files of tests that mirror changed files, each once."""
    found = list(EVERYWHERE)
    for name in files:
        parts = Path(name).parts
        if parts[0] == "tests" and parts[-1].startswith("test_") and name.endswith(".py"):
            found.append(name)
        elif parts[0] == "src" and len(parts) > 2:
            found.append(f"tests/{parts[1]}")
        elif parts[0] == "src":
            found.append(f"tests/test_{Path(parts[1]).stem}.py")
    return [place for place in dict.fromkeys(found) if (ROOT / place).exists()]


def main() -> int:
    """Run them."""
    places = tests_of(changed_files(os.environ.get("BASE", "HEAD")))
    print(" ".join(places), flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not script", *places]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
