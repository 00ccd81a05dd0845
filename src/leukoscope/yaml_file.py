"""Settings in YAML: plain values, or one sentence about why they cannot be read."""

from pathlib import Path
from typing import Any

import yaml

from leukoscope.errors import BadInputError


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says; nothing in it is run as code.

    Raises:
        BadInputError: it cannot be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read as YAML ({error})") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, said_in: object) -> Any:
    """Return what YAML `text` says; nothing in it is run as code.

    Args:
        text: of a file or of a command line.
        said_in: what an error names.

    Raises:
        BadInputError: it is no YAML.
    """
    try:
        return yaml.safe_load(text)
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        # Dates of month 13 are ValueErrors, lists as keys TypeErrors.
        raise BadInputError(f"{said_in}: cannot be read as YAML ({error})") from error
