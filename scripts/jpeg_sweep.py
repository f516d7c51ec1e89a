#!/usr/bin/env python3
"""JPEG files of every kind against libjpeg: fvtool's pixels, or its refusal, beside those of djpeg.

    scripts/jpeg_sweep.py [--short] [--fvtool target/release/fvtool] [--keep FOLDER]
    scripts/jpeg_sweep.py --tests tests/data/jpeg      renews the small files of `cargo test`

Makes 740 files with cjpeg (and Pillow for CMYK and YCCK) of drawn pictures: sampling factors, scans,
restart markers, colour spaces, sizes, qualities; and cuts and damages copies. For each:

* djpeg decodes it without a word: fvtool's RGB is within 3/255 of it and within 1/255 on average;
* djpeg warns or gives up: fvtool leaves it out;
* fvtool may also refuse what djpeg takes where it names a kind that it does not read, or where a damaged copy
  shows damage that djpeg does not notice; both are counted apart.

fvtool's pixels come from `fvtool describe` with descriptors of single pixels. Needs cjpeg and djpeg of
libjpeg-turbo, NumPy, Pillow and safetensors. Exit code 1 when a file is wrong."""

import argparse
import collections
import concurrent.futures
import io
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

SIZES = [(8, 8), (16, 16), (17, 13), (33, 31), (48, 64), (97, 63), (5, 70), (70, 5), (130, 41), (4, 4)]
# Of luminance and chroma: usual ones, and those that few programs write.
USUAL = ["1x1", "2x1", "1x2", "2x2"]
RARE = ["4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "2x3", "1x1,2x1,1x1", "1x1,1x2,1x1", "1x1,2x2,1x1", "1x1,2x1,2x1",
        "1x1,1x2,1x2", "1x1,2x2,2x2", "2x1,1x2,1x1", "1x2,2x1,1x1", "2x2,1x1,2x2", "2x2,2x1,2x1", "2x2,1x2,1x2", "2x2,2x1,1x2",
        "2x2,1x1,1x2", "4x1,2x1,1x1", "4x1,1x1,2x1", "1x1,1x1,2x2", "1x1,1x1,2x1", "2x1,1x1,2x1", "1x1,4x1,4x1", "1x1,3x1,1x1",
        "1x4,1x2,1x1", "2x2,2x2,2x2", "2x1,2x1,2x1", "1x2,1x2,1x2", "1x1,1x3,1x1", "3x1,3x1,3x1", "1x1,1x4,1x2"]
MODES = [[], ["-progressive"], ["-optimize"], ["-restart", "1"], ["-restart", "3B"], ["-progressive", "-restart", "2B"]]
SCANS = {
    "one each": "0;\n1;\n2;\n",
    "chroma together": "0;\n1 2;\n",
    "chroma first": "2;\n1;\n0;\n",
    "two and one": "0 1;\n2;\n",
    "spectral": "0 1 2: 0-0, 0, 0;\n0: 1-5, 0, 0;\n0: 6-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n",
    "refined": "0 1 2: 0-0, 0, 3;\n0: 1-63, 0, 3;\n1: 1-63, 0, 2;\n2: 1-63, 0, 1;\n0 1 2: 0-0, 3, 2;\n0: 1-63, 3, 2;\n"
               "1: 1-63, 2, 1;\n0: 1-63, 2, 1;\n0 1 2: 0-0, 2, 1;\n0 1 2: 0-0, 1, 0;\n0: 1-63, 1, 0;\n1: 1-63, 1, 0;\n"
               "2: 1-63, 1, 0;\n",
    "planes apart": "0: 0-0, 0, 0;\n1: 0-0, 0, 0;\n2: 0-0, 0, 0;\n2: 1-63, 0, 0;\n1: 1-63, 0, 0;\n0: 1-63, 0, 0;\n",
    "without the last bit": "0 1 2: 0-0, 0, 1;\n0: 1-63, 0, 1;\n1: 1-63, 0, 1;\n2: 1-63, 0, 1;\n0 1 2: 0-0, 1, 0;\n",
    "without high frequencies": "0 1 2: 0-0, 0, 0;\n0: 1-20, 0, 0;\n1: 1-5, 0, 0;\n2: 1-5, 0, 0;\n",
}


