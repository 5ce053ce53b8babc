"""The tables of experiments/speed at a toy size: they run, and their numbers agree with each other."""

import csv
import json
import re
import statistics
import sys

import pytest
import torch

from experiments.speed import common, fid, inference, options, peers, plot, projection, sweep, training
from experiments.speed.flops import count_flops
from experiments.speed.results import COLUMNS
from experiments.speed.shapes import PRESETS
from src.networks import Generator

TOY = ["--preset", "16t", "--rounds", "2", "--warmup", "1", "--ops", "reference"]
TABLES = {
    "training": (training, [], {"G_main", "G_reg", "D_main", "D_reg", "iteration"}),
    "shipped": (training, ["--shipped"], {"G_main", "G_reg", "D_main", "D_reg", "average", "iteration"}),
    "inference": (inference, ["--batches", "1", "2"], {"batch 1", "batch 2"}),
    "projection": (projection, ["--batches", "1", "2"], {"batch 1", "batch 2"}),
    "sweep": (sweep, [], {"all cells"}),
    "fid": (fid, ["--batch", "2", "--extractors", "embedded"], {"generate", "embedded", "generate + embedded"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_peer(name, tmp_path, capsys):
    module, extra, parts = TABLES[name]
    module.main([*TOY, *extra, "--ours", "fp32", "bf16", "--out", str(tmp_path / "result")])
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["table"] == module.__name__.rpartition(".")[2]
    assert {row["part"] for row in result["rows"]} == parts
    assert not any("ratio" in row for row in result["rows"])
    assert not (tmp_path / "result.svg").exists()  # nothing to compare
    for row in result["rows"]:
        seconds = [times[row["contender"]][row["part"]] for times in result["rounds"]]
        assert row["ms"] == pytest.approx(1000 * statistics.median(seconds))
        assert f"| {row['part']} | {row['contender']} |" in printed
    with open(tmp_path / "result.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS and len(lines) == len(result["rows"])
    assert result["environment"]["torch"] == torch.__version__ and result["settings"]["preset"] == "16t"


def contender(name, seconds, clock, **options):
    """One whose parts take the seconds that it is told, call by call."""

    def runner(times):
        left = iter(times)

        def run():
            clock.now += next(left, 0.0)

        return run

    return common.Contender(name, {part: common.Part(runner(t), 4) for part, t in seconds.items()}, **options)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def options_of(**changes):
    import argparse

    parser = argparse.ArgumentParser()
    options.add_options(parser, peers=("ada",))
    args = parser.parse_args(["--preset", "16t", "--warmup", "0"])
    for key, value in changes.items():
        setattr(args, key, value)
    return args


@pytest.fixture
def compared(tmp_path):
    """Ours and a fake peer over three rounds, written to files."""
    clock = Clock()
    builders = [
        lambda: contender("ours", {"main": [1.0, 2.0, 1.0], "reg": [4.0, 4.0, 8.0]}, clock),
        lambda: contender("peer", {"main": [2.0, 3.0, 5.0], "reg": [8.0, 8.0, 8.0]}, clock, ours=False, notes=["slow"]),
    ]
    args = options_of(rounds=3, out=tmp_path / "speed")
    measured = common.measure(builders, args, clock)
    totals = {"iteration": {"main": 1, "reg": 1 / 4}}
    return common.report("fake", measured, args, totals=totals, total_images=4), tmp_path


def test_ratios_are_medians_of_the_rounds(compared):
    result, _ = compared
    ours = {row["part"]: row for row in result["rows"] if row["contender"] == "ours"}
    # main: 2, 1.5, 5; with a quarter of reg: (2+2)/(1+1), (3+2)/(2+1), (5+2)/(1+2)
    assert [ours["main"][k] for k in ("ratio", "ratio_min", "ratio_max")] == [2.0, 1.5, 5.0]
    assert [ours["reg"][k] for k in ("ratio", "ratio_min", "ratio_max")] == [2.0, 1.0, 2.0]
    iteration = [ours["iteration"][k] for k in ("ratio", "ratio_min", "ratio_max")]
    assert iteration == pytest.approx([2.0, 5 / 3, 7 / 3])
    assert ours["main"]["ms"] == 1000 and ours["main"]["images_per_sec"] == 4
    assert ours["iteration"]["ms"] == 3000 and ours["iteration"]["images_per_sec"] == pytest.approx(4 / 3)
    assert {row["against"] for row in ours.values()} == {"peer"}
    assert result["notes"] == {"peer": ["slow"]}


def test_ratios_follow_from_the_rounds_in_the_file(compared):
    _, folder = compared
    result = json.loads((folder / "speed.json").read_text())
    for row in result["rows"]:
        if row.get("against"):
            ratios = [t[row["against"]][row["part"]] / t[row["contender"]][row["part"]] for t in result["rounds"]]
            assert row["ratio"] == pytest.approx(statistics.median(ratios))
            assert (row["ratio_min"], row["ratio_max"]) == pytest.approx((min(ratios), max(ratios)))


def test_csv_and_plot_show_the_same_numbers(compared, tmp_path):
    result, folder = compared
    with open(folder / "speed.csv", encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["against"]]
    wanted = [row for row in result["rows"] if row.get("against")]
    assert [float(line["ratio"]) for line in lines] == pytest.approx([row["ratio"] for row in wanted], abs=1e-3)
    shown = re.findall(r'data-ratio="([\d.]+)"', (folder / "speed.svg").read_text())
    assert [float(value) for value in shown] == pytest.approx([row["ratio"] for row in wanted], abs=1e-4)
    plot.main([str(folder / "speed.json"), str(folder / "speed.json"), "--out", str(tmp_path / "both.svg")])
    assert len(re.findall("data-ratio", (tmp_path / "both.svg").read_text())) == 2 * len(wanted)


def test_the_order_rotates():
    order = []
    contenders = [
        common.Contender(name, {"part": common.Part(lambda name=name: order.append(name))}) for name in ("a", "b", "c")
    ]
    common.timed_rounds(contenders, 4, Clock())
    assert "".join(order) == "abcbcacababc"


def test_parts_that_a_peer_lacks_are_not_compared():
    clock = Clock()
    builders = [
        lambda: contender("ours", {"both": [1.0], "alone": [1.0]}, clock),
        lambda: contender("peer", {"both": [3.0]}, clock, ours=False),
    ]
    rows = common.table_rows(common.measure(builders, options_of(rounds=1), clock))
    assert {(row["part"], row["contender"]): row.get("ratio") for row in rows} == {
        ("both", "ours"): 3.0,
        ("both", "peer"): None,
        ("alone", "ours"): None,
    }


def test_operations_are_counted_also_through_a_gradient_of_a_gradient():
    x = torch.randn([2, 3, 8, 8], requires_grad=True)
    weight = torch.randn([5, 3, 3, 3], requires_grad=True)
    forward = 2 * 2 * 5 * 3 * 9 * 8 * 8

    def convolve():
        return torch.nn.functional.conv2d(x, weight, padding=1)

    assert count_flops(convolve) == forward
    assert count_flops(lambda: convolve().sum().backward()) == 3 * forward

    def filtered():  # one channel a group: a filter, which compiled ops do not write as a convolution
        return torch.nn.functional.conv2d(x, weight[:3, :1], padding=1, groups=3)

    assert count_flops(lambda: filtered().sum().backward()) == 0

    def penalty():
        (gradient,) = torch.autograd.grad(convolve().square().sum(), x, create_graph=True)
        gradient.square().sum().backward()

    assert count_flops(penalty) > 4 * forward


def test_mfu_is_the_counted_work_over_the_measured_ceiling(monkeypatch):
    monkeypatch.setattr("src.ops.backend._policy", "reference")
    result = inference.main([*TOY, "--batches", "1", "--mfu", "--ours", "fp32"])
    (row,) = result["rows"]
    G = Generator(resolution=16, channel_base=128, channel_max=8, num_mapping_layers=2)
    with torch.no_grad():
        work = count_flops(lambda: G.synthesis(torch.randn([1, 6, 512])))
    assert row["gflop"] == pytest.approx(work / 1e9) and 0 < row["mfu"] < 1


def test_sides_that_cannot_be_are_refused_in_a_line(tmp_path):
    for given, words in (
        (["--ours", "fp8"], "fp32, bf16 or fp16"),
        (["--ours", "fp16"], "fp16 needs a CUDA device"),
        (["--ada", str(tmp_path / "nowhere")], "no such folder"),
        (["--ours"], "nothing to time"),
        (["--graphs"], "graphs"),
    ):
        with pytest.raises(SystemExit, match=words):
            training.main([*TOY, *given])


def test_nvidias_two_peers_are_refused_together_on_cuda(tmp_path):
    args = options_of(device="cuda", ada=tmp_path, stylegan3=tmp_path)
    with pytest.raises(SystemExit, match="not both"):
        peers.peers_of(args, PRESETS["16t"])


def test_peers_without_networks_of_these_widths_are_left_out(tmp_path, capsys):
    (tmp_path / "model.py").write_text("")
    args = options_of(rosinality=tmp_path, peer_precision="fp32")
    assert peers.peers_of(args, PRESETS["64s"]) == []
    assert "no network of these widths" in capsys.readouterr().err
    assert [peer.name for peer in peers.peers_of(args, PRESETS["256e"])] == ["rosinality"]
    assert "model" not in sys.modules and str(tmp_path) not in sys.path
