"""The engines of a sweep: what decodes, where its weights are, and how much of a machine it may use.

Each section declares what its engine can do, so that no other code depends on its name or class:

    in_process           whether it decodes on weights loaded into this process; if not, rank 0 alone drives it
    takes_checkpoints    whether it runs the checkpoint it is given; an endpoint serves weights of its own
    thoughts_at_once     largest number of thoughts decoded concurrently
    memory_gb            memory that it may take on a rank besides the weights; None if it runs in its own process
    gpu_memory_share     share of a GPU that it reserves for itself; None if it reserves none

A new engine is a section here, a file in `eval/engines` and an entry in the table of `eval.engines.choose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recipes.section import Section


class HFEngine(Section):
    in_process: ClassVar[bool] = True
    takes_checkpoints: ClassVar[bool] = True
    gpu_memory_share: ClassVar[None] = None

    name: Literal["hf"] = Field(default="hf", description="in process, on the training weights")
    batch_size: int = Field(default=256, ge=1, description="largest number of thoughts decoded at once on a rank")
    memory_gb: float = Field(
        default=4.0,
        gt=0,
        description="memory that a sweep may take on a rank in addition to the weights (cache, logits); if it is too "
        "small for batch_size, fewer thoughts are decoded at once",
    )
    cuda_graphs: bool = Field(
        default=True,
        description="on a GPU: decode by CUDA graphs, captured at the beginning of a sweep and freed at its end",
    )

    @property
    def thoughts_at_once(self) -> int:
        return self.batch_size


class ServerEngine(Section):
    in_process: ClassVar[bool] = False
    takes_checkpoints: ClassVar[bool] = False
    memory_gb: ClassVar[None] = None
    gpu_memory_share: ClassVar[None] = None
    aliases: ClassVar[Mapping[str, str]] = {  # OpenAI's client
        "base_url": "url",
        "max_retries": "retries",
        "timeout": "timeout_seconds",
    }

    name: Literal["server"] = Field(
        description="an OpenAI-compatible completions endpoint that serves the model (not in training); chainmend "
        "cannot tell which weights it serves, so give each model its own `out`"
    )
    url: str = Field(description="base address, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the model's name at the endpoint")
    key_variable: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key, if one is needed"
    )
    concurrency: int = Field(default=16, ge=1, description="thoughts in progress at once, each with one call")
    prompt_as: Literal["ids", "text"] = Field(
        default="ids",
        description="how prompts are sent: token ids (vLLM, SGLang, llama.cpp), or text if it takes no ids (TGI)",
    )
    retries: int = Field(
        default=4, ge=0, description="retries after a failed call, after growing pauses or as Retry-After says"
    )
    timeout_seconds: float = Field(default=600.0, gt=0, description="longest wait for one call")

    @property
    def thoughts_at_once(self) -> int:
        return self.concurrency


class VllmEngine(Section):
    in_process: ClassVar[bool] = False
    takes_checkpoints: ClassVar[bool] = True
    memory_gb: ClassVar[None] = None
    aliases: ClassVar[Mapping[str, str]] = {  # vLLM's engine arguments
        "max_num_seqs": "max_sequences",
        "max_model_len": "context_tokens",
        "gpu_memory_utilization": "gpu_memory_share",
        "tensor_parallel_size": "tensor_parallel",
    }

    name: Literal["vllm"] = Field(
        description="vLLM offline, in a process of its own that loads the checkpoint (a folder or an adapter folder)"
    )
    python: Path | None = Field(
        default=None,
        description="the python of the environment that has vLLM; default: the one that runs chainmend. "
        "vLLM pins another transformers, so give it an environment of its own",
    )
    max_sequences: int = Field(default=256, ge=1, description="thoughts in progress at once")
    context_tokens: int | None = Field(
        default=None,
        ge=1,
        description="longest prompt, thought and answer together; default: "
        "the model's context. Set it if the cache of a whole context does not fit into memory",
    )
    gpu_memory_share: float = Field(
        default=0.9, gt=0, le=1, description="share of a GPU's memory for weights and cache"
    )
    cpu_cache_gib: int = Field(default=4, ge=1, description="memory for the key/value cache when vLLM runs on a CPU")
    tensor_parallel: int = Field(default=1, ge=1, description="GPUs that share the model")
    enforce_eager: bool = Field(
        default=False, description="no CUDA graphs and no compilation: starts sooner, decodes slower"
    )
    start_seconds: float = Field(default=900.0, gt=0, description="longest wait until vLLM has loaded the model")
    silent_seconds: float = Field(
        default=300.0, gt=0, description="vLLM is considered dead if it sends nothing for this long"
    )

    @property
    def thoughts_at_once(self) -> int:
        return self.max_sequences


EngineSection = Annotated[HFEngine | ServerEngine | VllmEngine, Field(discriminator="name")]
