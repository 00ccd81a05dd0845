"""Templates of what is written for people: one set of rules and filters."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(
    name: str, filters: Mapping[str, Callable[..., Any]] = {}, **settings: Any
) -> Template:
    """Return the template `name` of this package; what it is not given is an error.

    Args:
        name: an HTML page, escaped, unless `settings` say otherwise.
        filters: besides those of all templates.
        settings: of jinja2's `Environment`.
    """
    environment = Environment(  # nosec B701
        loader=PackageLoader("leukoscope", "reporting"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **{"autoescape": True, **settings},
    )
    environment.filters |= {
        "count": "{:,}".format,
        "accuracy": "{:.3f}".format,
        "percent": "{:.1%}".format,
        "duration": duration,
        "number": lambda value: f"{value:.3f}" if pd.notna(value) else "–",
        "signed": lambda value: f"{value:+.3f}" if pd.notna(value) else "–",
        "known": pd.notna,
        "p_value": p_value,
    }
    environment.filters |= filters
    return environment.get_template(name)


def p_value(p: float) -> str:
    """Say a p-value with three decimals; one that is not a number was not tested."""
    if pd.isna(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(hours: float) -> str:
    """Say `hours` in the two largest of its units."""
    minutes, seconds = divmod(round(hours * 3600), 60)
    if not minutes:
        return f"{seconds} s"
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
