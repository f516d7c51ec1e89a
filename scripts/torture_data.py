"""Images and data folders for scripts/torture.py: good ones, and every kind of bad one."""

import math
import os
import random
import struct
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, lines, depth=8, colour=0, palette=None):
    """A PNG of `lines`, each the bytes of one row of pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines), 1)
    parts = [chunk(b"IHDR", head)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette))
    parts += [chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def grey_lines(seed, kind, width, height):
    """Waves: class 0 runs across, class 1 down, with a frequency and phase of their own."""
    draw = random.Random(seed)
    along, across = draw.uniform(0.2, 0.6), draw.uniform(0.02, 0.1)
    if kind == 1:
        along, across = across, along
    period = 4096
    wave = bytes(int(127 + 100 * math.sin(i * along + draw.random())) for i in range(period))
    step = across / along
    start = [int(y * step) % (period - width) for y in range(height)]
    return [wave[at : at + width] for at in start]


def good(seed, kind, width=64, height=64):
    return png(width, height, grey_lines(seed, kind, width, height))


def bomb(side):
    """A PNG that states `side` × `side` pixels and has a few hundred bytes."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def cmyk_jpeg(side=64):
    """A baseline JPEG of four components, all coefficients zero, as Adobe writes CMYK."""
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    quantiser = segment(0xDB, b"\0" + b"\1" * 64)
    parts = b"".join(bytes([i, 0x11, 0]) for i in range(1, 5))
    frame = segment(0xC0, struct.pack(">BHHB", 8, side, side, 4) + parts)
    one_code = b"\1" + b"\0" * 15 + b"\0"  # a single code of one bit: 0
    tables = segment(0xC4, b"\0" + one_code) + segment(0xC4, b"\x10" + one_code)
    scan = segment(0xDA, b"\4" + b"".join(bytes([i, 0]) for i in range(1, 5)) + b"\0\x3f\0")
    blocks = (side // 8) ** 2 * 4
    data = bytes(blocks * 2 // 8)
    return b"\xff\xd8" + adobe + quantiser + frame + tables + scan + data + b"\xff\xd9"


def gif(side=64, frames=2):
    """An animated GIF, its pixels as uncompressed codes of eight bits."""
    colours = b"".join(bytes([i * 2] * 3) for i in range(128))
    out = b"GIF89a" + struct.pack("<HHBBB", side, side, 0xF6, 0, 0) + colours
    for frame in range(frames):
        out += b"\x21\xf9\x04\x04\x0a\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0)
        pixels = bytes((x * (3 + frame) + y) % 128 for y in range(side) for x in range(side))
        codes = bytearray()
        for at in range(0, len(pixels), 100):
            codes.append(0x80)  # clear, so that codes stay eight bits wide
            codes += pixels[at : at + 100]
        codes.append(0x81)
        out += b"\x07"
        for at in range(0, len(codes), 255):
            block = bytes(codes[at : at + 255])
            out += bytes([len(block)]) + block
        out += b"\0"
    return out + b";"


def jpeg():
    """A photograph-like JPEG that the repository has anyway."""
    return (ROOT / "docs" / "demo.jpg").read_bytes()


def rotated_jpeg():
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    return jpeg()[:2] + segment(0xE1, b"Exif\0\0" + tiff) + jpeg()[2:]


def write(path, data):
    path = Path(os.fsdecode(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def classes(root, per_class, size=64, splits=("train", "test")):
    """`<split>/<class>/<image>` with two classes of good images."""
    for s, split in enumerate(splits):
        for kind, name in enumerate(("across", "down")):
            for i in range(per_class):
                seed = (s * 2 + kind) * 1_000_000 + i
                write(root / split / name / f"{i:05}.png", good(seed, kind, size, size))


def bad_images(folder):
    """Fills `folder` with every odd file; `id → (used, words of the reason)`."""
    lines = grey_lines(5, 0, 64, 64)
    whole = good(6, 0)
    broken = bytearray(good(7, 0))
    broken[-30] ^= 0xFF
    skipped = {
        "truncated_jpeg.jpg": (jpeg()[: len(jpeg()) // 2], "part of a scan is missing"),
        "truncated_png.png": (whole[: len(whole) // 2], "cannot be decoded"),
        "broken_png.png": (bytes(broken), "cannot be decoded"),
        "zero_bytes.jpg": (b"", "empty"),
        "text.jpg": (b"this is no image\n", "known format"),
        "html.png": (b"<!DOCTYPE html><title>404</title>", "HTML page"),
        "bomb.png": (bomb(60_000), "max_megapixels"),
        "one_pixel.png": (good(1, 0, 1, 1), "too small"),
        "fourteen.png": (good(1, 0, 14, 14), "too small"),
        "sliver.png": (good(1, 0, 1, 10_000), "too small"),
    }
    used = {
        "wrong_ending.png": jpeg(),
        "cmyk.jpg": cmyk_jpeg(),
        "sixteen_bit.png": png(64, 64, [bytes(b for v in line for b in (v, v)) for line in lines], 16),
        "palette.png": png(64, 64, lines, 8, 3, bytes(range(256)) * 3),
        "alpha.png": png(64, 64, [bytes(b for v in line for b in (v, 255 - v)) for line in lines], 8, 4),
        "rotated.jpg": rotated_jpeg(),
        "animated.gif": gif(),
        "n" * 251 + ".png": whole,
        "with space, comma and \"quote\".png": good(8, 0),
        "new\nline.png": good(9, 0),
        "-dash.png": good(10, 0),
        "<script>alert(1)<script>.png": good(11, 0),
        "snow ☃.png": good(12, 0),
    }
    expected = {}
    for name, (data, words) in skipped.items():
        write(folder / name, data)
        expected[name.rsplit(".", 1)[0]] = (False, words)
    for name, data in used.items():
        write(folder / name, data)
        expected[name.rsplit(".", 1)[0]] = (True, "")
    # Not UTF-8: the image is used, its odd byte escaped in its id.
    write(os.fsencode(folder) + b"/caf\xe9.png", good(13, 0))
    expected["caf\\xE9"] = (True, "")
    (folder / "nowhere.jpg").symlink_to("not_there.jpg")
    expected["nowhere"] = (False, "No such file")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    expected["loop"] = (False, "symbolic links")
    (folder / "zeros.jpg").symlink_to("/dev/zero")
    expected["zeros"] = (False, "device")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.jpg")
    expected["pipe"] = (False, "pipe")
    write(folder / "forbidden.png", good(14, 0))
    (folder / "forbidden.png").chmod(0)
    expected["forbidden"] = (False, "ermission denied")
    return expected


def devkit(root, images=6):
    """A PASCAL VOC folder with two classes and boxes."""
    ids = [f"{i:06}" for i in range(images)]
    for i, name in enumerate(ids):
        write(root / "JPEGImages" / f"{name}.png", good(i, i % 2))
        write(root / "Annotations" / f"{name}.xml", annotation("cat" if i % 2 else "dog").encode())
    for split in ("train", "test"):
        write(root / "ImageSets/Main" / f"{split}.txt", "".join(f"{i}\n" for i in ids).encode())
        for kind, name in enumerate(("dog", "cat")):
            text = "".join(f"{i} {1 if n % 2 == kind else -1}\n" for n, i in enumerate(ids))
            write(root / "ImageSets/Main" / f"{name}_{split}.txt", text.encode())


def annotation(name, box=(5, 5, 40, 40), inner=""):
    edges = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box))
    return (
        f"<annotation><object><name>{name}</name><difficult>0</difficult>"
        f"<bndbox>{edges}</bndbox>{inner}</object></annotation>"
    )


def bad_devkits():
    """`name → (change(root), words of the refusal, or None where it is repaired)`."""
    main, notes = "ImageSets/Main", "Annotations"

    def text(path, content):
        content = content if isinstance(content, bytes) else content.encode()
        return lambda root: write(root / path, content)

    def patch(path, old, new):
        def change(root):
            file = root / path
            before = file.read_text()
            assert old in before, (path, old)
            file.write_text(before.replace(old, new, 1))

        return change

    def pipe(path):
        def change(root):
            (root / path).unlink()
            os.mkfifo(root / path)

        return change

    def crlf(root):
        for file in (root / main).iterdir():
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))

    first = f"{notes}/000000.xml"
    deep = "<a>" * 100_000 + "</a>" * 100_000
    entities = (
        '<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    )
    return {
        "id leaving the folder": (patch(f"{main}/train.txt", "000000", "../000000"), "train.txt:1"),
        "absolute id": (patch(f"{main}/train.txt", "000000", "/etc/passwd"), "train.txt:1"),
        "id with backslash": (patch(f"{main}/train.txt", "000000", "a\\b"), "train.txt:1"),
        "duplicated id": (patch(f"{main}/train.txt", "000001", "000000"), "train.txt:2"),
        "label 2": (patch(f"{main}/cat_train.txt", "000000 -1", "000000 2"), "cat_train.txt:1"),
        "label x": (patch(f"{main}/cat_train.txt", "000000 -1", "000000 x"), "cat_train.txt:1"),
        "conflicting labels": (
            patch(f"{main}/cat_train.txt", "000001 1", "000000 1"),
            "cat_train.txt:2",
        ),
        "label of an unknown id": (
            patch(f"{main}/cat_train.txt", "000000 -1", "999999 -1"),
            "cat_train.txt:1",
        ),
        "list that is not text": (text(f"{main}/train.txt", b"\xff\xfe\x00a"), "train.txt"),
        "empty list": (text(f"{main}/train.txt", ""), "train.txt"),
        "list that is a pipe": (pipe(f"{main}/train.txt"), "train.txt"),
        "CR-LF and byte order marks": (crlf, None),
        "class without a positive": (
            text(f"{main}/cat_train.txt", "".join(f"{i:06} -1\n" for i in range(6))),
            None,
        ),
        "class without a negative": (
            text(f"{main}/cat_train.txt", "".join(f"{i:06} 1\n" for i in range(6))),
            None,
        ),
        "name of 240 bytes": (
            text(f"{main}/{'c' * 240}_train.txt", "".join(f"{i:06} 1\n" for i in range(6))),
            "shorten",
        ),
        "entity expansion": (text(first, entities + annotation("&c;")), "000000.xml"),
        "nested 100,000 deep": (text(first, annotation("dog", inner=deep)), "more than 256 elements"),
        "unclosed XML": (text(first, "<annotation><object>"), "000000.xml"),
        "no box": (text(first, "<annotation><object><name>dog</name></object></annotation>"), "000000.xml"),
        "inverted box": (text(first, annotation("dog", (40, 5, 5, 40))), "000000.xml"),
        "NaN coordinate": (text(first, annotation("dog", ("NaN", 5, 40, 40))), "000000.xml"),
        "box outside the image": (text(first, annotation("dog", (-50, 500, 900, 9000))), None),
        "annotation that is a pipe": (pipe(first), "000000.xml"),
        "annotation that is not text": (text(first, b"\xff\xfe<"), "000000.xml"),
    }