def picture(width, height, kind, seed):
    """Soft colours, or edges and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    phase = random.uniform(0, 6, 3)
    waves = [128 + 100 * np.sin((x * a + y * b) / 9 + p) for a, b, p in zip((1, 0.4, 0.2), (0.3, 1, 0.8), phase)]
    image = np.dstack(waves)
    if kind == "edges":
        image[(x // 5 + y // 7) % 2 == 0] = random.integers(0, 256, 3)
        image += random.normal(0, 20, image.shape)
        image[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2] = random.integers(0, 256, 3)
    return np.clip(image, 0, 255).round().astype(np.uint8)


def cjpeg(image, *options):
    """A JPEG file, or None where cjpeg cannot make one."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PPM")
    made = subprocess.run(["cjpeg", *options], input=data.getvalue(), capture_output=True)
    return made.stdout if made.returncode == 0 else None


def segments(data):
    """(marker, begin, end) of the segments before the first scan, and that of its header."""
    at = 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def without(data, *markers):
    """The file without these segments."""
    for marker, begin, end in reversed(list(segments(data))):
        if marker in markers:
            data = data[:begin] + data[end:]
    return data


def named(data, ids):
    """The file with other component ids."""
    data = bytearray(data)
    for marker, begin, _ in segments(data):
        if marker in (0xC0, 0xC1, 0xC2):
            for i, new in enumerate(ids):
                data[begin + 10 + 3 * i] = new
        if marker == 0xDA:
            for i in range(data[begin + 4]):
                data[begin + 5 + 2 * i] = ids[i]
    return bytes(data)


