"""Sets of TFRecords: bit-equal to files written byte by byte here, in order, with labels, whatever they are called."""

import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.cli import compose_config
from src.data import DatasetSettings, open_configured_dataset, open_dataset
from src.errors import UserError
from src.options import read

from . import tfrecords as plain
from .tfrecords import one_hot, pictures, stacked


@pytest.mark.parametrize("memory_mb", [2048, 0])
def test_a_folder_is_read_bit_equal_in_order_with_labels(tmp_path, memory_mb):
    images = pictures()
    path = plain.write_set(tmp_path / "faces", images, one_hot([2, 0, 1, 1, 2]), sizes=(4, 8))
    dataset = open_dataset(path, memory_limit_mb=memory_mb)
    assert dataset[3][0].dtype == torch.uint8 and (dataset.images is None) == (memory_mb == 0)
    assert np.array_equal(stacked(dataset), images)
    assert [label for _, label in dataset] == [2, 0, 1, 1, 2] and dataset.num_classes == 3
    assert (dataset.report.skipped, dataset.report.converted, dataset.name) == ({}, {}, "faces")


def test_the_level_of_the_asked_resolution_is_taken(tmp_path):
    images = pictures(side=32)
    path = plain.write_set(tmp_path / "faces", images, sizes=(4, 8))
    assert np.array_equal(stacked(open_dataset(path, resolution=8)), images[:, :, ::4, ::4])
    assert np.array_equal(stacked(open_dataset(path, resolution=32)), images)
    made = open_dataset(path, resolution=16)  # not there: from the largest
    assert made.resolution == 16 and made.report.converted == {}
    assert open_dataset(path, resolution=64).report.converted["faces-r05.tfrecords/00000000"] == ["enlarged"]
    single = open_dataset(path / "faces-r03.tfrecords")
    assert single.resolution == 8 and np.array_equal(stacked(single), images[:, :, ::4, ::4])


def test_files_are_told_by_their_records_not_by_their_names(tmp_path):
    folder = plain.write_set(tmp_path / "faces", pictures(side=32), sizes=(8,))
    (folder / "faces-r03.tfrecords").rename(folder / "zz.tfrecords")
    assert open_dataset(folder).resolution == 32
    (folder / "more.tfrecords").write_bytes((folder / "zz.tfrecords").read_bytes())
    with pytest.raises(UserError, match=r"more\.tfrecords and zz\.tfrecords both hold pictures of 8 px"):
        open_dataset(folder)


def test_grey_records_become_rgb_and_say_so(tmp_path):
    images = pictures(channels=1)
    dataset = open_dataset(plain.write_set(tmp_path / "digits", images))
    assert np.array_equal(stacked(dataset), images.repeat(3, axis=1))
    assert set(map(tuple, dataset.report.converted.values())) == {("grey to RGB",)}


def test_records_of_encoded_pictures(tmp_path):
    """The fork's raw export: shape and img, one file named by its --res_log2, pictures need not be square."""
    images = [np.ascontiguousarray(p.transpose(1, 2, 0)) for p in pictures(4)]
    files = []
    for image, kind in zip(images, ("PNG", "PNG", "JPEG", "PNG"), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind)
        files.append(buffer.getvalue())
    files[3] = files[3][:60]
    records = [plain.record(plain.example((3, 16, 16), file, key="img")) for file in files]
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "raw-r07.tfrecords").write_bytes(b"".join(records))
    with open(folder / "raw-rxx.labels", "wb") as file:
        np.save(file, one_hot([1, 0, 2, 1]))
    dataset = open_dataset(folder)
    assert list(dataset.report.skipped) == ["raw-r07.tfrecords/00000003"]
    assert np.array_equal(stacked(dataset)[:2], np.stack(images[:2]).transpose(0, 3, 1, 2))
    assert dataset.labels == [1, 0, 2]
    with pytest.raises(UserError, match=r"00000003: .*1 bad pictures, on_bad=error"):
        open_dataset(folder, on_bad="error")


def test_a_record_that_is_no_picture_is_left_out_and_labels_stay_in_step(tmp_path):
    images = pictures()
    path = plain.write_set(tmp_path / "faces", images, one_hot([0, 1, 2, 1, 0])) / "faces-r04.tfrecords"
    odd = {1: plain.example((3, 16, 16), b"short"), 3: b"\xff\xff"}
    records = [plain.record(odd.get(i, plain.example(p.shape, p.tobytes()))) for i, p in enumerate(images)]
    path.write_bytes(b"".join(records))
    dataset = open_dataset(path)
    assert np.array_equal(stacked(dataset), images[[0, 2, 4]]) and dataset.labels == [0, 2, 0]
    assert "5 bytes for a shape of [3, 16, 16]" in dataset.report.skipped["faces-r04.tfrecords/00000001"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (one_hot([0, 1]), "5 records but 2 labels"),
        (np.full([5, 3], 0.5, np.float32), "record 0 is not one-hot"),
        (np.eye(5, dtype=np.float32) * [[1], [1], [0], [1], [1]], "record 2 is not one-hot"),
        (np.zeros(5, np.int64), r"holds int64 \[5\]"),
        (np.array([["a"]] * 5), "labels are numbers"),
        (None, "not a .npy file of labels"),
    ],
)
def test_wrong_labels_are_one_line(tmp_path, labels, words):
    folder = plain.write_set(tmp_path / "faces", pictures(), labels)
    if labels is None:
        (folder / "faces-rxx.labels").write_bytes(b"\x93NUMPY cut")
    dataset = open_dataset(folder)
    assert len(dataset) == 5 and dataset.labels is None
    problem = dataset.report.labels_problem
    assert re.search(words, problem) and "\n" not in problem and problem in dataset.report.summary()


