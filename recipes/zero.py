"""The `zero` section: how DeepSpeed shards a model over ranks, and where the shards are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from recipes.section import Section

Place = Literal["none", "cpu", "nvme"]


class ZeroSection(Section):
    stage: Literal[0, 1, 2, 3] = Field(default=2, description="ZeRO stage; 0 in one process runs without DeepSpeed")
    offload_optimizer: Place = Field(default="none", description="where optimizer states are kept (nvme: stage 3 only)")
    offload_parameters: Place = Field(default="none", description="where parameters are kept (stage 3 only)")
    nvme_dir: Path | None = Field(default=None, description="folder on a local NVMe disk for offloaded states")
    bucket_size: int = Field(default=50_000_000, ge=1, description="elements reduced or gathered at once")
    config: Path | None = Field(
        default=None,
        description="your own DeepSpeed JSON, used instead of the one made from these keys; auto values are filled "
        "in, and contradictions with the recipe are refused",
    )

    @model_validator(mode="after")
    def _offload_needs_a_stage(self) -> Self:
        if self.offload_parameters != "none" and self.stage != 3:
            raise ValueError(f"offload_parameters={self.offload_parameters} needs stage=3, got stage={self.stage}")
        if self.offload_optimizer == "nvme" and self.stage != 3:
            raise ValueError(f"offload_optimizer=nvme needs stage=3, got stage={self.stage}")
        if self.offload_optimizer != "none" and self.stage == 0:
            raise ValueError(f"offload_optimizer={self.offload_optimizer} needs stage 1, 2 or 3, got stage=0")
        if self.config is not None and self.stage == 0:
            raise ValueError(f"config={self.config} needs stage 1, 2 or 3, got stage=0")
        if "nvme" in (self.offload_optimizer, self.offload_parameters) and self.nvme_dir is None:
            raise ValueError("offload to nvme needs nvme_dir, a folder on a local NVMe disk")
        return self
