"""The private and undocumented names of the libraries that the code leans on, and how it takes each of them.

An entry is checked by `tests/test_upstream.py`, which also finds the modules that use its name.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

HIDDEN = {"self", "ctx", "cls"}
VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Use:
    """name: a word of our source; upstream: module:path of the object that is checked; check: is it as we take it?"""

    name: str
    upstream: str
    check: Check
    taken: str = "by name"

    def __str__(self) -> str:
        return f"{self.name} of {self.upstream.partition('.')[0].partition(':')[0]}"


def takes(*names: str) -> tuple[Check, str]:
    """A function whose parameters (without self and ctx) begin with `names`, and that needs no others."""

    def check(function: Any) -> bool:
        parameters = [each for each in inspect.signature(function).parameters.values() if each.name not in HIDDEN]
        others = parameters[len(names) :]
        needed = [each for each in others if each.default is each.empty and each.kind not in VARIABLE]
        return [each.name for each in parameters[: len(names)]] == list(names) and not needed

    return check, f"({', '.join(names)})"


def says(*texts: str) -> tuple[Check, str]:
    """A function or class whose source has all the `texts`, in this order: what it does is not in its signature."""

    def check(function: Any) -> bool:
        source, at = inspect.getsource(function), 0
        for text in texts:
            at = source.find(text, at) + 1
            if not at:
                return False
        return True

    return check, f"its source says {' … '.join(texts)}"


def there(thing: Any) -> bool:
    return thing is not None


def keeps_a_dictionary(state: Any) -> bool:
    """The state of a guard is an entry of the dictionary, and comes back from a file as it was."""
    return bool(state(stateful_callbacks={"guard": {"good": [1.0]}}).stateful_callbacks == {"guard": {"good": [1.0]}})


def order_is_of_the_seed(sampler: Any) -> bool:
    """Another order every epoch, and the same one for the same seed and epoch."""
    drawn, later = sampler(range(9), data_seed=1), sampler(range(9), data_seed=1)
    later.set_epoch(1)
    first, second = list(drawn), list(later)
    return first != second and list(drawn) == second


def is_not_saved(config: Any) -> bool:
    """No file of a checkpoint holds the name of an attention that only this code knows."""
    return "chainmend" not in str(config(attn_implementation="chainmend").to_dict())


def needs_what_a_slot_layer_has(layer: Any) -> bool:
    from eval.engines.slot_cache import SlotLayer

    return layer.__abstractmethods__ <= set(vars(SlotLayer))


def reads_what_we_give(module: Any) -> bool:
    """DeepSpeed's converter of checkpoints is a command: its arguments are the namespace that we give it."""
    read = set(re.findall(r"\bargs\.(\w+)", inspect.getsource(module)))
    given = (
        "input_folder output_folder num_extract_workers num_merge_workers keep_temp_folder strict inject_missing_state"
    )
    return read == set(given.split())


def has_shapes_alone(mode: Any) -> bool:
    import torch

    with mode():
        return type(torch.empty(3, 2) @ torch.empty(2, 5)).__name__ == "FakeTensor"


def multiplies_plain_weights(mkldnn: Any) -> bool:
    """Where torch is built with oneDNN, its product takes weights that are not packed."""
    import torch

    if not mkldnn.is_available():
        return True
    operator = torch.ops.mkldnn._linear_pointwise.default
    return [each.name for each in operator._schema.arguments] == ["X", "W", "B", "attr", "scalars", "algorithm"]


CHUNKED = "trl.kernels.chunked_logprob"
ZERO_1_2 = "deepspeed.runtime.zero.stage_1_and_2:DeepSpeedZeroOptimizer"
ZERO_3 = "deepspeed.runtime.zero.stage3:DeepSpeedZeroOptimizer_Stage3"
QWEN3 = "transformers.models.qwen3.modeling_qwen3"
MASKS = "transformers.masking_utils:_preprocess_mask_arguments"