def test_labels_of_no_classes_and_of_another_name(tmp_path):
    folder = plain.write_set(tmp_path / "none", pictures(), np.zeros([5, 0], np.float32))
    assert open_dataset(folder).labels is None
    (folder / "none-rxx.labels").rename(folder / "attributes.labels")
    with open(folder / "attributes.labels", "wb") as file:
        np.save(file, one_hot([0, 1, 2, 0, 1]))
    assert open_dataset(folder).labels == [0, 1, 2, 0, 1]
    (folder / "b.labels").write_bytes(b"")
    dataset = open_dataset(folder)
    assert dataset.labels is None and "attributes.labels and b.labels could both" in dataset.report.labels_problem


def test_workers_get_the_index(tmp_path):
    images = pictures()
    dataset = open_dataset(plain.write_set(tmp_path / "faces", images), memory_limit_mb=0)
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy[4][0].numpy(), images[4])


def test_the_choice_of_the_configuration(tmp_path):
    images = pictures(side=32)
    folder = plain.write_set(tmp_path / "faces", images, sizes=(16,))
    config = compose_config("train", ["dataset=tfrecord", f"dataset.path={folder}", "dataset.resolution=16"])
    assert np.array_equal(
        stacked(open_configured_dataset(read(DatasetSettings, config["dataset"]))), images[:, :, ::2, ::2]
    )


def test_the_fingerprint_is_of_pictures_and_labels(tmp_path: Path):
    sets = [
        plain.write_set(tmp_path / str(i) / "faces", pictures(seed=seed), labels)
        for i, (seed, labels) in enumerate(
            [(0, None), (0, None), (1, None), (0, one_hot([0, 1, 2, 0, 1])), (0, one_hot([0, 1, 2, 0, 2]))]
        )
    ]
    prints = [open_dataset(path).fingerprint for path in sets]
    assert prints[0] == prints[1] and len(set(prints)) == 4


@pytest.mark.parametrize(
    "name", ["faces.tfrecord", "train-00000-of-00001", "a.TFRecords", "faces.tfrecord-00000-of-00001"]
)
def test_the_names_of_tensorflow_are_read(tmp_path, name):
    images = pictures()
    folder = plain.write_set(tmp_path / "faces", images, one_hot([2, 0, 1, 1, 2]))
    path = (folder / "faces-r04.tfrecords").rename(folder / name)
    for source in (folder, path):
        dataset = open_dataset(source)
        assert np.array_equal(stacked(dataset), images) and dataset.labels == [2, 0, 1, 1, 2]
    (folder / "faces-rxx.labels").unlink()
    assert open_dataset(folder).labels is None


def test_a_file_of_any_name_is_told_by_its_head(tmp_path):
    images = pictures()
    path = (plain.write_set(tmp_path / "faces", images) / "faces-r04.tfrecords").rename(tmp_path / "records.bin")
    assert np.array_equal(stacked(open_dataset(path)), images)


def test_shards_are_one_set_in_their_order(tmp_path):
    images = pictures(7)
    folder = tmp_path / "set"
    folder.mkdir()
    for k, part in enumerate(np.split(images, [3, 5])):
        records = [plain.record(plain.example(i.shape, i.tobytes())) for i in part]
        (folder / f"train-0000{k}-of-00003").write_bytes(b"".join(records))
    with open(folder / "train-rxx.labels", "wb") as file:
        np.save(file, one_hot([0, 1, 2, 0, 1, 2, 0]))
    for memory_mb in (2048, 0):
        dataset = open_dataset(folder, memory_limit_mb=memory_mb)
        assert np.array_equal(stacked(dataset), images) and dataset.labels == [0, 1, 2, 0, 1, 2, 0]
    assert np.array_equal(stacked(open_dataset(folder / "train-00001-of-00003")), images[3:5])
    (folder / "train-00001-of-00003").unlink()
    with pytest.raises(
        UserError, match=r"train-00001-of-00003 and 0 other shards are missing; copy them, or give the path"
    ):
        open_dataset(folder)


@pytest.mark.parametrize("key", ["image/encoded", "image"])
def test_encoded_pictures_of_tensorflows_own_tools(tmp_path, key):
    images = pictures(3)
    records = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
        features = plain.entry(key, plain.block(1, plain.block(1, buffer.getvalue())))
        label = plain.entry("image/class/label", plain.int64s((1,)))
        records.append(plain.record(plain.block(1, features + label)))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "val-00000-of-00001").write_bytes(b"".join(records))
    assert np.array_equal(stacked(open_dataset(tmp_path / "set")), images)


def test_other_things_numbered_like_shards_are_no_records(tmp_path):
    for k in range(2):
        Image.fromarray(pictures(2, 16, seed=k)[k].transpose(1, 2, 0)).save(tmp_path / f"scan-0000{k}-of-00002", "PNG")
    assert len(open_dataset(tmp_path)) == 2
