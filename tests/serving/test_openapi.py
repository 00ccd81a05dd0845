"""The API keeps its own description, whatever is asked of it."""

from pathlib import Path

import schemathesis
from hypothesis import given
from schemathesis.config import SchemathesisConfig

from leukoscope.inference.bundle import Bundle
from served import Served

# No schema can say whether bytes are a picture, or which coverages and thresholds a bundle knows.
REFUSED = {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}}}


def test_every_answer_is_as_described(bundle: Bundle, tmp_path: Path) -> None:
    options = ["--engine", "fp32", "--threads", 1]
    with Served.until_left(bundle, tmp_path / "log", *options) as running:
        schema = schemathesis.openapi.from_url(
            f"{running.address}/openapi.json", config=SchemathesisConfig.from_dict(REFUSED)
        )
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) >= 6
        for operation in operations:

            @given(case=operation.as_strategy())
            def answered(case: schemathesis.Case) -> None:
                case.call_and_validate()

            answered()