def adobe(transform):
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def whole(short):
    """Kind, name and bytes of files that are as they should be."""
    seed = 0

    def made(kind, size, *options, look="edges"):
        nonlocal seed
        seed += 1
        name = "_".join(["x".join(map(str, size)), *options]).replace("/", "-")
        return kind, name, cjpeg(picture(*size, look, seed), *options)

    sizes = SIZES[2:8:2] if short else SIZES
    for sampling in USUAL:
        for mode in MODES[:2] if short else MODES:
            for size in sizes:
                yield made("usual sampling", size, "-quality", "90", "-sample", sampling, *mode)
    for i, sampling in enumerate(RARE):
        for mode in MODES[:2] + MODES[3:4]:
            for size in [SIZES[(i + j) % 8 + 2] for j in (0, 3)][:1 if short else 2]:
                yield made("rare sampling", size, "-quality", "92", "-sample", sampling, *mode)
    for size in sizes:
        for mode in MODES:
            yield made("grey", size, "-grayscale", "-quality", "85", *mode)
        for options in ([], ["-sample", "2x2"], ["-sample", "2x1", "-progressive"]):
            yield made("RGB", size, "-rgb", "-quality", "95", *options)
    yield made("grey", (97, 63), "-grayscale", "-sample", "2x2")
    yield made("grey", (33, 31), "-grayscale", "-sample", "4x2", "-progressive")
    yield made("grey", (33, 31), "-grayscale", "-sample", "2x1", "-restart", "1B")
    for quality in (1, 2, 5, 10, 25, 50, 75, 98, 100):
        for look in ("edges", "soft"):
            yield made("quality", (97, 63), "-quality", str(quality), look=look)
            yield made("quality", (48, 64), "-quality", str(quality), "-progressive", "-sample", "1x1", look=look)
            yield made("quality", (48, 64), "-quality", str(quality), "-baseline", look=look)
    with tempfile.TemporaryDirectory() as folder:
        for name, script in SCANS.items():
            path = Path(folder) / "scans.txt"
            path.write_text(script)
            for sampling in ("1x1", "2x2", "2x1"):
                for size in [(97, 63), (17, 13)][:1 if short else 2]:
                    for restart in ([], ["-restart", "2B"]):
                        options = ["-sample", sampling, *restart, "-scans", str(path)]
                        data = cjpeg(picture(*size, "edges", 1), *options)
                        yield "scans", f"{name} {sampling} {size} {restart}", data
    yield made("arithmetic", (48, 64), "-arithmetic")
    yield made("arithmetic", (48, 64), "-arithmetic", "-progressive")

    base = cjpeg(picture(97, 63, "edges", 3), "-quality", "90", "-sample", "2x2")
    plain = cjpeg(picture(97, 63, "edges", 3), "-quality", "90", "-sample", "1x1")
    red = cjpeg(picture(97, 63, "edges", 3), "-quality", "95", "-rgb")
    bare = without(plain, 0xE0)
    some = b"\xff\xfe\0\x08hello\0"
    for name, data in {
        "no JFIF": bare,
        "no JFIF, subsampled": without(base, 0xE0),
        "ids RGB without JFIF": named(bare, b"RGB"),
        "ids RGB with JFIF": named(plain, b"RGB"),
        "ids 0 1 2": named(bare, b"\0\1\2"),
        "ids 0 1 2 with JFIF": named(plain, b"\0\1\2"),
        "ids 7 8 9": named(bare, b"\7\x08\x09"),
        "RGB with Adobe marker": red,
        "RGB by ids": without(red, 0xEE),
        "RGB with Adobe marker, ids 1 2 3": named(red, b"\1\2\3"),
        "YCbCr with Adobe marker": bare[:2] + adobe(1) + bare[2:],
        "JFIF and Adobe 0": plain[:20] + adobe(0) + plain[20:],
        "bytes behind the end": base + b"film" * 999,
        "a second image behind the end": base + plain,
        "fill bytes": base[:2] + b"\xff\xff\xff" + base[2:],
        "a comment": base[:2] + some + base[2:],
        "thumbnail in a segment": base[:2] + b"\xff\xe1" + (len(plain) + 8).to_bytes(2, "big") + b"Exif\0\0" + plain + base[2:]
        if len(plain) < 65000 else None,
        "colour profile": cjpeg(picture(97, 63, "edges", 3)),
    }.items():
        yield "markers", name, data

    for size in sizes[:6]:
        ink = Image.fromarray(np.dstack([picture(*size, "edges", 7), picture(*size, "soft", 8)[..., 0]]), "CMYK")
        for options in ({}, {"progressive": True}, {"quality": 95}):
            data = io.BytesIO()
            ink.save(data, "JPEG", **options)
            # Pillow writes CMYK with an Adobe marker of transform 0; its first three planes read as YCC give YCCK.
            at = data.getvalue().index(b"Adobe") + 11
            ycck = bytearray(data.getvalue())
            ycck[at] = 2
            yield "CMYK", f"{size} {options}", data.getvalue()
            yield "YCCK", f"{size} {options}", bytes(ycck)


def entropy_starts(data):
    """Where the first scan's data begin."""
    return list(segments(data))[-1][2]


def damaged(files, short):
    """Cut and damaged copies."""
    rng = random.Random(5)
    pool = [f for f in files if f[2] and f[0] in ("usual sampling", "grey", "rare sampling", "scans", "CMYK") and len(f[2]) > 900]
    for kind, name, data in rng.sample(pool, 30 if short else 90):
        begin = entropy_starts(data)
        for _ in range(2):
            at = rng.randrange(begin + 1, len(data) - 2)
            yield "cut", f"{kind} {name} at {at}", data[:at]
            yield "cut, end marker put back", f"{kind} {name} at {at}", data[:at] + data[-2:]
        yield "no end marker", f"{kind} {name}", data[:-2]
        at = rng.randrange(begin + 1, len(data) - 40)
        yield "part missing", f"{kind} {name} at {at}", data[:at] + data[at + rng.randrange(1, 30):]
        flipped = bytearray(data)
        flipped[rng.randrange(begin, len(data) - 2)] ^= 1 << rng.randrange(8)
        yield "a bit flipped", f"{kind} {name}", bytes(flipped)
        zeroed = bytearray(data)
        zeroed[at:at + 24] = bytes(24)
        yield "zeros inside", f"{kind} {name} at {at}", bytes(zeroed)
        yield "bytes put in", f"{kind} {name} at {at}", data[:at] + rng.randbytes(9) + data[at:]
        yield "another file inside", f"{kind} {name} at {at}", data[:at] + rng.choice(pool)[2][at:]


