"""Caricature models with StyleGAN2: fine-tune, snapshot, blend, choose, render.

Importing this package builds nothing and reads nothing; each folder is one room (see README, "Where things are").
"""

import os

# How long an idle thread of GNU OpenMP spins before it sleeps, in rounds; read when PyTorch is first imported. The
# library's own 300,000 are milliseconds, in which it takes the core from the thread that it waits for as soon as
# another program runs: training is then many times slower (experiments/speed/README.md, "Beside other programs").
SPIN_ROUNDS = 10000
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = str(SPIN_ROUNDS)
