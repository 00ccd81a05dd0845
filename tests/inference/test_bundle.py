"""Bundles: what is damaged or foreign is refused by name."""

import json
import shutil
from pathlib import Path

import onnx
import pytest

from leukoscope.errors import BadInputError
from leukoscope.files import sha256
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.describe import describe
from leukoscope.inference.engines import open_engine


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["fp32.onnx", "weights.safetensors"])
def test_a_changed_byte_is_found_before_the_file_is_used(copy: Path, name: str) -> None:
    damaged = bytearray((copy / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (copy / name).write_bytes(damaged)
    engine = "torch" if name.startswith("weights") else "fp32"
    with pytest.raises(BadInputError, match=f"{name} is damaged"):
        open_engine(Bundle.open(copy), engine, threads=1)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "fp32.onnx").unlink()
    with pytest.raises(BadInputError, match=r"fp32\.onnx: cannot be read"):
        open_engine(Bundle.open(copy), "fp32", threads=1)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"version": 2}, "version"), ({"turns": 0}, "turns"), ({"unheard": 1}, "unheard")],
)
def test_a_description_of_another_kind_is_refused(
    copy: Path, change: dict[str, int], told: str
) -> None:
    info = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    (copy / "bundle.json").write_text(json.dumps(info | change), encoding="utf-8")
    with pytest.raises(BadInputError, match=told):
        Bundle.open(copy)


def test_a_graph_reads_no_file_but_its_own(copy: Path, tmp_path: Path) -> None:
    """As an attacker would make it: parts in another file, and the digests right."""
    graph = onnx.load(copy / "fp32.onnx")
    (tmp_path / "secret").write_bytes(b"weights" * 100_000)
    weight = next(one for one in graph.graph.initializer if len(one.dims) == 4)
    onnx.external_data_helper.set_external_data(weight, "../secret")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    (copy / "fp32.onnx").write_bytes(graph.SerializeToString())
    info = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    info["digests"]["fp32.onnx"] = sha256(copy / "fp32.onnx")
    (copy / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(BadInputError, match=r"fp32\.onnx: no graph that can be computed"):
        open_engine(Bundle.open(copy), "fp32", threads=1)


def test_a_folder_without_a_description_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no bundle.*leukoscope export"):
        Bundle.open(tmp_path)


def test_an_engine_left_out_says_why(bundle: Bundle) -> None:
    check = bundle.info.checks["int8"].model_copy(update={"refused": "it calls 90 %"})
    checks = bundle.info.checks | {"int8": check}
    other = Bundle(bundle.folder, bundle.info.model_copy(update={"checks": checks}))
    with pytest.raises(BadInputError, match="no int8 engine: it calls 90 %"):
        open_engine(other, "int8", threads=1)
    assert "int8: not in the bundle, for it calls 90 %" in describe(other)
