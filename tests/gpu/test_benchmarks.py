"""The tables of experiments/speed on a CUDA device."""

import pytest

from tests.test_speed_benchmarks import TABLES, TOY


@pytest.mark.parametrize("name", TABLES)
def test_a_table_on_cuda(name):
    module, extra, _ = TABLES[name]
    precisions = ["fp32", "bf16"] if name == "projection" else ["fp32", "bf16", "fp16"]
    result = module.main([*TOY, *extra, "--device", "cuda", "--ops", "required", "--mfu", "--ours", *precisions])
    assert all(row["peak_mib"] > 0 and row["mfu"] >= 0 for row in result["rows"])
