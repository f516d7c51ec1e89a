"""Trains a small network through its Fisher vectors, and hands both to fvtool.

    pip install 'fvtool[torch]' onnx pillow          # https://pytorch.org/get-started: torch without CUDA
    python examples/train_parts.py --out parts       # a few minutes on two cores; --short: half a minute

It draws small pictures of six classes that differ in details of small parts alone: how a disc is striped,
where a square has its dot, where a ring is open. Parts lie anywhere, many are hidden, and things like them
that say nothing lie about. It prints the accuracy of

    average pooling                  convolutions, 1×1, mean over the cells, classes
    layer on untrained features      random convolutions, projection by principal components, mixture by EM
    layer on the pooled features     the same on convolutions that were trained with average pooling
    trained through the layer        the same start; then everything is trained through the Fisher vectors

The last is written as OUT/features.onnx (convolutions) and OUT/layer.safetensors (projection and mixture),
beside the pictures, and the commands of fvtool that go on from there are printed.

Everything is drawn and begun from --seed; another release of torch may end a little elsewhere.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from fvtool.torch import FisherVectorLayer, cells
from torch import nn

CLASSES = ["alder", "birch", "cedar", "dogwood", "elm", "fir"]
SIDE = 64  # pixels of an image; a multiple of the network's stride
STRIDE = 8
CHANNELS = [3, 16, 32, 48]
DIMENSION, COMPONENTS = 16, 2
HIDDEN = 0.4  # how often a part is left out


# Pictures ---------------------------------------------------------------------------------------------------


def grid(radius):
    """Column and row from the middle of a part, over its radius; and the pixels within it, soft at the edge."""
    y, x = np.mgrid[-9:10, -9:10] / radius
    return x, y


def soft(distance, radius):
    """1 inside (distance below 0), 0 outside, one pixel of transition."""
    return np.clip(0.5 - distance * radius, 0, 1)


def part(kind, detail, rng):
    """Cover (of two colours) of a disc, square or ring; `detail` is a class's number, or None for one that
    says nothing."""
    radius = rng.uniform(6.0, 8.0)
    x, y = grid(radius)
    if kind == "disc":
        body = soft(np.hypot(x, y) - 1, radius)
        if detail is None:
            return body, 0 * body
        angle = np.pi * detail / len(CLASSES)
        along = x * np.cos(angle) + y * np.sin(angle)
        return body, body * (0.5 + 0.5 * np.cos(2 * np.pi * (1.5 * along + rng.uniform())))
    turn = 2 * np.pi * (detail or 0) / len(CLASSES)
    if kind == "square":
        body = soft(np.maximum(abs(x), abs(y)) - 0.9, radius)
        dot = soft(np.hypot(x - 0.5 * np.cos(turn), y - 0.5 * np.sin(turn)) - 0.3, radius)
        return body, 0 * body if detail is None else dot
    body = soft(abs(np.hypot(x, y) - 0.75) - 0.22, radius)
    if detail is not None:
        away = np.angle(np.exp(1j * (np.arctan2(y, x) - turn)))
        body = body * (abs(away) > 0.45)
    return body, 0 * body


def photograph(number, rng):
    """An image of a class, SIDE×SIDE×3 uint8."""
    coarse = rng.normal(size=(3, 6, 6))
    at = np.linspace(0, 5, SIDE)
    low = np.minimum(at.astype(int), 4)
    share = at - low
    rows = coarse[:, low] * (1 - share)[:, None] + coarse[:, low + 1] * share[:, None]
    smooth = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    image = 0.5 + 0.12 * smooth + 0.04 * rng.normal(size=(3, SIDE, SIDE))
    seen = rng.uniform(size=3) > HIDDEN
    seen[rng.integers(3)] = True
    things = [(kind, number) for kind, shown in zip(("disc", "square", "ring"), seen) if shown]
    things += [(kind, None) for kind in rng.choice(["disc", "square", "ring"], size=rng.integers(1, 4))]
    taken = []
    for kind, detail in things:
        for _ in range(100):
            place = rng.integers(10, SIDE - 10, size=2)
            if all(np.hypot(*(place - other)) > 17 for other in taken):
                break
        taken.append(place)
        body, mark = part(kind, detail, rng)
        colour = rng.uniform(0, 1, size=3)
        other = np.where(colour.mean() > 0.5, colour - 0.5, colour + 0.5)
        where = (slice(None), *(slice(p - 9, p + 10) for p in place))
        for cover, paint in [(body, colour), (mark, other)]:
            image[where] += cover * (paint[:, None, None] - image[where])
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)


def draw(count, rng):
    """`count` images of every class, and the number of the class of each."""
    labels = np.repeat(np.arange(len(CLASSES)), count)
    return np.stack([photograph(number, rng) for number in labels]), labels


def scaled(images):
    """What the network sees: `network.scaling = "signed"` of fvtool."""
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127.5) / 127.5


# Networks -------------------------------------------------------------------------------------------------


def convolutions():
    layers = []
    for number, (before, after) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        size = 3 if number == 2 else 5
        convolution = nn.Conv2d(before, after, size, stride=2, padding=size // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class Pooled(nn.Module):
    """Convolutions, 1×1, mean over all cells, classes."""

    def __init__(self):
        super().__init__()
        self.features = convolutions()
        self.projection = nn.Conv2d(CHANNELS[-1], DIMENSION, 1)
        self.head = nn.Linear(DIMENSION, len(CLASSES))

    def forward(self, images):
        return self.head(self.projection(self.features(images)).mean((2, 3)))


class Encoded(nn.Module):
    """Convolutions, cells of unit length as fvtool makes them, projection, Fisher-vector layer, classes."""

    def __init__(self):
        super().__init__()
        self.features = convolutions()
        self.projection = nn.Linear(CHANNELS[-1], DIMENSION, bias=False)
        self.layer = FisherVectorLayer(COMPONENTS, DIMENSION)
        self.head = nn.Linear(self.layer.out_features, len(CLASSES))

    @torch.no_grad()
    def begin(self, images):
        """Projection by principal components and mixture by EM, of rows of some images."""
        self.eval()
        rows = cells(self.features(images))[0].flatten(0, 1)
        self.projection.weight.copy_(torch.linalg.eigh(torch.cov(rows.T))[1].flip(1).T[:DIMENSION])
        self.layer.initialise(self.projection(rows))

    def forward(self, images):
        rows, _ = cells(self.features(images))
        return self.head(self.layer(self.projection(rows)))

    @torch.no_grad()
    def vectors(self, images):
        """The layer's vectors as they stand."""
        self.eval()
        chunks = images.split(100)
        return torch.cat([self.layer(self.projection(cells(self.features(chunk))[0])) for chunk in chunks])


