"""Inputs of a policy, as they are typed."""

from __future__ import annotations

from isthmus import strict
from isthmus.contract import Contract
from isthmus.numerals import number

__all__ = ["read_inputs"]


def read_inputs(texts: tuple[str, ...], contract: Contract) -> dict[str, list[float]]:
    """Read `NAME=VALUE,…` texts.

    Raises:
        ValueError: not of that form, an input that the policy does not have, one twice, another number of values, or one that is out of range.
    """
    known = {found.name: found for found in contract.inputs}
    inputs = {}
    for text in texts:
        name, _, values = text.partition("=")
        if name not in known:
            raise ValueError(f"the policy has no input {name!r}; {strict.suggest(name, known)}")
        if name in inputs:
            raise ValueError(f"input {name!r} is given twice, the second time as {text!r}")
        try:
            inputs[name] = [number(value) for value in values.split(",")]
        except ValueError:
            raise ValueError(f"an input is NAME=VALUE,… with numbers, got {text!r}") from None
        if problem := known[name].problem(inputs[name]):
            raise ValueError(f"input {name!r}: {problem}")
    return inputs