USES = [
    # the Trainer of transformers: what is overridden, called or read
    Use("_get_train_sampler", "transformers:Trainer._get_train_sampler", *takes("train_dataset")),
    Use("_get_train_sampler", "transformers:Trainer.get_train_dataloader", *says("sampler_fn=self._get_train_sampler")),
    Use("_get_grad_norm", "transformers:Trainer._get_grad_norm", *takes("model", "grad_norm")),
    Use(
        "_get_grad_norm",  # a step is judged before the optimizer takes it
        "transformers:Trainer._run_epoch",
        *says("self._get_grad_norm(", "self.optimizer.step()", "on_step_end("),
    ),
    Use(  # what the log takes for a loss that is not finite is chosen on the device
        "_tr_loss",
        "transformers:Trainer._run_epoch",
        *says(
            "self.args.logging_nan_inf_filter",
            "self._tr_loss += self._tr_loss / (1 + self.state.global_step - self._globalstep_last_logged)",
            "self._tr_loss += tr_loss_step",
        ),
    ),
    Use(
        "_globalstep_last_logged",
        "transformers:Trainer._maybe_log_save_evaluate",
        *says("(self.state.global_step - self._globalstep_last_logged)"),
    ),
    Use(  # accumulation is the Trainer's, and Accelerate is told of it before it compares with DeepSpeed
        "gradient_accumulation_steps",
        "accelerate:Accelerator._prepare_deepspeed",
        *says("!= self.gradient_accumulation_steps", "self.gradient_accumulation_steps = deepspeed_"),
    ),
    Use("_internal_call", "transformers:Trainer.save_model", *takes("output_dir", "_internal_call")),
    Use("stateful_callbacks", "transformers:TrainerState", lambda state: state().stateful_callbacks == {}),
    Use("stateful_callbacks", "transformers:TrainerState", keeps_a_dictionary),
    Use("label_smoother", "transformers:Trainer.__init__", *says("self.label_smoother = ")),
    Use("is_deepspeed_enabled", "transformers:Trainer", *says("self.is_deepspeed_enabled = ")),
    Use("model_wrapped", "transformers:Trainer", *says("self.deepspeed = self.model_wrapped")),
    Use(  # ours stands there after the engine is made, and is what `accelerator.backward` calls
        "deepspeed_engine_wrapped",
        "accelerate:Accelerator._prepare_deepspeed",
        *says("if self.deepspeed_engine_wrapped is None", "DeepSpeedEngineWrapper(engine)"),
    ),
    Use(
        "deepspeed_engine_wrapped",
        "accelerate:Accelerator.backward",
        *says("self.deepspeed_engine_wrapped.backward(loss, sync_gradients=self.sync_gradients"),
    ),
    Use(  # ours does the same, with the guard between
        "DeepSpeedEngineWrapper",
        "accelerate.utils:DeepSpeedEngineWrapper.backward",
        *says(
            "self.engine.set_gradient_accumulation_boundary(is_boundary=sync_gradients)",
            "self.engine.backward(",
            "if sync_gradients",
            "self.engine.step()",
        ),
    ),
    Use("unset_hf_deepspeed_config", "transformers.integrations.deepspeed:unset_hf_deepspeed_config", *takes()),
    # grading in the worker: the parser of LaTeX, the comparison that is replaced, and the precision of a zero
    Use("_Latex2Sympy", "latex2sympy2_extended.latex2sympy2:_Latex2Sympy", *takes()),
    Use("sympy_numeric_eq", "math_verify.grader:sympy_numeric_eq", there),
    Use("_prec", "sympy:Float", lambda number: number(1)._prec > 1),
    Use(
        "_compile_jinja_template",
        "transformers.utils.chat_template_utils:_compile_jinja_template",
        *takes("chat_template"),
    ),
    Use("deepspeed_plugin", "accelerate.state:AcceleratorState", *says("def deepspeed_plugin(")),
    Use("data_seed", "accelerate.data_loader:SeedableRandomSampler", order_is_of_the_seed),
    Use("set_epoch", "accelerate.data_loader:SeedableRandomSampler.set_epoch", *takes("epoch")),
    # attention of transformers
    Use("_attn_implementation", "transformers:PreTrainedConfig._attn_implementation", there),
    Use("_attn_implementation", "transformers:PreTrainedConfig", is_not_saved),
    Use("_supports_sdpa", "transformers:Qwen3ForCausalLM._supports_sdpa", lambda can: can is True),
    Use("_is_stateful", "transformers:RwkvForCausalLM._is_stateful", lambda is_so: is_so is True),
    Use("_supports_attention_backend", "transformers:Qwen3ForCausalLM._supports_attention_backend", lambda can: can),
    Use(
        "ALL_ATTENTION_FUNCTIONS",
        f"{QWEN3}:ALL_ATTENTION_FUNCTIONS",
        lambda used: used is import_module("transformers.modeling_utils").ALL_ATTENTION_FUNCTIONS,
    ),
    Use("sdpa_mask", "transformers.masking_utils:sdpa_mask", there),
    Use(
        "sdpa_attention_forward",
        "transformers.integrations.sdpa_attention:sdpa_attention_forward",
        *takes("module", "query", "key", "value", "attention_mask"),
    ),
    Use("attention_mask", MASKS, *says("len(attention_mask.shape) == 4", "return True, attention_mask")),
    Use("AttentionMaskInterface", MASKS, *says("_attn_implementation not in ALL_MASK_ATTENTION_FUNCTIONS")),
    Use("apply_rotary_pos_emb", f"{QWEN3}:apply_rotary_pos_emb", *takes("q", "k", "cos", "sin", "unsqueeze_dim")),
    Use("variance_epsilon", f"{QWEN3}:Qwen3RMSNorm.forward", *says("self.variance_epsilon", "self.weight *")),
    Use("up_proj", f"{QWEN3}:Qwen3MLP.forward", *says("self.act_fn(self.gate_proj(x)) * self.up_proj(x)")),
    Use("slot_blocks", f"{QWEN3}:Qwen3Attention.forward", *says("attention_interface(", "**kwargs")),
    Use("cu_seq_lens_q", f"{QWEN3}:Qwen3DecoderLayer.forward", *says("self.self_attn(", "**kwargs")),
    # models, caches and tokenizers of transformers
    Use("CacheLayerMixin", "transformers.cache_utils:CacheLayerMixin", needs_what_a_slot_layer_has),
    Use("lazy_initialization", "transformers.cache_utils:CacheLayerMixin", *says("is_initialized", "keys", "values")),
    Use("SlotCache", "transformers.cache_utils:Cache", *takes("layers")),
    Use(
        "activation_checkpointing_enable",
        "transformers:PreTrainedModel.activation_checkpointing_enable",
        *takes("activation_checkpointing_kwargs"),
    ),
    Use("enable_input_require_grads", "transformers:PreTrainedModel.enable_input_require_grads", *takes()),
    Use(
        "get_checkpoint_conversion_mapping",
        "transformers.conversion_mapping:get_checkpoint_conversion_mapping",
        *takes("model_type"),
    ),
    Use("is_flash_attn_2_available", "transformers.utils.import_utils:is_flash_attn_2_available", *takes()),
    Use("validate", "transformers:GenerationConfig.validate", *takes("strict")),
    Use("__getstate__", "tokenizers.decoders:ByteLevel", lambda decoder: b'"type"' in decoder().__getstate__()),
    # a process that goes offline later than at its start
    Use("HF_HUB_OFFLINE", "huggingface_hub.constants:is_offline_mode", *says("return HF_HUB_OFFLINE")),
    Use("HF_HUB_OFFLINE", "transformers.utils.hub:cached_files", *says("is_offline_mode()", "local_files_only = True")),
    Use(
        "HF_HUB_OFFLINE", "datasets.utils.file_utils:_raise_if_offline_mode_is_enabled", *says("config.HF_HUB_OFFLINE")
    ),
    Use("HF_HUB_OFFLINE", "peft.utils.other:check_file_exists_on_hf_hub", *says('os.environ.get("HF_HUB_OFFLINE"')),
    # TRL
    Use(
        "compute_loss", "trl:SFTTrainer.compute_loss", *takes("model", "inputs", "return_outputs", "num_items_in_batch")
    ),
    Use("_metrics", "trl:SFTTrainer.__init__", *says('self._metrics = {"train": ')),
    Use("_metrics", "trl:SFTTrainer.log", *says("sum(val) / len(val)", "self._metrics[mode].clear()")),
    Use("_total_train_tokens", "trl:SFTTrainer.__init__", *says("self._total_train_tokens = 0")),
    Use("aux_loss_enabled", "trl:SFTTrainer.__init__", *says("self.aux_loss_enabled = ")),
    Use("skip_prepare_dataset", "trl:SFTTrainer.__init__", *says("skip_prepare_dataset")),
    Use(
        "DataCollatorForLanguageModeling",
        "trl.trainer.sft_trainer:DataCollatorForLanguageModeling",
        *takes("pad_token_id", "padding_free"),
    ),
    Use("seq_lengths", "trl.trainer.sft_trainer:DataCollatorForLanguageModeling", *says("seq_lengths")),
    Use("maybe_gather_lm_head_ctx", "trl.trainer.utils:maybe_gather_lm_head_ctx", *takes("params")),
    Use("add_hooks", "trl.models.utils:add_hooks", *takes("model")),
    Use("remove_hooks", "trl.models.utils:remove_hooks", *takes("model")),
    Use("TOKEN_CHUNK_SIZE", f"{CHUNKED}:TOKEN_CHUNK_SIZE", lambda size: isinstance(size, int)),
    Use("_CHUNKED_LOGPROB_CHUNK_SIZE", "trl.trainer.utils:_CHUNKED_LOGPROB_CHUNK_SIZE", lambda size: size > 0),
    Use(
        "ChunkedLogProbFunction",
        f"{CHUNKED}:ChunkedLogProbFunction.forward",
        *takes(
            "hidden",
            "weight",
            "bias",
            "targets",
            "temperature",
            "chunk_size",
            "final_logit_softcapping",
            "logit_scale",
            "outputs",
        ),
    ),
    # DeepSpeed
    Use("check_overflow", f"{ZERO_1_2}.check_overflow", there),
    Use("check_overflow", f"{ZERO_1_2}.step", *says("if self.check_grad_overflow", "self.check_overflow(")),
    Use("check_grad_overflow", f"{ZERO_1_2}.__init__", *says("self.check_grad_overflow = ")),
    Use("overflow", f"{ZERO_1_2}.step", *says("self.check_overflow(", "if self.overflow", "self.zero_grad(", "return")),
    Use("_overflow_check_and_loss_scale_update", f"{ZERO_3}._overflow_check_and_loss_scale_update", there),
    Use(
        "_overflow_check_and_loss_scale_update",
        ZERO_3,
        *says(
            "def step(", "self._overflow_check_and_loss_scale_update(", "if not self.overflow", "cleanup():", "return"
        ),
    ),
    Use("__compatible_ops__", "deepspeed.ops", *says('"__compatible_ops__"', "globals()", "return")),
    Use("deepspeed_shm_comm", "deepspeed.ops:op_builder.ShareMemCommBuilder", *says("deepspeed_shm_comm")),
    Use("ds_to_universal", "deepspeed.checkpoint.ds_to_universal", reads_what_we_give),
    Use("ds_to_universal", "deepspeed.checkpoint.ds_to_universal:main", *takes("args")),
    Use("latest_universal", "deepspeed:DeepSpeedEngine.load_checkpoint", *says('"latest_universal"')),
    Use("load_universal", "deepspeed.runtime.constants:LOAD_UNIVERSAL_CHECKPOINT", lambda key: key == "load_universal"),
    Use("ds_numel", "deepspeed.runtime.zero.partition_parameters:Init", *says("param.ds_numel = ")),
    Use("is_compatible", "deepspeed.ops.op_builder:AsyncIOBuilder.is_compatible", *takes("verbose")),
    Use("is_compatible", "deepspeed.ops.op_builder:CPUAdamBuilder.is_compatible", *takes("verbose")),
    # torch
    Use("_linear_pointwise", "torch.backends:mkldnn", multiplies_plain_weights),
    Use("_cdata", "torch:UntypedStorage", lambda storage: isinstance(storage(1)._cdata, int)),
    Use("_parameters", "torch.nn:Linear", lambda layer: list(layer(1, 1)._parameters) == ["weight", "bias"]),
    Use("_buffers", "torch.nn:BatchNorm1d", lambda layer: "running_mean" in layer(1)._buffers),
    Use("_subclasses", "torch._subclasses.fake_tensor:FakeTensorMode", has_shapes_alone),
    Use(
        "_python_dispatch", "torch.utils._python_dispatch:TorchDispatchMode.__torch_dispatch__", *takes("func", "types")
    ),
    Use("_pytree", "torch.utils._pytree:tree_leaves", lambda leaves: leaves({"a": [1, (2,)]}) == [1, 2]),
]