def train(model, groups, images, labels, epochs, seed, batch=32):
    """Adam with one cycle of learning rates; `groups` are (parameters, largest rate)."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam([{"params": list(params), "lr": rate} for params, rate in groups])
    steps = epochs * (len(images) // batch)
    rates = [rate for _, rate in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.2)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for chosen in order[: len(order) // batch * batch].split(batch):
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    found = torch.cat([model(chunk).argmax(1) for chunk in images.split(100)])
    return (found == labels).float().mean().item()


# What fvtool takes ----------------------------------------------------------------------------------------

SETTINGS = f"""\
[descriptors]
kind = "network"           # every cell of the map a row of unit length, as `cells` makes them

[network]
output = "features"
multiple = {STRIDE}               # pictures of {SIDE} pixels stay as they are
square = "core"
"""


def export(features, path):
    """The convolutions as an ONNX file, with the scaling of pixels that `scaled` does."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes, constants, value = [], [], "image"
    blocks = [features[at : at + 3] for at in range(0, len(features), 3)]
    for number, (convolution, norm, _) in enumerate(blocks):
        # Batch normalisation as it stands becomes a part of the convolution.
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        parts = {
            f"conv{number}.weight": convolution.weight * factor[:, None, None, None],
            f"conv{number}.bias": norm.bias - norm.running_mean * factor,
        }
        constants += [numpy_helper.from_array(part.detach().numpy(), name) for name, part in parts.items()]
        made = "features" if number == len(blocks) - 1 else f"value{number}"
        nodes += [
            helper.make_node(
                "Conv",
                [value, *parts],
                [f"conv{number}"],
                kernel_shape=convolution.kernel_size,
                strides=convolution.stride,
                pads=convolution.padding * 2,
            ),
            helper.make_node("Relu", [f"conv{number}"], [made]),
        ]
        value = made
    maps = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, height, width])
        for name, channels, height, width in [("image", 3, "h", "w"), ("features", CHANNELS[-1], "fh", "fw")]
    ]
    graph = helper.make_graph(nodes, "parts", maps[:1], maps[1:], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="train_parts.py"
    )
    helper.set_model_props(model, {"fvtool.scaling": "signed"})
    checker.check_model(model)
    save(model, path)


