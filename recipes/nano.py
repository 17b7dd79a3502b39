"""The recipe of the embedded reasoner: its shape and how it is trained from scratch."""

from __future__ import annotations

from pydantic import Field

from recipes.section import Section


class NanoModel(Section):
    layers: int = Field(default=8, ge=4, description="decoder layers")
    hidden_size: int = Field(default=64, description="width of the residual stream")
    heads: int = Field(default=4, description="attention heads")
    key_value_heads: int = Field(default=2, description="key/value heads")
    head_size: int = Field(default=32, description="width of a head (vLLM's CPU build cannot run 16)")
    intermediate_size: int = Field(default=192, description="width of the MLP")


class NanoTraining(Section):
    steps: int = Field(default=1100, ge=1, description="optimizer steps")
    learning_rate: float = Field(default=1.5e-3, gt=0, description="peak learning rate")
    warmup_steps: int = Field(default=50, ge=1, description="linear warm-up")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay")
    padded_tokens: int = Field(default=2048, ge=256, description="padded tokens per batch")
    mixture: dict[str, float] = Field(
        default={"knowledge": 0.3, "shallow": 0.3, "chain": 0.4}, description="share of each family in the traces"
    )
    curriculum: list[int] = Field(default=[3, 8, 14, 24], description="longest chain at each stage")
    curriculum_loss: float = Field(default=0.12, gt=0, description="running loss below which the next stage begins")
    ways_from_step: int | None = Field(
        default=None,
        ge=0,
        description="step from which chains are solved in several ways, with slips (the second world); "
        "null: never (the first world)",
    )


class NanoRecipe(Section):
    seed: int = Field(default=1, description="seed of the initial weights and of the traces")
    model: NanoModel = NanoModel()
    training: NanoTraining = NanoTraining()
    then: NanoTraining | None = Field(
        default=None, description="a second training of the same model, with an optimizer and a schedule of its own"
    )
