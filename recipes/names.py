"""Names that users of TRL, axolotl, LLaMA-Factory and torchtune type, each with the key that means the same here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

FOREIGN_NAMES: dict[str, str] = {
    # model
    "base_model": "model.unpruned", "model_name_or_path": "model.unpruned", "model_name": "model.unpruned",
    "checkpoint_dir": "model.unpruned", "teacher": "model.unpruned", "student": "model.pruned",
    "torch_dtype": "model.dtype", "bf16": "model.dtype", "fp16": "model.dtype", "precision": "model.dtype",
    "attn_implementation": "model.attention", "flash_attn": "model.attention", "flash_attention": "model.attention",
    "trust_remote_code": "model.trust_remote_code",
    # adapter
    "lora_r": "adapter.r", "lora_rank": "adapter.r", "rank": "adapter.r",
    "lora_alpha": "adapter.alpha", "lora_dropout": "adapter.dropout",
    "lora_target_modules": "adapter.targets", "lora_target": "adapter.targets", "target_modules": "adapter.targets",
    "lora_target_linear": "adapter.targets", "lora_attn_modules": "adapter.targets",
    "load_in_4bit": "adapter.method", "quantization": "adapter.method", "quantization_bit": "adapter.method",
    "use_rslora": "adapter.rank_stabilised", "use_dora": "adapter.method", "peft_use_dora": "adapter.method",
    "use_peft": "adapter.method", "finetuning_type": "adapter.method", "adapter_type": "adapter.method",
    # data
    "max_length": "data.max_length_tokens", "max_seq_length": "data.max_length_tokens",
    "max_seq_len": "data.max_length_tokens", "sequence_len": "data.max_length_tokens",
    "cutoff_len": "data.max_length_tokens", "block_size": "data.max_length_tokens",
    "dataset": "data.traces.id", "datasets": "data.traces.id", "dataset_name": "data.traces.id",
    "template": "data.format.name", "prompt_template": "data.format.name",
    "dataset_split": "data.traces.split", "train_file": "data.traces.path",
    "data_files": "data.traces.path", "formatting": "data.traces.format", "dataset_type": "data.traces.format",
    "interleave_probs": "data.traces.parts.N.weight", "subset": "data.traces.config", "streaming": "data.traces.access",
    "think_open": "data.format.open", "think_close": "data.format.close", "stop_token": "data.format.stop",
    "dataset_exact_deduplication": "data.duplicates.exact", "dedup": "data.duplicates.exact",
    "deduplicate": "data.duplicates.exact", "minhash_threshold": "data.duplicates.threshold",
    "ngram_size": "data.decontaminate.n", "num_generations": "data.traces.samples",
    # trainer
    "lr": "trainer.learning_rate", "micro_batch_size": "trainer.per_device_train_batch_size",
    "batch_size": "trainer.per_device_train_batch_size", "num_epochs": "trainer.num_train_epochs",
    "epochs": "trainer.num_train_epochs", "gradient_accumulation": "trainer.gradient_accumulation_steps",
    "grad_accum": "trainer.gradient_accumulation_steps", "optimizer": "trainer.optim",
    "lr_scheduler": "trainer.lr_scheduler_type", "warmup_ratio": "trainer.warmup_steps",
    "packing": "data.packing", "sample_packing": "data.packing", "neat_packing": "data.packing",
    "padding_free": "data.packing", "dataset_num_proc": "data.workers", "preprocessing_num_workers": "data.workers",
    "dataset_processes": "data.workers", "dataset_prepared_path": "data.cache_dir",
    "gradient_clipping": "trainer.max_grad_norm",
    # zero
    "deepspeed": "zero.config", "deepspeed_config": "zero.config", "zero_stage": "zero.stage",
    "offload_params": "zero.offload_parameters", "offload_param": "zero.offload_parameters",
    "nvme_path": "zero.nvme_dir",
    # run, sweep, W&B
    "save_best": "keep_best", "metric_for_best_model": "keep_best", "early_stopping_patience": "early_stop.times",
    "early_stopping": "early_stop.on", "resume.force": "run.resume_force", "export.from": "export.checkpoint",
    "output_dir": "run.dir", "output": "run.dir", "run_dir": "run.dir",
    "resume_from_checkpoint": "run.resume", "auto_resume_from_checkpoints": "run.resume",
    "eval_steps": "sweep.every_steps", "max_new_tokens": "sweep.answer_tokens", "n": "sweep.samples",
    "num_samples": "sweep.samples", "thinking_budgets": "sweep.budgets",
    "max_num_seqs": "sweep.engine.max_sequences", "max_model_len": "sweep.engine.context_tokens",
    "gpu_memory_utilization": "sweep.engine.gpu_memory_share",
    "tensor_parallel_size": "sweep.engine.tensor_parallel", "base_url": "sweep.engine.url",
    "wandb_project": "wandb.project", "wandb_entity": "wandb.entity", "wandb_group": "wandb.group",
    "wandb_mode": "wandb.mode", "report_to": "wandb.mode", "data_seed": "seed",
    "full_determinism": "deterministic", "use_deterministic_algorithms": "deterministic",
}


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most like `name`, or None where none is like it; capitals and `-` for `_` do not count."""
    plain = {entry.lower().replace("-", "_"): entry for entry in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), plain, n=1, cutoff=cutoff)
    return plain[found[0]] if found else None
