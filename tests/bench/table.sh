#!/usr/bin/env bash
# The measured table of the README: the unpruned reasoner, what pruning leaves of it, and what recovery brings back.
set -euo pipefail
out=${1:-runs/table}
models=data_prep/nano_model
cut() {  # name, then the plan's keys
  local name=$1; shift
  python -m prune recipe=full_recovery.yaml "$@" output="$out/$name" >/dev/null
  models+=",$out/$name"
}
cut shortgpt-1 prune.method=shortgpt prune.layers=1
cut shortgpt-2 prune.method=shortgpt prune.layers=2
cut shortgpt-3 prune.method=shortgpt prune.layers=3
cut tail-1 prune.layers=1
cut tail-2 prune.layers=2
for method in full lora; do
  deepspeed launch/train.py recipe=${method}_recovery.yaml run.dir="$out/$method" wandb.mode=disabled > "$out/$method.log" 2>&1
  ln -sfn "$method/export" "$out/recovered-$method"
  models+=",$out/recovered-$method"
done
python -m eval model="$models" recipe=full_recovery.yaml out="$out/sweeps"
python -m eval.compare "$out/full" "$out/lora" out="$out/compare"
