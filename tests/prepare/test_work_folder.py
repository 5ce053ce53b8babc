"""Unfinished work: what was damaged is made again, leftovers of killed processes go."""

import subprocess

from src.files import MACHINE
from src.prepare.work_folder import unfinished


def test_a_damaged_picture_is_made_again_and_leftovers_go(tmp_path):
    out = tmp_path / "set.zip"
    with unfinished(out, "key") as work:
        for number in range(3):
            work.add(number, {"notes": []}, bytes([number] * 100))
    path = work.path(1)
    path.write_bytes(path.read_bytes()[:50] + b"?" + path.read_bytes()[51:])
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".set.zip.{MACHINE}-{dead.pid}.partial").touch()
    with unfinished(out, "key") as work:
        assert sorted(work.records) == [0, 2] and work.continued == 2
    assert not list(tmp_path.glob("*.partial"))
    with unfinished(out, "another") as work:
        assert work.records == {}
