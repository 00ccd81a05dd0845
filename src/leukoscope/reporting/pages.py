"""Templates of the HTML pages: one look, one set of filters."""

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """Return the template `name` of this package; what it is not given is an error."""
    environment = Environment(
        loader=PackageLoader("leukoscope", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
