"""When which sound is spoken: timings from a file, as aligners write them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..errors import InputError

#: (symbol, start, end) in seconds from the start of the clip; symbols of any alphabet.
Phoneme = tuple[str, float, float]

SUFFIXES = (".json", ".TextGrid")
PAUSES = ("", "sil", "sp", "spn", "<eps>")
_TIER = re.compile(r'class = "IntervalTier"\s+name = "([^"]*)"(.*?)(?=item \[|\Z)', re.DOTALL)
_INTERVAL = re.compile(r'xmin = ([0-9.eE+-]+)\s+xmax = ([0-9.eE+-]+)\s+text = "([^"]*)"')


def read_phonemes(path: Path) -> tuple[Phoneme, ...]:
    """The phonemes of a file, in its order.

    Either JSON, a list of ``[symbol, start, end]``, or a TextGrid of Praat in its long form, as the Montreal Forced
    Aligner writes it, with a tier whose name has "phone" in it.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return tuple((str(symbol), float(start), float(end)) for symbol, start, end in json.loads(text))
        tier = next(body for name, body in _TIER.findall(text) if "phone" in name.lower())
        return tuple((symbol.strip(), float(start), float(end)) for start, end, symbol in _INTERVAL.findall(tier))
    except (OSError, ValueError, TypeError, StopIteration) as error:
        raise InputError(
            f"{path} holds no phonemes; give a JSON list of [symbol, start, end] in seconds, or a TextGrid with a "
            "tier of phones."
        ) from error


def is_bilabial(symbol: str) -> bool:
    """Whether the lips close for it: p, b, m in IPA, ARPABET, X-SAMPA or espeak-ng's symbols, whatever marks follow."""
    return symbol.lstrip("ˈˌ'\"").lower()[:1] in ("p", "b", "m")


def is_pause(symbol: str) -> bool:
    """Whether nobody speaks there."""
    return symbol.lower() in PAUSES or symbol.startswith("_")
