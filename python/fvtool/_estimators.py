"""Estimators for scikit-learn. Nothing is computed here: the library is asked."""

import numpy as np

from . import _fvtool
from ._fvtool import FvtoolError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(
        "FisherVectorizer and Classifier need scikit-learn 1.6 or newer; install it with "
        "`pip install 'fvtool[sklearn]'`"
    ) from error


class FisherVectorizer(TransformerMixin, BaseEstimator):
    """From images to Fisher vectors.

    Images are a list of paths, arrays (H×W or H×W×3; uint8, uint16, or floats from 0 to 1) or images of
    Pillow, or one array of several images. Vectors are float32, one row an image, those that ``fvtool
    encode`` makes of the same images with the same settings.

    Parameters
    ----------
    preset : str, default="fast"
        A preset of the program ("fast", "best", "vlfeat", "quick", …), or a TOML file with settings.
    settings : dict or list of str, optional
        Settings in place of the preset's: ``{"gmm.components": 64}`` or ``["gmm.components=64"]``.
    seed : int, default=1
        Seed of every random choice.
    threads : int, optional
        Number of threads; all cores where none is given. It changes no bit of the vectors.

    Attributes
    ----------
    channels_ : dict
        ``(PCA, GMM, factor)`` of each channel by its name ("" where there is one); the joint vector is the
        vectors of the channels, times their factors.
    settings_ : dict
        Every setting in force.
    n_features_out_ : int
        Values of a vector.
    """

    def __init__(self, preset="fast", settings=None, seed=1, threads=None):
        self.preset = preset
        self.settings = settings
        self.seed = seed
        self.threads = threads

    @classmethod
    def from_run(cls, run, threads=None):
        """The fitted vectorizer of a run (a `fvtool.Run`, or its folder)."""
        run = run if isinstance(run, _fvtool.Run) else _fvtool.Run(run)
        preset = str(run.path / "config.toml")
        vectorizer = cls(preset=preset, seed=run.config["seed"], threads=threads)
        return vectorizer._with(run._describer())

    def fit(self, X, y=None):
        """Fits the models of all channels (PCA, mixture) to images."""
        settings, threads = self.settings, self.threads
        return self._with(_fvtool.Describer.fit(X, self.preset, settings, self.seed, threads))

    def transform(self, X):
        """The vectors of images, N×dim float32."""
        return self._describer().transform(X, self.threads)

    def get_feature_names_out(self, input_features=None):
        """What each value belongs to: channel, region, order, component k, dimension d."""
        return np.asarray(self._describer().feature_names(), dtype=object)

    def _with(self, describer):
        self.describer_ = describer
        self.channels_ = {name: models for name, *models in describer.channels()}
        self.settings_ = describer.settings
        self.n_features_out_ = describer.dim
        return self

    def _describer(self):
        check_is_fitted(self)
        return self.describer_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Images are no rows of numbers: scikit-learn's checks with matrices do not apply.
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class Classifier(ClassifierMixin, BaseEstimator):
    """Linear support vector machines, one against the rest, as fvtool trains them.

    Parameters
    ----------
    C : float, default=10.0
        Weight of errors against the size of the weights.
    C_grid : sequence of float, optional
        Values of C to choose from by cross-validated mean average precision, in place of ``C``.
    solver : {"auto", "dual", "gram", "smo"}, default="auto"
        How the optimum is found. "smo" leaves the bias free, as libsvm does.
    loss : {"hinge", "squared-hinge"}, default="hinge"
        What an error costs.
    balance : {"equal", "balanced"}, default="equal"
        "balanced": positives of a class count negatives/positives times.
    calibration : {"none", "platt"}, default="none"
        "platt" fits probabilities on scores of held-out rows, for `predict_proba`.
    folds : int, default=5
        Parts for cross-validation, where ``C_grid`` or ``calibration`` ask for it.
    tolerance : float, default=1e-3
        Relative duality gap at which a class is done.
    max_epochs : int, default=1000
        Largest number of passes over the rows for a class.
    seed : int, default=1
        Seed of every random choice.
    threads : int, optional
        Number of threads; all cores where none is given. It changes no bit.

    Attributes
    ----------
    classes_ : array
        The classes, sorted; of an indicator matrix the numbers of its columns.
    coef_, intercept_ : arrays
        M×dim and M values; with two classes one row, for the second of them.
    reports_ : list of dict
        How the training of each class ended.
    """

    def __init__(
        self,
        C=10.0,
        C_grid=None,
        solver="auto",
        loss="hinge",
        balance="equal",
        calibration="none",
        folds=5,
        tolerance=1e-3,
        max_epochs=1000,
        seed=1,
        threads=None,
    ):
        self.C = C
        self.C_grid = C_grid
        self.solver = solver
        self.loss = loss
        self.balance = balance
        self.calibration = calibration
        self.folds = folds
        self.tolerance = tolerance
        self.max_epochs = max_epochs
        self.seed = seed
        self.threads = threads

    def fit(self, X, y):
        """Trains on vectors (N×dim) and labels: N names or numbers, or an indicator matrix N×M of 0 and 1."""
        X, y = validate_data(self, X, y, multi_output=True, dtype=np.float32)
        check_classification_targets(y)
        kind = type_of_target(y, raise_unknown=True)
        if kind == "multiclass-multioutput":
            raise FvtoolError(
                "argument `y`: several columns of classes; give one label a row, or a matrix of 0 and 1"
            )
        self.multilabel_ = kind == "multilabel-indicator"
        if self.multilabel_:
            labels = np.where(np.asarray(y) > 0, 1, -1)
            self.classes_ = np.arange(labels.shape[1])
            names = self.classes_
        else:
            self.classes_, number = np.unique(column_or_1d(y, warn=True), return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(
                    "Classifier can't train when only one class is present; it needs two classes or more"
                )
            labels = np.where(number[:, None] == np.arange(len(self.classes_)), 1, -1)
            names = self.classes_
            if len(self.classes_) == 2:
                labels, names = labels[:, 1:], names[1:]
        settings = {
            "svm.solver": self.solver,
            "svm.loss": self.loss,
            "svm.balance": self.balance,
            "svm.calibration": self.calibration,
            "svm.folds": self.folds,
            "svm.tolerance": self.tolerance,
            "svm.max_epochs": self.max_epochs,
            "svm.c": float(self.C),
            "svm.c_grid": [] if self.C_grid is None else [float(c) for c in self.C_grid],
        }
        names = [str(name) for name in names]
        model = _fvtool.train(X, labels.tolist(), names, settings, self.seed, self.threads)
        self.model_ = model
        self.coef_, self.intercept_ = model.weights, model.bias
        self.reports_, self.n_iter_ = model.reports, max(r["epochs"] for r in model.reports)
        return self

    def decision_function(self, X):
        """Scores, N×M; with two classes N, above 0 for the second."""
        scores = self._scores(X)
        return scores[:, 0] if self._is_binary() else scores

    def predict(self, X):
        """The class of the highest score of each row; of an indicator matrix every class above 0."""
        scores = self._scores(X)
        if self.multilabel_:
            return (scores > 0).astype(int)
        if self._is_binary():
            return self.classes_[(scores[:, 0] > 0).astype(int)]
        return self.classes_[np.argmax(scores, axis=1)]

    @available_if(lambda self: self.calibration == "platt")
    def predict_proba(self, X):
        """Probabilities, N×M. Of rows of one class each the classes' sigmoids, scaled to add up to 1.

        `predict` goes by the scores, as the program does: near a border the class of the highest
        probability may be another one.
        """
        scores = self._scores(X)
        found = self.model_.probabilities(scores)
        if np.isnan(found).any():
            missing = [n for n, s in zip(self.model_.classes, self.model_.sigmoids) if s is None]
            raise FvtoolError(
                f"no probabilities of {', '.join(missing)}: too few rows for calibration; every fold "
                "needs two of the class and two others to train on"
            )
        if self.multilabel_:
            return found
        if self._is_binary():
            return np.column_stack([1 - found[:, 0], found[:, 0]])
        sums = found.sum(axis=1, keepdims=True)
        # Where every sigmoid says 0, nothing is known.
        return np.where(sums > 0, found / np.where(sums > 0, sums, 1), 1 / found.shape[1])

    def _scores(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        return self.model_.scores(X, self.threads)

    def _is_binary(self):
        return not self.multilabel_ and len(self.classes_) == 2

    def _trained(self):
        check_is_fitted(self)
        return self.model_

    def _name_of(self, class_):
        if class_ is None:
            return None
        if self._is_binary() and str(class_) == str(self.classes_[0]):
            raise FvtoolError(
                f"argument `class_`: with two classes there is one heatmap, of `{self.classes_[1]}`; what "
                f"speaks against it speaks for `{class_}`"
            )
        return str(class_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
