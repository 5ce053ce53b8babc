"""TFRecords are written as the formats' rules say, whole or not at all, and read back."""

import numpy as np
import pytest
import torch

from src.data import open_dataset, write_tfrecords
from src.data.tfrecord_write import levels
from src.errors import UserError

from . import tfrecords as plain
from .tfrecords import one_hot, pictures, stacked


def reference_levels(image):
    """Levels in exact arithmetic: sums of whole numbers, divided and rounded once."""
    sums = image.astype(object)
    found, area = [image], 1
    while sums.shape[1] > 4:
        sums = sums[:, 0::2, 0::2] + sums[:, 0::2, 1::2] + sums[:, 1::2, 0::2] + sums[:, 1::2, 1::2]
        area *= 4
        half = [round(int(s) / area) for s in sums.ravel()]  # Python rounds half to even; these quotients are exact
        found.append(np.array(half, np.uint8).reshape(sums.shape))
    return found


@pytest.mark.parametrize("channels", [3, 1])
def test_written_files_hold_every_level_by_the_formats_rules(tmp_path, channels):
    images = pictures(4, 64, channels)
    images[0] = np.tile([[0, 1], [1, 0]], (32, 32))  # means of a half
    images[1] = np.tile([[1, 2], [2, 1]], (32, 32))
    folder = write_tfrecords(tmp_path / "out" / "set", (torch.from_numpy(i) for i in images), [1, 0, 2, 1])
    assert sorted(p.name for p in folder.iterdir()) == [
        *(f"set-r{k:02d}.tfrecords" for k in range(2, 7)),
        "set-rxx.labels",
    ]
    expected = [reference_levels(image) for image in images]
    for k, level in enumerate(range(6, 1, -1)):
        found = plain.read_set(folder / f"set-r{level:02d}.tfrecords")
        assert [shape for shape, _ in found] == [(channels, 1 << level, 1 << level)] * 4
        assert [data for _, data in found] == [e[k].tobytes() for e in expected]
    labels = np.load(folder / "set-rxx.labels")
    assert labels.dtype == np.float32 and np.array_equal(labels, one_hot([1, 0, 2, 1]))
    assert [p.name for p in folder.parent.iterdir()] == ["set"]


def test_rounding_does_not_cascade():
    image = np.zeros([1, 16, 16], np.uint8)
    image[0, 0, 0], image[0, 0, 2], image[0, 2, 0], image[0, 2, 2] = 4, 2, 2, 2  # means 1, ½, ½, ½
    eight, four = levels(image)[1:]
    assert eight[0, :2, :2].tolist() == [[1, 0], [0, 0]]  # half to even
    assert four[0, 0, 0] == 1  # of 0.625; the mean of the rounded ones is ¼


def test_what_is_written_is_read_back(tmp_path):
    images = pictures(6, 32)
    folder = write_tfrecords(tmp_path / "set", images, [0, 1, 0, 1, 0, 1], progress=False)
    dataset = open_dataset(folder)
    assert np.array_equal(stacked(dataset), images) and dataset.labels == [0, 1] * 3
    copy = write_tfrecords(tmp_path / "copy" / "set", (image for image, _ in dataset), dataset.labels)
    for file in folder.iterdir():
        assert file.read_bytes() == (copy / file.name).read_bytes()


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ([], None, "no pictures"),
        (pictures(side=12), None, "H a power of two"),
        (pictures().astype(np.float32), None, "not float32"),
        ([pictures(1)[0], pictures(1, 32)[0]], None, r"picture 1 is uint8 \[3, 32, 32\]"),
        (pictures(), [0, 1], "2 labels for 5 pictures"),
        (pictures(), [0, 1, -1, 0, 0], "counted from 0"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, images, labels, words):
    with pytest.raises(UserError, match=words):
        write_tfrecords(tmp_path / "set", images, labels)
    assert list(tmp_path.iterdir()) == []


def test_writing_stops_whole_and_keeps_what_is_there(tmp_path):
    def failing():
        yield from pictures(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tfrecords(tmp_path / "set", failing())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "set").mkdir()
    write_tfrecords(tmp_path / "set", pictures())
    before = (tmp_path / "set" / "set-r04.tfrecords").read_bytes()
    with pytest.raises(UserError, match="not empty"):
        write_tfrecords(tmp_path / "set", pictures(seed=1))
    assert (tmp_path / "set" / "set-r04.tfrecords").read_bytes() == before
