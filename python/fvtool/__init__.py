"""Classify images with Fisher vectors on a plain CPU, and see which pixels decided.

``FisherVectorizer`` and ``Classifier`` work as estimators of scikit-learn; ``Run`` reads the folders of the
program ``fvtool``; ``explain`` says which pixels decided; ``dense_sift``, ``fit_pca``, ``fit_gmm`` and
``fisher_vector`` are the single steps on plain arrays.
"""

from ._explain import explain
from ._fvtool import (
    GMM,
    PCA,
    FvtoolError,
    FvtoolWarning,
    Heatmap,
    Run,
    __version__,
    dense_sift,
    fisher_layer,
    fisher_vector,
    fit_gmm,
    fit_pca,
)

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


def __getattr__(name):
    # scikit-learn takes a second to import: the program, and who reads a run, can do without.
    if name in ("Classifier", "FisherVectorizer"):
        from . import _estimators

        return getattr(_estimators, name)
    raise AttributeError(f"module 'fvtool' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
