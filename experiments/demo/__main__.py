"""The record and the pictures of this folder and of README, from the run that `make demo` leaves.

make demo
python -m experiments.demo [--person 3]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from experiments.record import record
from src.cli import compose_config
from src.generate import generate
from src.runs.find import find_run

FOLDER, SWEEP = Path(__file__).parent, "cartoon-low-level1"


def main() -> None:
    """Write numbers and curves, the sheet of caricatures, and one person in every blend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    parser.add_argument("--person", type=int, default=0, help="whose blends are shown, by the number of the photograph")
    args = parser.parse_args()
    run = find_run(str(args.run), args.run.parent)
    record(run, FOLDER, samples=(0, 4.5), sweep=SWEEP)
    shutil.copyfile(run / "caricatures" / "sheet.jpg", FOLDER / "caricatures.jpg")
    codes = run / "caricatures" / "codes" / f"person-{args.person:02d}.npy"
    with tempfile.TemporaryDirectory() as out:
        generate(
            compose_config(
                "generate",
                ["mode=blends", f"run={run}", "blend.level=1", f"codes={codes}", f"out={out}"],
            )
        )
        (sheet,) = Path(out).glob("*.jpg")
        shutil.copyfile(sheet, FOLDER / "blends.jpg")


if __name__ == "__main__":
    main()
