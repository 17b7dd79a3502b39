"""The recipe reference as Markdown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recipes.keys import keys_of
from recipes.reference import page
from recipes.schema import Recipe
from recipes.section import Section


class Cat(Section):
    kind: Literal["cat"] = Field(description="it purrs")
    name: str = Field(description="what it is called")
    lives: int = Field(default=9, ge=1, description="a | b, <c>")


class Dog(Section):
    kind: Literal["dog"] = Field(description="it barks")
    name: str = Field(description="what it is called")


class House(Section):
    street: str = Field(description="where it is")
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    guests: list[Annotated[Cat | Dog, Field(discriminator="kind")]]


def test_a_section_is_a_heading_and_a_table() -> None:
    assert page(House).partition("## Top level\n")[2].partition("## guests")[0].splitlines()[1:] == [
        "| key | type | default | only with | meaning |",
        "| --- | --- | --- | --- | --- |",
        "| `street` | text | required |  | where it is |",
        "",
        "## pets",
        "",
        "| key | type | default | only with | meaning |",
        "| --- | --- | --- | --- | --- |",
        "| `kind` | cat \\| dog | required |  | cat: it purrs; dog: it barks |",
        "| `name` | text | required |  | what it is called |",
        "| `lives` | int &gt;= 1 | 9 | kind cat | a \\| b, &lt;c&gt; |",
        "",
    ]


def test_a_section_with_the_same_keys_refers_to_the_first() -> None:
    assert page(House).partition("## guests\n")[2].splitlines()[1] == "The keys of [pets](#pets)."


def test_every_key_of_a_recipe_is_there() -> None:
    text = page()
    assert [key.path for key in keys_of(Recipe) if f"`{key.path.rpartition('.')[2]}`" not in text] == []
    assert "| `learning_rate` | float |" in text and "output_dir" not in text
