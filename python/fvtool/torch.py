"""A Fisher-vector layer for PyTorch: a network and its Fisher vectors are trained together.

For the visible rows ``x_n`` of an image (``N`` of them), a mixture of ``K`` diagonal Gaussians (weights
``w_k``, means ``μ_k``, variances ``σ²_k``) and posteriors ``γ_nk`` the layer gives::

    order 0    1/(N √w_k)    Σ_n (γ_nk − w_k)                    1 value a component
    order 1    1/(N √w_k)    Σ_n γ_nk (x_n − μ_k)/σ_k            D values
    order 2    1/(N √(2w_k)) Σ_n γ_nk ((x_n − μ_k)²/σ²_k − 1)    D values

all components of an order, then those of the next: the values and their places are those of
`fvtool.fisher_vector`. Then each value ``f`` becomes ``sign(f)(√(|f| + ε) − √ε)``, and the vector gets unit
length. The mixture is no parameter: as in batch normalisation, each forward pass in training mode moves it
by moving averages (mini-batch EM).

Source: Korsch, Bodesheim and Denzler, End-to-end learning of Fisher vector encodings for part features in
fine-grained recognition, 2021, eq. 3–17. It divides by √N in place of N, which unit length removes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

from . import FvtoolError, fit_gmm

try:
    import torch
except ImportError as error:
    raise ImportError(
        "fvtool.torch needs PyTorch 2.4 or newer; install it with `pip install 'fvtool[torch]'` "
        "(https://pytorch.org/get-started says how to get one without CUDA, which is much smaller)"
    ) from error

from torch import Tensor, nn

__all__ = ["FisherVectorLayer", "above_mean_norm", "cells"]

# A component that explains fewer rows of a batch keeps its place, as in fvtool's own EM.
_EMPTY_ROWS = 1e-3
# Smallest variance relative to the largest one where a dimension does not vary at all, likewise.
_CONSTANT_DIMENSION = 1e-12
# Lengths that differ by less are equal but for rounding.
_ROUNDING = 1e-6


class FisherVectorLayer(nn.Module):
    """Fisher vectors of sets of rows, ``(B, N, dimension)`` to ``(B, out_features)``.

    The mixture lies in the buffers ``weights`` (K), ``means`` (K×D) and ``variances`` (K×D), its moving
    averages, uncorrected, in ``average_weights``, ``average_means`` and ``average_variances``, and the number
    of batches they have seen in ``steps``. Fill it with `initialise` before the training; otherwise the first
    batch does. Gradients flow to the rows, and none through the mixture's update.

    Parameters
    ----------
    components : int
        Components K of the mixture.
    dimension : int
        Values D of a row.
    orders : sequence of int
        Which of the orders 0, 1 and 2 the vector holds; it holds them ascending.
    decay : float
        Memory λ of the moving averages, 0 to below 1.
    root_epsilon : float
        ε of the smooth root, above 0: the gradient of the plain root is infinite at 0.
    norm_filter : {"none", "image-mean"}
        "image-mean": rows that are no longer than the mean of their image do not count (`above_mean_norm`).
    variance_floor : float
        Smallest variance, relative to the variance of the same dimension over all components when the mixture
        was filled.
    device, dtype :
        Of the mixture; float32 or float64.

    Attributes
    ----------
    out_features : int
        Values of a vector; 2·K·D for the orders 1 and 2.
    learning : bool
        Whether the mixture moves in training mode; set it to False to keep the mixture as it is.

    Notes
    -----
    An image without any visible row gets a vector of zeros, without a warning: a look at every mask would
    stop a GPU. A batch with a value that is not finite gives a vector that is not finite, and leaves the
    mixture as it was. Half precision is computed in float32. Several processes (DistributedDataParallel)
    each see the rows of their own; what the first of them finds is sent to all.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor
    average_weights: Tensor
    average_means: Tensor
    average_variances: Tensor
    floor: Tensor
    steps: Tensor

    def __init__(
        self,
        components: int,
        dimension: int,
        *,
        orders: tuple[int, ...] | list[int] = (1, 2),
        decay: float = 0.9,
        root_epsilon: float = 1e-4,
        norm_filter: Literal["none", "image-mean"] = "none",
        variance_floor: float = 1e-4,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.components = _whole("components", components)
        self.dimension = _whole("dimension", dimension)
        self.orders = tuple(sorted(set(orders)))
        _require(
            bool(self.orders) and len(self.orders) == len(orders) and set(orders) <= {0, 1, 2},
            "orders",
            orders,
            "one or more of 0, 1 and 2, each once",
        )
        _require(0.0 <= decay < 1.0, "decay", decay, "0 to below 1")
        _require(0.0 < root_epsilon < math.inf, "root_epsilon", root_epsilon, "a number above 0")
        _require(0.0 < variance_floor <= 1.0, "variance_floor", variance_floor, "above 0, at most 1")
        _require(norm_filter in ("none", "image-mean"), "norm_filter", norm_filter, "none or image-mean")
        self.decay = float(decay)
        self.root_epsilon = float(root_epsilon)
        self.norm_filter = norm_filter
        self.variance_floor = float(variance_floor)
        self.out_features = sum(components * (dimension if order else 1) for order in self.orders)
        self.learning = True
        shape = (components, dimension)
        for name, size in [("weights", shape[:1]), ("means", shape), ("variances", shape)]:
            self.register_buffer(name, torch.zeros(size, device=device, dtype=dtype))
            self.register_buffer(f"average_{name}", torch.zeros(size, device=device, dtype=dtype))
        self.register_buffer("floor", torch.zeros(dimension, device=device, dtype=dtype))
        # −1: there is no mixture yet.
        self.register_buffer("steps", torch.tensor(-1, device=device))
        self._filled = False

    def initialise(
        self, x: Any, mask: Tensor | None = None, *, seed: int = 1, steps: int = 20, **settings: Any
    ) -> FisherVectorLayer:
        """Fits the mixture to rows with `fvtool.fit_gmm` (k-means, then EM) and starts the averages warm.

        ``x`` holds rows (N×D; an array or a tensor), which are taken as they are, or images as `forward` takes
        them. The averages stand as if ``steps`` batches had agreed on this mixture: otherwise the first batches
        would move it far, and with it everything that the classifier sees. ``settings`` are those of the
        program's group ``gmm``, as ``max_iterations=30``. Returns the layer.
        """
        x = torch.as_tensor(x).detach()
        if x.dim() == 2:
            _require(mask is None, "mask", "given", "left out with rows of no image")
            _require(x.shape[1] == self.dimension, "x", _shape(x), f"N×{self.dimension}")
        else:
            x, mask = self._rows(x, mask)
        self._fit(x, mask, seed, steps, settings)
        return self

    def set_mixture(self, weights: Any, means: Any, variances: Any, *, steps: int = 20) -> FisherVectorLayer:
        """Takes a mixture (K, K×D, K×D) over, with averages as if ``steps`` batches had agreed on it; with 0 the
        next batch replaces it. Weights are scaled to sum to 1. Returns the layer."""
        _require(isinstance(steps, int) and steps >= 0, "steps", steps, "a whole number from 0")
        given = {"weights": weights, "means": means, "variances": variances}
        new = {name: torch.as_tensor(value).detach().to(self.means) for name, value in given.items()}
        for name, value in new.items():
            expected = getattr(self, name).shape
            _require(value.shape == expected, name, _shape(value), "×".join(map(str, expected)))
            _require(bool(value.isfinite().all()), name, "with a value that is not finite", "finite numbers")
        w, mu, var = new["weights"], new["means"], new["variances"]
        _require(bool((w >= 0).all() and w.sum() > 0), "weights", w.tolist(), "0 or more, with a sum above 0")
        _require(bool((var > 0).all()), "variances", "0 or less in places", "above 0")
        new["weights"] = w = w / w.sum()
        overall = w @ (var + (mu - w @ mu) ** 2)
        smallest = _CONSTANT_DIMENSION * overall.max()
        self.floor.copy_((self.variance_floor * overall).clamp(min=smallest))
        new["variances"] = var.clamp(min=self.floor)
        for name, value in new.items():
            getattr(self, name).copy_(value)
            getattr(self, f"average_{name}").copy_(value * self._correction(steps))
        self.steps.fill_(steps)
        self._filled = True
        return self

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Vectors of unit length, ``(B, out_features)``.

        ``x`` is ``(B, N, D)``, or ``(B, P, R, D)`` for P parts of R rows. ``mask`` says which rows count (bool,
        ``(B, N)`` or ``(B, P, R)``), or which parts (``(B, P)``); what a row holds that does not count has no
        effect, not even NaN.
        """
        return self._vectors(x, mask, self._normalised)

    def fisher(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The Fisher vectors before root and length, ``(B, out_features)``; arguments and what becomes of the
        mixture as in `forward`."""
        return self._vectors(x, mask, lambda f: f)

    def save(self, path: str | os.PathLike[str], projection: nn.Module | None = None) -> None:
        """Writes the mixture, and the projection before it, for `fvtool run --set layer.file=PATH`.

        A safetensors file with float32 tensors ``mixture.weights`` (K), ``mixture.means`` (K×D) and
        ``mixture.variances`` (K×D). ``projection`` is the ``torch.nn.Linear`` (or ``Conv2d`` of 1×1) that makes
        rows of D values out of C; the file then holds ``projection.components`` (D×C) and ``projection.mean``
        (C), with ``row = components · (x − mean)``. A bias that has no such form is refused.
        """
        try:
            from safetensors.torch import save as packed
        except ImportError as error:
            raise ImportError("save needs the package safetensors; `pip install safetensors`") from error
        if not self._is_filled():
            raise FvtoolError("the layer has no mixture yet: there is nothing to save")
        parts = {f"mixture.{name}": getattr(self, name) for name in ("weights", "means", "variances")}
        if projection is not None:
            components, mean = _projection(projection)
            _require(
                components.shape[0] == self.dimension,
                "projection",
                f"one to {components.shape[0]} values",
                f"one to the layer's {self.dimension}",
            )
            parts |= {"projection.components": components, "projection.mean": mean}
        file = {name: tensor.detach().float().cpu().contiguous() for name, tensor in parts.items()}
        for name, tensor in file.items():
            if not tensor.isfinite().all():
                raise FvtoolError(f"`{name}` has values that are not finite; the training went astray")
        Path(path).write_bytes(packed(file, {"made_by": "fvtool.torch.FisherVectorLayer"}))

    def extra_repr(self) -> str:
        return (
            f"{self.components}, {self.dimension}, orders={self.orders}, decay={self.decay}, "
            f"root_epsilon={self.root_epsilon}, norm_filter={self.norm_filter!r}, "
            f"variance_floor={self.variance_floor}"
        )

    def _vectors(self, x: Tensor, mask: Tensor | None, finish: Callable[[Tensor], Tensor]) -> Tensor:
        if self.means.dtype not in (torch.float32, torch.float64):
            raise FvtoolError(
                f"the mixture is {self.means.dtype}, whose steps are coarser than its moves; keep the layer in "
                "float32 with `layer.float()` (rows may have half precision)"
            )
        given = x.dtype
        x, mask = self._rows(x, mask)
        learning = self.training and self.learning
        if not self._is_filled():
            if not learning:
                raise FvtoolError(
                    "the layer has no mixture yet: call `initialise` with rows of training images, load a state, "
                    "or begin in training mode"
                )
            self._fit(x.detach(), mask, 1, 0, {})
        with _full_precision(x.device):
            standard, sums = self._sums(x.to(torch.promote_types(x.dtype, self.means.dtype)), mask)
            # What is computed here stands apart from the buffers, which may now move.
            vectors = finish(self._gradients(standard, sums))
            if learning:
                self._learn(standard, sums)
        return vectors.to(given)

    def _rows(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """``(B, N, D)`` in float32 or more, and the mask ``(B, N)`` of rows that count."""
        fits = x.dim() in (3, 4) and x.shape[-1] == self.dimension and x.is_floating_point()
        wanted = f"floats B×N×{self.dimension} or B×P×R×{self.dimension}"
        _require(fits, "x", f"{_shape(x)} {x.dtype}", wanted)
        if mask is not None:
            _require(mask.dtype == torch.bool, "mask", mask.dtype, "bool: true where a row counts")
            sizes = [x.shape[:-1]] + ([x.shape[:2]] if x.dim() == 4 else [])
            wanted = " or ".join("×".join(map(str, size)) for size in sizes)
            _require(mask.shape in sizes, "mask", _shape(mask), wanted)
            if x.dim() == 4 and mask.dim() == 2:
                mask = mask[..., None].expand(x.shape[:-1])
            mask = mask.to(x.device).flatten(1)
        if x.dim() == 4:
            x = x.flatten(1, 2)
        x = _at_least_single(x)
        if self.norm_filter == "image-mean":
            mask = above_mean_norm(x, mask)
        return x, mask

    def _is_filled(self) -> bool:
        # Reading `steps` waits for a GPU, so it is done until there is a mixture, and no longer.
        self._filled = self._filled or int(self.steps) >= 0
        return self._filled

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._filled = False

    def _fit(
        self, x: Tensor, mask: Tensor | None, seed: int, steps: int, settings: Mapping[str, Any]
    ) -> None:
        rows = (x.reshape(-1, self.dimension) if mask is None else x[mask]).float().cpu().numpy()
        settings = {"variance_floor": self.variance_floor, **settings}
        gmm = fit_gmm(rows, self.components, seed=seed, **settings)
        self.set_mixture(gmm.weights, gmm.means, gmm.variances, steps=steps)

    def _sums(self, x: Tensor, mask: Tensor | None) -> tuple[_Standard, _Sums]:
        # Standardised by all the mixture: differences of large sums lose less, and nothing else changes.
        w, mu, var = (buffer.to(x.dtype) for buffer in (self.weights, self.means, self.variances))
        centre = w @ mu
        scale = (w @ (var + (mu - centre) ** 2)).sqrt()
        mu, var = (mu - centre) / scale, var / scale**2
        y = (x - centre) / scale
        if mask is not None:
            y = torch.where(mask[..., None], y, torch.zeros_like(y))
        squares = y * y
        constant = w.log() - 0.5 * (var.log() + mu * mu / var).sum(1)
        posteriors = torch.softmax(constant + y @ (mu / var).T - 0.5 * squares @ (1 / var).T, dim=-1)
        if mask is None:
            rows = x.new_full((x.shape[0], 1), x.shape[1])
        else:
            posteriors = posteriors * mask[..., None]
            rows = mask.sum(1, keepdim=True).to(x.dtype)
        transposed = posteriors.transpose(1, 2)
        sums = _Sums(rows, posteriors.sum(1), transposed @ y, transposed @ squares)
        return _Standard(w, mu, var, centre, scale), sums

    def _gradients(self, standard: _Standard, sums: _Sums) -> Tensor:
        w, mu, var, _, _ = standard
        rows, mass, first, second = sums
        mass_kd = mass[..., None]
        # A component without weight has zeros, as an image without rows.
        factor = torch.where(w > 0, w.rsqrt(), torch.zeros_like(w)) / rows.clamp(min=1)
        parts = []
        for order in self.orders:
            if order == 0:
                parts.append(factor * (mass - rows * w))
            elif order == 1:
                parts.append((factor[..., None] * (first - mass_kd * mu) / var.sqrt()).flatten(1))
            else:
                deviation = (second - 2 * mu * first + mass_kd * mu * mu) / var - mass_kd
                parts.append((math.sqrt(0.5) * factor[..., None] * deviation).flatten(1))
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def _learn(self, standard: _Standard, sums: _Sums) -> None:
        """Eq. 3–9 on the rows of the batch; the same departures as in fvtool's mini-batch EM: a component that
        the batch does not reach keeps its place and a weight that it can come back from."""
        _, mu, var, centre, scale = standard
        rows, mass, first, second = (part.sum(0) for part in sums)
        reached = (mass >= _EMPTY_ROWS)[:, None]
        divisor = mass.clamp(min=_EMPTY_ROWS)[:, None]
        mean = torch.where(reached, first / divisor, mu)
        variance = torch.where(reached, second / divisor - mean**2, var)
        weights = torch.maximum(mass / rows, _EMPTY_ROWS / rows)
        new = {
            "weights": weights,
            "means": centre + scale * mean,
            "variances": torch.maximum(variance * scale**2, self.floor.to(variance.dtype)),
        }
        # A batch without rows, or with NaN, is none.
        usable = torch.stack([part.isfinite().all() for part in new.values()]).all() & (rows > 0).all()
        self.steps += usable
        correction = self._correction(self.steps)
        for name, value in new.items():
            average, corrected = getattr(self, f"average_{name}"), getattr(self, name)
            moved = self.decay * average + (1 - self.decay) * value.to(average.dtype)
            average.copy_(torch.where(usable, moved, average))
            value = average / correction
            if name == "weights":
                value = value / value.sum()
            corrected.copy_(torch.where(usable, value, corrected))

    def _correction(self, steps: Tensor | int) -> Tensor:
        """1 − λᵗ, exact for λ near 1."""
        log = math.log(self.decay) if self.decay > 0 else -math.inf
        steps = torch.as_tensor(steps, device=self.means.device).to(self.means.dtype)
        return torch.where(steps > 0, -torch.expm1(steps.clamp(min=1) * log), torch.zeros_like(steps))

    def _normalised(self, f: Tensor) -> Tensor:
        # sign(f)(√(|f| + ε) − √ε) without the difference, which would lose small values.
        return _unit(f / ((f.abs() + self.root_epsilon).sqrt() + math.sqrt(self.root_epsilon)))


class _Standard(NamedTuple):
    """The mixture in coordinates in which all of it has mean 0 and variance 1, and the way back."""

    weights: Tensor
    means: Tensor
    variances: Tensor
    centre: Tensor
    scale: Tensor


class _Sums(NamedTuple):
    """Of each image: rows that count (B×1), Σγ (B×K), Σγy and Σγy² (B×K×D)."""

    rows: Tensor
    mass: Tensor
    first: Tensor
    second: Tensor


def cells(maps: Tensor, *, keep: Literal["all", "above-mean-norm"] = "all") -> tuple[Tensor, Tensor | None]:
    """Rows of a convolution's output as ``descriptors.kind = "network"`` makes them.

    ``maps`` is ``(B, C, H, W)``. Returns ``(B, H·W, C)``, every row of unit length (or zero), and the mask of
    `above_mean_norm` of the rows before that, or None where ``keep`` is "all"; ``keep`` is ``descriptors.keep``.
    """
    _require(maps.dim() == 4, "maps", _shape(maps), "B×C×H×W")
    _require(keep in ("all", "above-mean-norm"), "keep", keep, "all or above-mean-norm")
    # In half precision the squares of a long row would overflow.
    rows = _at_least_single(maps).flatten(2).transpose(1, 2)
    return _unit(rows), above_mean_norm(rows) if keep == "above-mean-norm" else None


def above_mean_norm(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Which rows of each image, ``(B, N, D)``, are longer than the mean of its visible rows (section 3.4 of the
    paper): a mask ``(B, N)``. Rows that are all of one length, but for rounding, all count; the rows of `cells`
    are, so filter there with ``keep``."""
    length: Tensor = torch.linalg.vector_norm(x.detach(), dim=-1)
    if mask is None:
        return length > length.mean(1, keepdim=True) * (1 - _ROUNDING)
    length = torch.where(mask, length, torch.zeros_like(length))
    mean = length.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    return mask & (length > mean * (1 - _ROUNDING))


def _at_least_single(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _unit(v: Tensor) -> Tensor:
    """Rows over their lengths; rows of zeros stay, with a finite gradient."""
    square = (v * v).sum(-1, keepdim=True)
    return v / torch.where(square > 0, square, torch.ones_like(square)).sqrt()


def _projection(projection: nn.Module) -> tuple[Tensor, Tensor]:
    """Components (D×C) and mean (C) of ``components · (x − mean)``."""
    weight, bias = getattr(projection, "weight", None), getattr(projection, "bias", None)
    if isinstance(projection, nn.Conv2d):
        plain = projection.kernel_size == (1, 1) and projection.stride == (1, 1)
        plain = plain and projection.padding in ((0, 0), "valid", "same") and projection.groups == 1
        weight = projection.weight[:, :, 0, 0] if plain else None
    elif not isinstance(projection, nn.Linear):
        weight = None
    if weight is None:
        raise FvtoolError(
            "argument `projection`: a torch.nn.Linear, or a torch.nn.Conv2d of 1×1 with stride 1, no padding and "
            f"one group, is needed, got {projection}"
        )
    components = weight.detach().double().cpu()
    if bias is None or not bias.any():
        return components, components.new_zeros(components.shape[1])
    # components · mean = −bias; the shortest of the solutions.
    bias = bias.detach().double().cpu()
    mean = -(torch.linalg.pinv(components) @ bias)
    error = (components.float().double() @ mean.float().double() + bias).abs().max()
    if error > 1e-5 * bias.abs().max():
        raise FvtoolError(
            "argument `projection`: its bias cannot be written as a mean that is taken from the rows first; make "
            "it with bias=False, the mixture's means do the same work"
        )
    return components, mean


def _full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Autocast would do the products in half precision."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def _whole(name: str, value: int) -> int:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    _require(fits, name, value, "a whole number from 1")
    return value


def _require(fits: bool, name: str, got: object, wanted: str) -> None:
    if not fits:
        raise FvtoolError(f"argument `{name}`: expected {wanted}, got {got}")


def _shape(x: Tensor) -> str:
    return "×".join(map(str, x.shape)) or "one number"