def djpeg(path):
    """The picture as libjpeg decodes it (None where it does not), and what it says."""
    done = subprocess.run(["djpeg", "-ppm", str(path)], capture_output=True)
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode not in (0, 2) or not done.stdout:
        return None, said
    image = np.asarray(Image.open(io.BytesIO(done.stdout)).convert("RGB"))
    return image, said


def write_tests(folder):
    """Small files for `cargo test`, and what djpeg makes of them."""
    folder.mkdir(parents=True, exist_ok=True)
    image = picture(19, 13, "edges", 11)
    scans = folder / "scans.txt"
    files = {
        "444": ["-sample", "1x1"], "422": ["-sample", "2x1"], "420": ["-sample", "2x2"], "440": ["-sample", "1x2"],
        "411": ["-sample", "4x1"], "three": ["-sample", "3x1"], "coarse_luminance": ["-sample", "1x1,2x2,1x1"],
        "coarser_luminance": ["-sample", "1x1,2x2,2x2"], "mixed": ["-sample", "2x2,2x1,1x2"], "grey": ["-grayscale", "-sample", "2x2"],
        "restart": ["-sample", "2x1", "-restart", "1B"], "rgb": ["-rgb"], "progressive": ["-progressive", "-sample", "2x2"],
        "progressive_coarse": ["-progressive", "-sample", "1x1,2x1,1x1"], "progressive_restart": ["-progressive", "-restart", "1B"],
        "one_scan_each": SCANS["one each"], "refined": SCANS["refined"],
    }
    made = {}
    for name, options in files.items():
        if isinstance(options, str):
            scans.write_text(options)
            options = ["-sample", "2x2", "-scans", str(scans)]
        made[name] = cjpeg(image, "-quality", "90", "-optimize", *options)
    scans.unlink()
    ink = io.BytesIO()
    Image.fromarray(np.dstack([image, picture(19, 13, "soft", 12)[..., 0]]), "CMYK").save(ink, "JPEG", optimize=True)
    made["cmyk"] = ink.getvalue()
    at = made["cmyk"].index(b"Adobe") + 11
    made["ycck"] = made["cmyk"][:at] + b"\2" + made["cmyk"][at + 1:]
    for name, data in made.items():
        path = folder / f"{name}.jpg"
        path.write_bytes(data)
        decoded = subprocess.run(["djpeg", "-pnm", str(path)], capture_output=True, check=True)
        assert not decoded.stderr
        path.with_suffix(".pnm").write_bytes(decoded.stdout)


class Fvtool:
    """RGB as fvtool sees it, by a run whose descriptors are single pixels."""

    def __init__(self, program, folder):
        self.program, self.run, self.folder = program, folder / "run", folder
        self.own = threading.local()
        for split in ("train", "test"):
            for name in ("a", "b"):
                (folder / "data" / split / name).mkdir(parents=True)
                for i in range(3):
                    Image.fromarray(picture(40, 40, "edges", i)).save(folder / f"data/{split}/{name}/{split}{i}.png")
        sets = ["image.max_height_px=0", "descriptors.kind=colour", "descriptors.bin_sizes_px=[1]", "descriptors.step_px=1",
                "gmm.components=2", "pca.dimension=4", "sample.rows=1000"]
        subprocess.run([program, "fit-gmm", "--data", folder / "data", "--split", "train", "--run", self.run, "--config", "quick",
                        "-q", *(f"--set={s}" for s in sets)], check=True)

    def own_run(self):
        """A copy of the run for each thread, since a run folder is locked while it is used."""
        if not hasattr(self.own, "run"):
            self.own.run = self.folder / f"run{threading.get_ident()}"
            shutil.copytree(self.run, self.own.run)
        return self.own.run

    def see(self, path):
        out = self.folder / (path.name + ".safetensors")
        done = subprocess.run([self.program, "describe", "-q", "--run", self.own_run(), "-o", out, path], capture_output=True, text=True)
        if done.returncode:
            return None, done.stderr.strip()
        found = load_file(out)
        out.unlink()
        frames, rows = found["frames"], found["descriptors"]
        h, w = len(set(frames[:, 1])), len(set(frames[:, 0]))
        # 4 × 4 pixels of three means and three deviations each.
        cells = rows.reshape(h, w, 4, 4, 6)[..., :3]
        image = np.zeros((h + 3, w + 3, 3), np.float32)
        for y in range(4):
            for x in range(4):
                image[y:y + h, x:x + w] = cells[:, :, y, x]
        return image * 255, ""