def write_pictures(images, labels, folder):
    from PIL import Image

    for number, (image, label) in enumerate(zip(images, labels)):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:05}.png")


def commands(out):
    run = f"--run {out}/run --data {out}/pictures"
    return f"""\
fvtool run {run} --train train --test test --config {out}/parts.toml \\
    --network {out}/features.onnx --set layer.file={out}/layer.safetensors
fvtool explain {run} --split test --network-rule alpha-beta
fvtool audit {run} --split test"""


# All of it ------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("parts"), help="new folder for what is made [parts]")
    parser.add_argument(
        "--short", action="store_true", help="fewer pictures and passes: to see that it works"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="of torch [its own choice]")
    args = parser.parse_args()
    if args.out.exists():
        raise SystemExit(f"{args.out} is there already; name another folder with --out")
    if args.threads:
        torch.set_num_threads(args.threads)
    count, first, second = (100, 6, 6) if args.short else (400, 12, 12)

    rng = np.random.default_rng(args.seed)
    pictures = {"train": draw(count, rng), "test": draw(40 if args.short else 150, rng)}
    (images, labels), (test_images, test_labels) = (
        (scaled(images), torch.from_numpy(labels)) for images, labels in pictures.values()
    )
    print(f"{len(images)} pictures to learn from, {len(test_images)} to test on, {len(CLASSES)} classes")

    def report(name, started, model, *test):
        print(f"{name:30}{accuracy(model, *test):6.1%}{time.perf_counter() - started:8.0f} s", flush=True)

    def of_fixed_vectors(name, model):
        """A head on vectors that do not change."""
        started = time.perf_counter()
        model.begin(images[:: max(1, len(images) // 300)])
        head = nn.Linear(model.layer.out_features, len(CLASSES))
        train(head, [(head.parameters(), 0.05)], model.vectors(images), labels, first + second, args.seed)
        report(name, started, head, model.vectors(test_images), test_labels)

    print(f"\n{'':30}{'accuracy':>8}{'time':>8}")
    torch.manual_seed(args.seed)
    of_fixed_vectors("layer on untrained features", Encoded())

    started = time.perf_counter()
    pooled = Pooled()
    train(pooled, [(pooled.parameters(), 3e-3)], images, labels, first, args.seed)
    begun = time.perf_counter() - started
    fixed, model = Encoded(), Encoded()
    for encoded in (fixed, model):
        encoded.features.load_state_dict(pooled.features.state_dict())
    train(pooled, [(pooled.parameters(), 3e-3)], images, labels, second, args.seed)
    report("average pooling", started, pooled, test_images, test_labels)
    of_fixed_vectors("layer on the pooled features", fixed)

    started = time.perf_counter() - begun
    model.begin(images[:: max(1, len(images) // 300)])
    body = [*model.features.parameters(), *model.projection.parameters()]
    groups = [(body, 3e-3), (model.head.parameters(), 3e-2)]
    train(model, groups, images, labels, second, args.seed)
    report("trained through the layer", started, model, test_images, test_labels)

    args.out.mkdir(parents=True)
    export(model.features, args.out / "features.onnx")
    model.layer.save(args.out / "layer.safetensors", model.projection)
    (args.out / "parts.toml").write_text(SETTINGS, encoding="utf-8")
    for split, (images, labels) in pictures.items():
        write_pictures(images, labels, args.out / "pictures" / split)
    print(f"\nWritten to {args.out}. Go on with\n\n{commands(args.out)}")


if __name__ == "__main__":
    main()
