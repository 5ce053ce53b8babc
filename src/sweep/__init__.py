"""The sweep: every snapshot of a run blended at every resolution, scored, ranked, one recommended (arXiv 2010.05334).

`run.run_sweep(run_dir, resolutions)` does it from Python; `sweeper` is Hydra's side, for `python sweep.py`.
"""
