"""What is fuzzed: whole files of every kind that leukoscope reads, and how they are damaged."""

import random
from io import BytesIO

import numpy as np
from PIL import Image

from leukoscope.cells import manifest

NASTY = (b"", b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x01", b"\xff\xfe")
SIGNS = (b",", b";", b'"', b"\n", b"\r", b"\t", b"=", b"'", b"{", b"[", b"&a ", b"*a", b"!!", b": ")


def pictures() -> dict[str, bytes]:
    """Return whole pictures, of every format and kind of pixel."""
    noise = np.random.default_rng(0)
    grey = noise.integers(0, 256, (40, 50), np.uint8)
    colour = Image.fromarray(noise.integers(0, 256, (40, 50, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    kinds = {
        "plain": colour,
        "grey": Image.fromarray(grey),
        "deep": Image.fromarray(grey.astype(np.uint16) * 257),
        "palette": colour.quantize(16),
        "alpha": colour.convert("RGBA"),
        "ink": colour.convert("CMYK"),
        "bits": colour.convert("1"),
        "floats": Image.fromarray(grey.astype(np.float32)),
    }
    ways = {
        "bmp": [{}],
        "png": [{}, {"save_all": True, "append_images": [colour]}],
        "jpg": [{}, {"exif": exif}, {"progressive": True}],
        "tif": [
            {},
            *({"compression": how} for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
            {"save_all": True, "append_images": [colour]},
        ],
    }
    made = {}
    for suffix, options in ways.items():
        for kind, picture in kinds.items():
            for number, given in enumerate(options):
                file = BytesIO()
                try:
                    picture.save(file, Image.registered_extensions()[f".{suffix}"], **given)
                except (OSError, KeyError, ValueError):
                    continue  # the format has no such pixels
                made[f"{kind}{number}.{suffix}"] = file.getvalue()
    return made


def tables() -> dict[str, bytes]:
    """Return whole tables that list cells, in several encodings and forms."""
    rows = "".join(f"cells/UID_{n}_1_{n}_all.bmp,1\n" for n in range(1, 6))
    lists = f"Path,label\n{rows}"
    header = ",".join(manifest.COLUMNS)
    whole = f"{header}\n" + "".join(f"{n},{n}.bmp,1,all:1,1,{n},fold_0,\n" for n in range(1, 6))
    prelim = (
        "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_H3_1_2_hem.bmp,2.bmp,0\n"
    )
    made = {"list.csv": lists, "whole.csv": whole, "labels.csv": prelim}
    made["points.csv"] = lists.replace(",", ";")
    made["formula.csv"] = lists.replace("cells/", "=cmd|' /C calc'!A0/")
    made["wide.csv"] = ",".join(f"c{n}" for n in range(10_000)) + "\n1\n"
    found = {name: text.encode() for name, text in made.items()}
    found["marked.csv"] = lists.encode("utf-8-sig")
    found["utf16.csv"] = lists.encode("utf-16")
    found["latin.csv"] = lists.replace("cells", "zellen-ä").encode("latin-1")
    return found


def settings() -> dict[str, bytes]:
    """Return whole YAML files of settings."""
    recipe = "base: modern\nepochs: 3\naugmentation: {scale: 0.1}\n"
    several = "folds: [0]\ncandidates:\n  a: {recipe: lab}\n  b: {set: {epochs: 2}}\n"
    laughs = "a: &a [x, x]\n" + "".join(f"{n}: &n{n} [*a, *a]\n" for n in range(20))
    deep = "[" * 5000
    texts = {"recipe": recipe, "candidates": several, "laughs": laughs, "deep": deep}
    return {f"{name}.yaml": text.encode() for name, text in texts.items()}


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return `content` with one to four things done to it; sometimes none."""
    found = bytearray(content)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        place = chance.randrange(len(found) + 1)
        # Heads hold what decoders believe: sizes, offsets, counts.
        place = min(place, chance.choice((16, 64, 512, len(found))))
        length = chance.choice((1, 2, 4, 16, 300))
        match chance.randrange(7):
            case 0:
                del found[place:]
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = found[place : place + length]
            case 3:
                found[place:place] = chance.choice(SIGNS)
            case 4:
                found[place : place + length] = chance.choice(NASTY)
            case 5:
                found[place : place + length] = chance.randbytes(length)
            case _:
                if place < len(found):
                    found[place] ^= 1 << chance.randrange(8)
    return bytes(found)
