"""Numbers as they are typed, in arguments and files: those that every reader takes alike."""

from __future__ import annotations

import math
import re

__all__ = ["decimal", "number", "number_text", "plain"]

_WHOLE = 1e15  # whole numbers below are written without a point
_OTHER_BASE = re.compile(r"\s*[-+]?0[0-9bB][0-9]*\s*")


def plain(text: str) -> bool:
    """Whether a text, if it is a number, is the same one for every reader.

    It is not with underscores, which Python and YAML 1.1 leave out (0_1 is 1), with digits of other scripts, or as a whole number that begins with 0,
    which is octal to YAML 1.1 and not to Python.
    """
    return text.isascii() and "_" not in text and not _OTHER_BASE.fullmatch(text)


def decimal(text: str) -> float:
    """The number that a text is to readers of XML and of meshes, to which 010 is ten; engines stop at an underscore, and Python does not.

    Raises:
        ValueError: it is none.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not written in digits alone, as 10 or 0.1 are")
    return float(text)


def number(text: str) -> float:
    """The number that a text is.

    Raises:
        ValueError: it is none, or not the same one for every reader.
    """
    if not plain(text):
        raise ValueError(f"{text!r} is not written in digits alone, as 10 or 0.1 are")
    return float(text)


def number_text(value: float) -> str:
    """The shortest text that readers of XML, JSON and YAML 1.1 give back as this number; to the last `2e+04` is a word, and `2.0e+04` is none.

    Raises:
        ValueError: it is NaN.
    """
    number = float(value)
    if math.isnan(number):
        raise ValueError("NaN cannot be written as plain data")
    if number.is_integer() and abs(number) < _WHOLE:
        return str(int(number))
    text = repr(number)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
