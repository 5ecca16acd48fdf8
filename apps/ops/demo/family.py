"""A family of demo sounds: members that are one kind of thing and differ in everything else."""

from dataclasses import dataclass
from typing import Protocol

from numpy.random import Generator

from apps.ops.demo.shaping import Wave


class Member(Protocol):
    """One sound of a family: its title, and how it sounds given a source of chance."""

    @property
    def title(self) -> str: ...

    def render(self, rng: Generator) -> Wave:
        """The raw wave, mono, of any level; `shaping.finish` makes it presentable."""


@dataclass(frozen=True)
class Family:
    """Members, what they share, and how loud they are by nature (peak in dBFS)."""

    name: str
    tags: tuple[str, ...]
    about: str
    peak_db: float
    members: tuple[Member, ...]
