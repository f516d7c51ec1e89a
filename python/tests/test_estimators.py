"""FisherVectorizer and Classifier, as scikit-learn and the program see them."""

import pickle

import numpy as np
import pytest
from conftest import CHANNELS, CLASSES, SMALL, draw
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import fvtool


def expected_failures(estimator):
    """`predict` goes by scores, as the program does, and probabilities may draw the border elsewhere."""
    if getattr(estimator, "calibration", "none") == "none":
        return {}
    return {"check_classifiers_train": "asks that predict is the class of the highest probability"}


@parametrize_with_checks(
    [fvtool.FisherVectorizer(), fvtool.Classifier(), fvtool.Classifier(calibration="platt")],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks_pass(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted(photos):
    return fvtool.FisherVectorizer(settings=SMALL).fit(photos[0])


def test_vectors_are_those_of_the_program(fitted, photos, run, data):
    stored, ids = run.vectors("train")
    assert ids == [f"{kind}/{n:02}" for kind in CLASSES for n in range(12)]
    vectors = fitted.transform(photos[0])
    assert vectors.dtype == np.float32 and np.array_equal(vectors, stored)
    files = sorted((data / "train").rglob("*.png"))
    assert np.array_equal(fitted.transform(files), stored)
    assert np.array_equal(fitted.transform([str(file) for file in files]), stored)
    assert np.array_equal(fitted.transform([Image.open(file) for file in files]), stored)
    assert np.array_equal(fitted.transform(np.stack(photos[0])), stored)
    of_files = fvtool.FisherVectorizer(settings=SMALL).fit_transform(files)
    assert np.array_equal(of_files, stored)
    of_run = fvtool.FisherVectorizer.from_run(run)
    assert np.array_equal(of_run.transform(photos[0]), stored)
    assert np.array_equal(of_run.fit(photos[0]).transform(photos[0]), stored)


def test_channels_are_joined_as_the_program_does(channels_run, photos, tmp_path):
    preset = tmp_path / "two.toml"
    preset.write_text(CHANNELS)
    vectorizer = fvtool.FisherVectorizer(str(preset)).fit(photos[0])
    stored, _ = channels_run.vectors("train")
    assert np.array_equal(vectorizer.transform(photos[0]), stored)
    assert list(vectorizer.channels_) == ["sift", "colour"] == channels_run.channels
    names = vectorizer.get_feature_names_out()
    assert len(names) == len(set(names)) == vectorizer.n_features_out_ == stored.shape[1]
    assert names[0] == "sift_region0_order1_k0_d0" and names[-1].startswith("colour_")


def test_the_number_of_threads_changes_no_bit(fitted, photos):
    expected = fitted.transform(photos[0])
    for threads in (1, 2):
        vectorizer = fvtool.FisherVectorizer(settings=SMALL, threads=threads)
        assert np.array_equal(vectorizer.fit_transform(photos[0]), expected)


def test_pickled_and_cloned(fitted, photos):
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(photos[0]), fitted.transform(photos[0]))
    assert again.get_params() == fitted.get_params()
    unfitted = clone(fitted)
    assert unfitted.get_params() == fitted.get_params() and not hasattr(unfitted, "describer_")
    other = fitted.set_params(seed=fitted.seed)
    assert other is fitted


def test_settings_come_as_dict_or_texts(photos):
    as_dict = fvtool.FisherVectorizer(settings=SMALL, seed=7).fit(photos[0])
    texts = [f"{key}={value}" for key, value in SMALL.items()]
    as_texts = fvtool.FisherVectorizer(settings=texts, seed=7).fit(photos[0])
    assert as_dict.settings_ == as_texts.settings_ and as_dict.settings_["seed"] == 7
    regions = {**SMALL, "encoding.regions": ["1x1", "3x1"], "encoding.mirrored": True}
    wide = fvtool.FisherVectorizer(settings=regions).fit(photos[0])
    assert wide.n_features_out_ == 4 * as_dict.n_features_out_


@pytest.mark.parametrize(
    "images, words",
    [
        ("a.png", "one path"),
        (np.zeros((40, 50)), "one image|list of images"),
        (np.zeros((40, 50, 3), np.uint8), "one image"),
        ([], "none to fit"),
        ([np.zeros((40, 50)), np.zeros(3)], r"X\[1\]"),
        ([np.zeros((5, 5), np.uint8)], "too small"),
        (["no such.png"], "no such.png"),
        (3, "no list"),
    ],
)
def test_what_are_no_images_is_refused(images, words):
    with pytest.raises(fvtool.FvtoolError, match=words):
        fvtool.FisherVectorizer(settings=SMALL).fit(images)


def test_one_bad_image_is_named_by_its_number(fitted, photos):
    with pytest.raises(fvtool.FvtoolError, match="number 1 of the list"):
        fitted.transform([photos[0][0], np.zeros((5, 5), np.uint8)])


def test_wrong_settings_are_refused(photos):
    for settings, words in [
        ({"gmm.componets": 3}, "components"),
        ({"gmm.components": -3}, "gmm.components"),
        ("gmm.components=3", "argument `settings`"),
        ({"gmm.components": object()}, "argument `settings`"),
    ]:
        with pytest.raises(fvtool.FvtoolError, match=words):
            fvtool.FisherVectorizer(settings=settings).fit(photos[0])
    with pytest.raises(fvtool.FvtoolError, match="nosuch"):
        fvtool.FisherVectorizer("nosuch").fit(photos[0])


def test_a_pipeline_learns_what_it_is_shown(photos):
    pipeline = make_pipeline(fvtool.FisherVectorizer(settings=SMALL), fvtool.Classifier())
    scores = cross_val_score(pipeline, photos[0], photos[1], cv=3)
    assert scores.mean() > 0.8
    grid = GridSearchCV(pipeline, {"fishervectorizer__seed": [1, 2], "classifier__C": [1.0, 10.0]}, cv=2)
    grid.fit(photos[0], photos[1])
    assert grid.best_score_ > 0.8
    # In processes of their own, as `n_jobs` makes them.
    assert cross_val_score(pipeline, photos[0], photos[1], cv=2, n_jobs=2).mean() > 0.8


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(2)
    y = np.repeat(["a", "b", "c"], 40)
    X = rng.normal(size=(120, 6)) + 2 * np.eye(3, 6)[np.repeat([0, 1, 2], 40)]
    return X, y


def test_classifier_is_that_of_the_program(run):
    """Trained on the same vectors and labels: the same weights."""
    vectors, ids = run.vectors("train")
    names = [id.split("/")[0] for id in ids]
    trained = fvtool.Classifier().fit(vectors, names)
    stored = run.classifier()
    assert stored["classes"] == CLASSES
    # With two classes there is one machine, of the second.
    assert np.allclose(trained.coef_[0], stored["weights"][1], atol=1e-6)
    assert (trained.predict(vectors) == names).all()


def test_classes_scores_and_probabilities(blobs):
    X, y = blobs
    for solver in ("auto", "dual", "gram", "smo"):
        classifier = fvtool.Classifier(solver=solver, calibration="platt").fit(X, y)
        assert list(classifier.classes_) == ["a", "b", "c"]
        assert classifier.decision_function(X).shape == (120, 3)
        assert classifier.score(X, y) > 0.85
        found = classifier.predict_proba(X)
        assert np.allclose(found.sum(axis=1), 1, atol=1e-5) and (found >= 0).all()
        again = pickle.loads(pickle.dumps(classifier))
        assert np.array_equal(again.predict_proba(X), found)
        assert np.array_equal(again.decision_function(X), classifier.decision_function(X))
    assert not hasattr(fvtool.Classifier(), "predict_proba")
    chosen = fvtool.Classifier(C_grid=[0.01, 1.0]).fit(X, y)
    assert chosen.model_.selection["chosen"] in (0.01, 1.0)
    one, two = (fvtool.Classifier(threads=t).fit(X, y).coef_ for t in (1, 2))
    assert np.array_equal(one, two)


def test_indicator_matrices_are_several_labels(blobs):
    X, y = blobs
    Y = np.column_stack([y != "a", y == "b"]).astype(int)
    several = fvtool.Classifier().fit(X, Y)
    assert several.predict(X).shape == Y.shape and (several.predict(X) == Y).mean() > 0.85
    alone = OneVsRestClassifier(fvtool.Classifier()).fit(X, Y)
    assert np.array_equal(alone.predict(X), several.predict(X))


def test_what_cannot_be_trained_is_refused(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="one class"):
        fvtool.Classifier().fit(X, ["a"] * len(X))
    for settings, words in [({"C": -1.0}, "svm.c"), ({"solver": "magic"}, "solver"), ({"threads": 0}, "threads")]:
        with pytest.raises(fvtool.FvtoolError, match=words):
            fvtool.Classifier(**settings).fit(X, y)
    few = fvtool.Classifier(calibration="platt", folds=2)
    with pytest.warns(fvtool.FvtoolWarning, match="too few images for calibration"):
        few.fit(X[[0, 1, 50, 51]], y[[0, 1, 50, 51]])
    with pytest.raises(fvtool.FvtoolError, match="no probabilities"):
        few.predict_proba(X)
    with pytest.warns(fvtool.FvtoolWarning, match="score is constant"):
        fvtool.Classifier().fit(X, np.column_stack([y == "a", y == "z"]).astype(int))
