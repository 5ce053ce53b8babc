#!/usr/bin/env bash
# train.py and sweep.py on a cluster, and what they leave beside what one process leaves.
#     SLURM_CONF=... PYTHON=.venv/bin/python experiments/slurm/trial.sh FOLDER train|array|submitit
set -euo pipefail
cd "$(dirname "$0")/../.."
here=experiments/slurm folder=$(realpath -m "$1") what=$2
export PYTHON=${PYTHON:-python} OMP_NUM_THREADS=1
mkdir -p "$folder"
wait_for() { until [ -z "$(squeue -h -j "$1" 2> /dev/null)" ]; do sleep 1; done; }

if [ "$what" = train ]; then
    options=(pretrained=none model=tiny loss=scratch dataset=demo dataset.num_images=24 dataset.resolution=16 batch=4
        metrics=none tracker=none trainer.progress=false 'snapshot.kimg=[0,1,6]' "paths.runs=$folder")
    job=$(sbatch --parsable --time=1 --signal=USR1@30 --output="$folder/train.out" "$here/train.sbatch" "${options[@]}" run=queued)
    wait_for "$job"
    "$PYTHON" train.py "${options[@]}" run=plain > "$folder/plain.out"
    grep -E "^stopped by|^done" "$folder/train.out"
    for name in kimg-000001.00 kimg-000006.00; do
        "$PYTHON" - "$folder"/{queued,plain}/snapshots/$name.safetensors <<< 'if True:
            import sys, torch
            from safetensors.torch import load_file
            a, b = map(load_file, sys.argv[1:])
            print(sys.argv[1][-27:], all(torch.equal(a[k], b[k]) for k in b))'
    done
    exit
fi
options=("run=$folder/$what" 'blend.res=[8,16]' n_latents=16 gates=false tracker=none name=cells)
if [ "$what" = array ]; then
    job=$(sbatch --parsable --array=0-2 --output="$folder/array-%a.out" "$here/sweep.sbatch" "${options[@]}")
    until grep -q "cells," "$folder"/array-*.out 2> /dev/null; do sleep 0.2; done
    scancel --signal=KILL "${job}_0" # a worker is lost in the middle
    wait_for "$job"
else
    "$PYTHON" sweep.py "${options[@]}" hydra/launcher=submitit_slurm hydra.launcher.timeout_min=5
fi
"$PYTHON" sweep.py "run=$folder/plain" "${options[@]:1}" > "$folder/plain.out"
sha256sum "$folder"/{plain,$what}/sweeps/cells/{ranking.json,cells.jsonl}
wc -l "$folder/$what/sweeps/cells/features/cells.jsonl"
