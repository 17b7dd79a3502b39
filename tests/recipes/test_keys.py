"""What keys a recipe may hold, read from the schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from recipes.keys import annotation_under, discriminator, element_of, keys_of, sections_in, type_text, variants
from recipes.section import Section


class Cat(Section):
    kind: Literal["cat", "kitten"] = Field(description="it purrs")
    lives: int = 9


class Dog(Section):
    kind: Literal["dog"] = Field(description="it barks")
    tricks: list[str] = Field(default=[])


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class House(Section):
    owner: str
    pet: Pet
    guests: list[Cat] = Field(default=[])


def test_every_key_has_its_path_and_the_variants_it_belongs_to() -> None:
    assert [(key.path, key.variants) for key in keys_of(House)] == [
        ("owner", ()),
        ("pet.kind", ("cat", "kitten", "dog")),
        ("pet.lives", ("cat", "kitten")),
        ("pet.tricks", ("dog",)),
        ("guests.N.kind", ()),
        ("guests.N.lives", ()),
    ]


def test_a_key_of_a_variant_is_shown_with_it() -> None:
    assert [key.shown for key in keys_of(House)][2:4] == ["pet (kind=cat|kitten).lives", "pet (kind=dog).tricks"]


def test_the_choosing_key_tells_what_each_variant_is() -> None:
    assert keys_of(House)[1].meaning == "cat|kitten: it purrs; dog: it barks"


@pytest.mark.parametrize(
    ("annotation", "sections"), [(Pet, (Cat, Dog)), (Cat | None, (Cat,)), (int, ()), (list[Cat], ())], ids=str
)
def test_the_sections_of_an_annotation(annotation: Any, sections: tuple[type[Section], ...]) -> None:
    assert sections_in(annotation) == sections


def test_variants_by_their_tags() -> None:
    assert discriminator((Cat, Dog)) == "kind" and variants((Cat, Dog)) == {"cat": Cat, "kitten": Cat, "dog": Dog}
    assert discriminator((Cat,)) is None and variants((Cat,)) == {}


def test_the_annotation_of_a_key_is_that_of_the_chosen_variant_or_of_any_that_has_it() -> None:
    assert annotation_under(Pet, "lives", "cat") is int
    assert annotation_under(Pet, "lives", "dog") is int
    assert annotation_under(Pet, "wings", "dog") is None


def test_the_elements_of_a_list() -> None:
    assert element_of(list[Cat]) is Cat and element_of(dict[str, int]) is None


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (str | None, "text or null"),
        (bool, "true | false"),
        (Path, "path"),
        (Literal["a", "b"], "a | b"),
        (list[int], "list of int"),
        (dict[str, Any], "mapping"),
        (Mapping[str, Any], "mapping"),
        (Annotated[float, Field(gt=0)], "float"),
    ],
    ids=str,
)
def test_a_type_in_words(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text
