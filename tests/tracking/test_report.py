"""The HTML report: self-contained, whatever is missing, with what decides in it."""

import json
import re
import shutil

from PIL import Image

from src.tracking import write_run_report, write_sweep_report

from .conftest import jsonl


def test_inceptions_numbers_are_called_fid(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row["protocol"]["extractor"] = "inception"
        row["fid"] = row.pop("frechet")
    jsonl(run / "metrics.jsonl", rows)
    text = write_run_report(run).read_text()
    assert ">FID</th>" in text and "<strong>FID</strong>" in text
    assert "Fréchet" not in text and "not FID" not in text


def test_what_was_measured_in_another_way_is_in_the_table_alone(run):
    shutil.rmtree(run / "sweeps")  # in whose place the page says the lowest KID
    text = write_run_report(run).read_text()
    assert "another way" not in text and "Lowest KID so far 0.4000 at 1 kimg" in text
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows[1]["protocol"]["n_fake"] = 50_000
    jsonl(run / "metrics.jsonl", rows)
    text = write_run_report(run).read_text()
    assert "1 earlier evaluations were measured in another way" in text
    assert "Lowest KID so far 0.5000 at 2 kimg" in text and 'data-name="KID">0.4 ' in text


def test_a_whole_report(run):
    text = write_run_report(run).read_text()
    assert "Use kimg-1 at 16, it is best." in text
    assert "★ 0.76" in text
    assert text.count('<span class="tag best">') == 1
    assert text.count('<span class="tag">past best</span>') == 1
    assert "40.5 img/s" in text
    assert "Fréchet (embedded)" in text
    assert ">FID<" not in text
    assert "64 common codes" in text
    assert "9 generated against 8 real" in text
    assert text.count("url(#hatch)") == 2


def test_a_page_does_not_grow_with_the_length_of_the_log(run):
    sizes = []
    for count in (2000, 20_000):
        jsonl(run / "log.jsonl", [{"kimg": 0.2 * i, "loss/G": i % 7, "loss/D": i % 5} for i in range(count)])
        sizes.append(write_run_report(run).stat().st_size)
    assert sizes[1] < 1.1 * sizes[0]


def test_the_recommended_blend_stands_beside_what_it_is_made_of(run):
    text = write_run_report(run).read_text()
    trio = re.search(r'<div class="trio">(.*?)</div>', text, re.DOTALL)[1]
    captions = ["original network", "fine-tuned, 1 kimg", "recommended blend, at 16"]
    assert re.findall("<figcaption>(.*?)</figcaption>", trio) == captions
    assert trio.count("<img ") == 3


def test_every_axis_of_the_score_is_listed_whatever_it_is(run):
    text = write_sweep_report(run / "sweeps" / "s").read_text()
    assert '<th class="num">cartoon shape adopted</th>' in text and '<th class="num">colour kept</th>' in text
    assert text.count('data-name="colour kept">0.27</td>') == 4
    assert "S<sup>0.5</sup> R<sup>0.25</sup> C<sup>0.25</sup>" in text
    assert text.count('<span class="axes">S 0.51 · R 0.83 · C 0.27</span>') == 4
    assert "kimg-1/16: CariScore 0.760, S 0.51, R 0.83, C 0.27, best in 25%</title>" in text
    assert "kimg-2/16: CariScore 0.760, S 0.51, R 0.83, C 0.27, best in 25%; fails correspondence</title>" in text


def test_what_is_to_be_said_beside_the_recommendation_stands_under_it(run):
    text = write_run_report(run).read_text()
    assert "<li>Landmarks by network.</li>" in text
    assert "<li>The score still rises at the last snapshot: &lt;train&gt; longer.</li>" in text
    assert "24 pictures (training pictures), landmarks by\nnetwork" in text


def test_a_ranking_by_the_earlier_score_shows_none_of_its_numbers(run):
    path = run / "sweeps/s/ranking.json"
    ranking = json.loads(path.read_text())
    for name in ("axes", "remarks", "candidates", "landmarks", "cartoons"):
        del ranking[name]
    path.write_text(json.dumps({**ranking, "indistinguishable": ["kimg-1/16"]}))
    text = write_run_report(run).read_text()
    assert "Use kimg-1 at 16, it is best." in text
    assert "Ranked by an earlier score that does not compare with that of today: run sweep.py again" in text
    assert "0.76" not in text and "Every blend" not in text


def test_it_needs_nothing_from_outside(run):
    for path in (write_run_report(run), write_sweep_report(run / "sweeps" / "s")):
        text = path.read_text()
        assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
        assert not re.search(r"url\((?!#hatch\))", text)
        assert all(re.match("data:image/(jpeg|webp);base64,", src) for src in re.findall(r'<img src="([^"]+)"', text))


def test_what_comes_from_files_is_escaped(run):
    text = write_run_report(run).read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png: empty file" in text


def test_every_link_to_a_cell_has_its_target(run):
    page = write_sweep_report(run / "sweeps" / "s")
    targets = set(re.findall(r'<figure id="([^"]+)"', page.read_text()))
    assert len(targets) == 4 and set(re.findall(r'href="#([^"]+)"', page.read_text())) == targets
    links = re.findall(r'<a href="([^"#]+)#([^"]+)"', write_run_report(run).read_text())
    assert {run / path for path, _ in links} == {page} and {name for _, name in links} == targets


def test_missing_parts_are_left_out(run, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    assert "No evaluation" in write_run_report(bare).read_text()
    for name in ("run.json", "log.jsonl", "samples/kimg-1.jpg", "sweeps/s/cells/1-8.jpg"):
        (run / name).unlink()
    (run / "sweeps/s/ranking.json").write_text("{ broken")
    (run / "sweeps/s/cells/1-16.jpg").write_bytes(b"not a picture")
    assert "Snapshots" in write_run_report(run).read_text()


def test_snapshots_that_were_not_evaluated_are_shown_by_their_samples(run):
    rows = (run / "metrics.jsonl").read_text().splitlines()
    shown = write_run_report(run).read_text().count("samples at ")
    (run / "metrics.jsonl").write_text(rows[0] + "\n")
    Image.new("RGB", (64, 64)).save(run / "samples" / "kimg-000077.50.jpg")
    text = write_run_report(run).read_text()
    assert "samples at 77.5 kimg" in text
    assert text.count("samples at ") == len(list((run / "samples").glob("*.jpg")))
    (run / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    assert write_run_report(run).read_text().count("samples at ") == shown + 1


def test_a_renamed_run_is_called_by_its_folder(run, tmp_path):
    moved = run.rename(tmp_path / "another name")
    assert "<h1>another name</h1>" in write_run_report(moved).read_text()


def test_what_is_not_listed_is_counted(run):
    facts = json.loads((run / "run.json").read_text())
    facts["dataset"]["report"] = {"skipped": {f"{i}.png": "empty file" for i in range(60)}}
    (run / "run.json").write_text(json.dumps(facts))
    text = write_run_report(run).read_text()
    assert "39.png: empty file; and 20 more, in run.json" in text and "40.png" not in text


def test_a_sweep_without_a_recommendation(run):
    path = run / "sweeps/s/ranking.json"
    ranking = {**json.loads(path.read_text()), "recommended": None, "sentence": "No blend is recommended."}
    path.write_text(json.dumps(ranking))
    assert "No blend is recommended." in write_run_report(run).read_text()
