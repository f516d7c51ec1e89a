from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from ._estimators import Classifier as Classifier
from ._estimators import FisherVectorizer as FisherVectorizer

__all__ = [
    "Classifier",
    "FisherVectorizer",
    "FvtoolError",
    "FvtoolWarning",
    "GMM",
    "Heatmap",
    "PCA",
    "Run",
    "__version__",
    "dense_sift",
    "explain",
    "fisher_layer",
    "fisher_vector",
    "fit_gmm",
    "fit_pca",
]

__version__: str

# A path, an array (H×W or H×W×3; uint8, uint16, or floats from 0 to 1), or an image of Pillow.
_Image = str | PathLike[str] | NDArray[Any] | Any

class FvtoolError(Exception):
    """What fvtool cannot do, in the words of the program: what failed, and the way out."""

class FvtoolWarning(UserWarning):
    """What the program would note: nothing failed, but one should know."""

@final
class PCA:
    """A projection: ``transform`` gives ``(rows − mean) · componentsᵀ``."""

    def __new__(
        cls,
        mean: ArrayLike,
        components: ArrayLike,
        variances: ArrayLike,
        kept: float = 1.0,
        l2: bool = False,
        append: Literal["none", "xy", "xys"] = "none",
    ) -> Self: ...
    @property
    def mean(self) -> NDArray[np.float32]: ...
    @property
    def components(self) -> NDArray[np.float32]: ...
    @property
    def variances(self) -> NDArray[np.float32]: ...
    @property
    def kept(self) -> float: ...
    @property
    def l2(self) -> bool: ...
    @property
    def append(self) -> str: ...
    def transform(self, rows: ArrayLike, positions: ArrayLike | None = None) -> NDArray[np.float32]: ...

@final
class GMM:
    """A mixture of K Gaussians in D dimensions, each with variances of its own and no covariances."""

    def __new__(cls, weights: ArrayLike, means: ArrayLike, variances: ArrayLike) -> Self: ...
    @property
    def weights(self) -> NDArray[np.float32]: ...
    @property
    def means(self) -> NDArray[np.float32]: ...
    @property
    def variances(self) -> NDArray[np.float32]: ...
    @property
    def report(self) -> dict[str, Any] | None: ...
    def posteriors(self, rows: ArrayLike) -> NDArray[np.float32]: ...
    def log_likelihood(self, rows: ArrayLike) -> NDArray[np.float64]: ...

@final
class Heatmap:
    """Why an image has its score for a class."""

    @property
    def relevance(self) -> NDArray[np.float64]: ...
    @property
    def class_name(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def rule(self) -> str: ...

@final
class Run:
    """A run folder that ``fvtool run`` made, read with its checksums. Nothing is written into it."""

    def __new__(cls, path: str | PathLike[str]) -> Self: ...
    @property
    def path(self) -> Path: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def splits(self) -> list[str]: ...
    @property
    def channels(self) -> list[str]: ...
    @property
    def config(self) -> dict[str, Any]: ...
    def vectors(self, split: str) -> tuple[NDArray[np.float32], list[str]]: ...
    def labels(self, split: str) -> NDArray[np.int8]: ...
    def scores(self, split: str) -> NDArray[np.float32]: ...
    def predictions(self, split: str) -> dict[str, Any]: ...
    def measures(self, split: str) -> dict[str, Any]: ...
    def pca(self, channel: str | None = None) -> PCA: ...
    def gmm(self, channel: str | None = None) -> GMM: ...
    def classifier(self) -> dict[str, Any]: ...
    def predict(self, images: Iterable[_Image], *, threads: int | None = None) -> dict[str, Any]: ...

def dense_sift(
    image: _Image, **settings: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``(frames, descriptors)`` of an image at its own size: N×4 (column and row of the centre in pixels,
    contrast, width of a bin in pixels) and N×128. ``settings`` are those of the group ``descriptors``."""

def fit_pca(rows: ArrayLike, dimension: int, *, threads: int | None = None, **settings: Any) -> PCA:
    """Fits a projection to rows (N×D) that keeps ``dimension`` values. ``settings``: group ``pca``."""

def fit_gmm(
    rows: ArrayLike, n_components: int, *, seed: int = 1, threads: int | None = None, **settings: Any
) -> GMM:
    """Fits a mixture to rows (N×D). ``settings``: group ``gmm``."""

def fisher_layer(
    rows: ArrayLike, gmm: GMM | Any, gradient: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The layer of ``fvtool fit-layer`` on the rows of one image: the vector, and ∂L/∂rows where
    ``gradient`` is ∂L/∂vector."""

def fisher_vector(
    rows: ArrayLike,
    gmm: GMM | Any,
    *,
    improved: bool = False,
    orders: Sequence[int] = (1, 2),
    **settings: Any,
) -> NDArray[np.float32]:
    """The Fisher vector of rows (N×D): for each order K values (0) or K·D (1 means, 2 variances).
    ``improved``: signed square roots, then unit length. ``settings``: group ``encoding``."""

def explain(
    model: Run | Any,
    image: _Image,
    class_: str | int | None = None,
    *,
    rule: Literal["epsilon", "plain", "absolute"] = "epsilon",
    epsilon: float = 100.0,
    threads: int | None = None,
) -> Heatmap:
    """Relevance of the pixels of an image for a class, by a run, or by a fitted pipeline of
    ``FisherVectorizer`` and ``Classifier``."""
