#!/bin/bash
# One run on N nodes of 8 GPUs:   sbatch --nodes=2 launch/slurm.sh recipe=qwen3_8b_full.yaml run.dir=runs/mine
# Submit it from the repository's root. Not run under Slurm yet: only the way in which it starts ranks was tested.
#SBATCH --job-name=chainmend
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.out
#SBATCH --requeue
#SBATCH --signal=USR1@900
# Fifteen minutes before the end every rank gets SIGUSR1: the run saves and leaves with code 75, and is queued again below.
# A step and a save must fit into that time. Give run.dir, or a queued-again job would begin a new run.
set -uo pipefail

export PATH="$PWD/.venv/bin:$PATH"
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export WORLD_SIZE=$SLURM_NTASKS LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK

# Each task is one rank. A rank that fails ends the others.
srun --kill-on-bad-exit=1 --wait=60 bash -c \
    'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID exec python -u launch/train.py "$@"' rank "$@"
code=$?
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
