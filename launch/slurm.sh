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
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=USR1@900
# Fifteen minutes before the end every rank gets SIGUSR1: the run saves, exits with code 75, and is requeued below. A step and
# a save must fit into that time. Give run.dir, or a requeued job would start a new run. When Slurm preempts it (SIGTERM to
# every rank, then GraceTime), it saves in the same way, and Slurm requeues it (--requeue).
set -uo pipefail

export PATH="$PWD/.venv/bin:$PATH"
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 12000))  # below the ports that Linux assigns (from 32768)
export WORLD_SIZE=$SLURM_NTASKS
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

# Without "B:" the signal goes to the ranks, not to this script. SIGTERM (scancel, preemption) reaches the script too; it
# must outlive that to see the code of the ranks. A trap that does nothing, unlike one that ignores, is not inherited.
trap : TERM USR1

# Each task is one rank. --cpus-per-task is repeated, since Slurm 22.05 and later does not pass it on to srun. No
# --kill-on-bad-exit: the first rank to leave with 75 would have the others killed, and the code of the step would be
# theirs. So a rank that fails ends the others after 30 seconds, if they have not noticed before.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=30 bash -c \
    'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE \
     exec python -u launch/train.py "$@"' rank "$@"
code=$?
if [ "$code" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