# Kinds that fvtool does not read, and damage that libjpeg overlooks, by words of the message.
UNREAD = ("arithmetic", "not read", "lossless", "12 bits")
DAMAGE = ("damaged", "cut short", "is missing", "cannot be decoded")


def judge(fvtool, folder, number, kind, data, of_damaged):
    path = folder / f"{number:05}.jpg"
    path.write_bytes(data)
    want, said = djpeg(path)
    got, error = fvtool.see(path)
    sound = want is not None and not said
    if got is None:
        if not sound:
            return "refused by both", error
        if any(word in error for word in UNREAD):
            return "refused by kind", error
        if any(word in error for word in DAMAGE) and (of_damaged or "scans" in error):
            return "damage that djpeg overlooks", error
        return "WRONG: refused", error
    if not sound:
        return "WRONG: taken", said or "djpeg gives up"
    if got.shape != want.shape:
        return "WRONG: size", f"{got.shape} {want.shape}"
    difference = np.abs(got - want)
    if difference.max() > 3.01 or difference.mean() > 1:
        return "WRONG: pixels", f"largest difference {difference.max():.1f}, mean {difference.mean():.2f}"
    return "right", f"{difference.max():.1f} {difference.mean():.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a third of the files")
    parser.add_argument("--fvtool", default="target/release/fvtool")
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    parser.add_argument("--tests", type=Path, help="write the files of `cargo test` into this folder, and end")
    args = parser.parse_args()
    if args.tests:
        return write_tests(args.tests)
    made = list(whole(args.short))
    files = [(f, False) for f in made] + [(f, True) for f in damaged(made, args.short)]
    files = [(kind, name, data, hurt) for (kind, name, data), hurt in files if data]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        folder = args.keep or scratch / "files"
        folder.mkdir(parents=True, exist_ok=True)
        fvtool = Fvtool(args.fvtool, scratch)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            verdicts = list(pool.map(lambda at: judge(fvtool, folder, at[0], at[1][0], at[1][2], at[1][3]), enumerate(files)))
    table = collections.defaultdict(collections.Counter)
    worst = 0.0
    for number, ((kind, name, _, _), (verdict, detail)) in enumerate(zip(files, verdicts)):
        table[kind][verdict] += 1
        if verdict == "right":
            worst = max(worst, float(detail.split()[0]))
        elif verdict.startswith("WRONG"):
            print(f"{number:05} {kind}: {name}: {verdict}: {detail}")
    columns = sorted({verdict for counts in table.values() for verdict in counts}, key=lambda v: (v.startswith("WRONG"), v))
    print(f"{'':26}{'files':>7}" + "".join(f"  {column}" for column in columns))
    for kind, counts in table.items():
        print(f"{kind:26}{sum(counts.values()):7}" + "".join(f"  {counts[c] or '':>{len(c)}}" for c in columns))
    total = collections.Counter(verdict for verdict, _ in verdicts)
    print(f"{'all':26}{len(files):7}" + "".join(f"  {total[c] or '':>{len(c)}}" for c in columns))
    print(f"largest difference of a right picture: {worst:.1f}/255")
    sys.exit(any(verdict.startswith("WRONG") for verdict, _ in verdicts))


if __name__ == "__main__":
    main()
