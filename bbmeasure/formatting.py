"""Values of base units for people: ``1.42 MiB``, ``+0.8 %``.

Callers use these functions by way of :mod:`bbmeasure.units`; only ``run`` imports this module, which starts faster.
Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import math


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    """``value`` in the largest unit of ``steps`` in which it is at least 1."""
    factor, unit = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{_digits(value / factor)} {unit}"


def _digits(value: float) -> str:
    """``value`` with three significant digits; integers below 1e15 with all digits and without an exponent."""
    if abs(value) < 1e15 and (value.is_integer() or abs(value) >= 999.5):
        return f"{value + 0.0:,.0f}".replace(",", "\u202f")  # no "-0"
    return f"{value:.3g}"


_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "\u00b5s"), (1e-9, "ns"))
_BYTES = (
    (1024.0**6, "EiB"),
    (1024.0**5, "PiB"),
    (1024.0**4, "TiB"),
    (1024.0**3, "GiB"),
    (1024.0**2, "MiB"),
    (1024.0, "KiB"),
    (1.0, "bytes"),
)


def format(value: float, unit: str = "1", kind: str = "") -> str:
    """Format a value of a base unit for people: ``1.42 MiB``, ``12.5 ms``, or ``85 %`` if ``kind`` is ratio."""
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if unit == "s":
        return _scaled(value, _SECONDS) if value else "0 s"
    if unit in ("bytes", "bytes/s"):
        return _scaled(value, _BYTES) + unit[len("bytes") :]
    if kind == "ratio" and unit == "1":
        return f"{_digits(value * 100)} %"
    if unit == "1":
        return _digits(value)
    shown = "\u00b0C" if unit == "Cel" else unit.replace("{", "").replace("}", "")
    return f"{_digits(value)} {shown}"


def format_change(change: float) -> str:
    """Format a change, a fraction of the earlier value, for people: ``+0.8 %``, ``-12 %``, ``<0.1 %`` or ``+0 %``.

    The page rounds in the same way: ``www/src/lib/format.ts``.
    """
    percent = abs(change * 100)
    if percent < 0.05:
        return "<0.1 %" if change else "+0 %"
    number = _digits(float(round(percent))) if percent >= 999.5 else f"{percent:.{0 if percent >= 9.95 else 1}f}"
    return f"{'+' if change > 0 else '-'}{number} %"
