"""Run scripts one after the other in this process and write down which files of `src/` they enter, in that order."""

import json
import runpy
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIMIZED = 1  # CO_OPTIMIZED: the code of a function, not of a module or class body
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")  # which module bodies have too


def entered_files(commands: list[list[str]]) -> list[str]:
    """Run each command line (a script of the root and its options).

    Returns:
        The files of `src/` in which a function ran, by the first time, as paths from the root.
    """
    seen: dict[str, None] = {}
    source = str(ROOT / "src")

    def note(frame, event, argument):
        """Of a frame that begins; no line of it is asked for."""
        code = frame.f_code
        is_function = code.co_flags & OPTIMIZED and code.co_name not in COMPREHENSIONS
        if is_function and code.co_filename.startswith(source):
            seen.setdefault(code.co_filename)

    threading.settrace(note)
    sys.settrace(note)
    try:
        for script, *options in commands:
            sys.argv = [str(ROOT / script), *options]
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return [str(Path(name).relative_to(ROOT)) for name in seen]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    names = entered_files(json.loads(sys.argv[1]))
    print("\n" + json.dumps(names))
