"""Unfinished work: what was damaged is made again, leftovers of killed processes go."""

import subprocess

from src.files import MACHINE
from src.prepare.work_folder import Unfinished, one_at_a_time, unfinished, unfinished_part


def test_a_damaged_picture_is_made_again_and_leftovers_go(tmp_path):
    out = tmp_path / "set.zip"
    work = unfinished(out, "key")
    for number in range(3):
        work.add(number, {"notes": []}, bytes([number] * 100))
    path = work.path(1)
    path.write_bytes(path.read_bytes()[:50] + b"?" + path.read_bytes()[51:])
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".set.zip.{MACHINE}-{dead.pid}.partial").touch()
    assert sorted(unfinished(out, "key").records) == [0, 2]
    assert not list(tmp_path.glob("*.partial"))
    assert unfinished(out, "another").records == {}


def test_a_job_reads_the_pictures_of_its_own_part_alone(tmp_path, monkeypatch):
    out, read = tmp_path / "set.zip", []
    work = unfinished(out, "key")
    for number in range(6):
        work.add(number, {"notes": []}, bytes([number] * 100))
    work.path(2).write_bytes(b"damaged")
    path = Unfinished.path
    monkeypatch.setattr(Unfinished, "path", lambda work, number: read.append(number) or path(work, number))
    with one_at_a_time(out), unfinished_part(out, "key", "0-of-2") as part:
        assert [part.has(number) for number in (0, 2, 4)] == [True, False, True] and read == [0, 2, 4]
        part.add(2, {"notes": []}, b"made again")
        assert part.has(2) and part.has(0)
    assert sorted(unfinished(out, "key").records) == [*range(6)]
