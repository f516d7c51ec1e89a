from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from typing_extensions import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin  # type: ignore[import-untyped]

from . import GMM, PCA, Run, _Image

class FisherVectorizer(TransformerMixin, BaseEstimator):
    preset: str
    settings: Mapping[str, Any] | Sequence[str] | None
    seed: int
    threads: int | None
    channels_: dict[str, list[PCA | GMM | float]]
    settings_: dict[str, Any]
    n_features_out_: int
    def __init__(
        self,
        preset: str = "fast",
        settings: Mapping[str, Any] | Sequence[str] | None = None,
        seed: int = 1,
        threads: int | None = None,
    ) -> None: ...
    @classmethod
    def from_run(cls, run: Run | str, threads: int | None = None) -> Self: ...
    def fit(self, X: Iterable[_Image], y: Any = None) -> Self: ...
    def transform(self, X: Iterable[_Image]) -> NDArray[np.float32]: ...
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]: ...

class Classifier(ClassifierMixin, BaseEstimator):
    classes_: NDArray[Any]
    coef_: NDArray[np.float32]
    intercept_: NDArray[np.float32]
    reports_: list[dict[str, Any]]
    n_iter_: int
    def __init__(
        self,
        C: float = 10.0,
        C_grid: Sequence[float] | None = None,
        solver: str = "auto",
        loss: str = "hinge",
        balance: str = "equal",
        calibration: str = "none",
        folds: int = 5,
        tolerance: float = 1e-3,
        max_epochs: int = 1000,
        seed: int = 1,
        threads: int | None = None,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self: ...
    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]: ...
    def predict(self, X: ArrayLike) -> NDArray[Any]: ...
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]: ...
