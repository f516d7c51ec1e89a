"""The single steps on plain arrays."""

import pickle

import numpy as np
import pytest
from conftest import draw
from PIL import Image

import fvtool


def test_dense_sift_gives_frames_and_descriptors(tmp_path):
    image = draw("disc", 1)
    frames, descriptors = fvtool.dense_sift(image, step_px=4, bin_sizes_px=[4])
    assert frames.shape == (len(descriptors), 4) and descriptors.shape[1] == 128
    assert frames.dtype == descriptors.dtype == np.float32
    # Corners of 16 × 16 pixels fit at 0, 4 … 48 and 0, 4 … 32 of 64 × 48.
    assert len(frames) == 13 * 9 and tuple(frames[0, :2]) == (6.0, 6.0)
    Image.fromarray(image).save(tmp_path / "image.png")
    for same in (tmp_path / "image.png", str(tmp_path / "image.png"), Image.fromarray(image)):
        again = fvtool.dense_sift(same, step_px=4, bin_sizes_px=[4])
        assert np.array_equal(again[0], frames) and np.array_equal(again[1], descriptors)
    # Floats are read as the same grey values: they differ in rounding alone.
    close = fvtool.dense_sift(image / 255, step_px=4, bin_sizes_px=[4])[1]
    assert np.abs(close - descriptors).max() < 1e-4
    _, colour = fvtool.dense_sift(image, kind="colour")
    assert colour.shape[1] == 96


def test_every_kind_of_array_is_read(tmp_path):
    grey = draw("stripes", 2)[..., 0]
    _, expected = fvtool.dense_sift(grey)
    rgb = np.stack([grey] * 3, axis=-1)
    alpha = np.dstack([rgb, np.full(grey.shape, 255, np.uint8)])
    for same in (grey[..., None], rgb, alpha, grey.astype(np.uint16) * 257, grey / 255, rgb / 255,
                 (grey / 255).astype(np.float32), np.asfortranarray(grey)):
        _, found = fvtool.dense_sift(same)
        assert np.abs(found - expected).max() < 1e-4, same.dtype
    turned = Image.fromarray(rgb)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    of_file = fvtool.dense_sift(tmp_path / "turned.png")[1]
    of_pillow = fvtool.dense_sift(Image.open(tmp_path / "turned.png"))[1]
    assert np.array_equal(of_file, of_pillow)
    for mode in ("L", "LA", "P", "RGBA", "1"):
        assert len(fvtool.dense_sift(Image.fromarray(rgb).convert(mode))[1])


@pytest.mark.parametrize(
    "image, words",
    [
        (np.zeros((4, 5, 2), np.uint8), "H × W × 3"),
        (np.zeros((40, 50), np.int64), "int64"),
        (np.zeros((40, 50), bool), "bool"),
        (np.full((40, 50), 3.0), "argument `image`"),
        (np.full((40, 50), np.nan), "argument `image`"),
        (np.zeros((0, 5), np.uint8), "argument `image`"),
        ("no such file.png", "no such file.png"),
        (None, "argument `image`"),
    ],
)
def test_what_is_no_image_is_refused(image, words):
    with pytest.raises(fvtool.FvtoolError, match=words):
        fvtool.dense_sift(image)


def test_settings_are_checked_as_the_program_checks_them():
    with pytest.raises(fvtool.FvtoolError, match="step_px"):
        fvtool.dense_sift(draw("disc", 1), step_px=0)
    with pytest.raises(fvtool.FvtoolError, match="step_px"):
        fvtool.dense_sift(draw("disc", 1), steppx=3)
    with pytest.raises(fvtool.FvtoolError, match="FisherVectorizer"):
        fvtool.dense_sift(draw("disc", 1), kind="network")


def test_pca_is_that_of_numpy(rows):
    pca = fvtool.fit_pca(rows, 3)
    centred = rows.astype(float) - rows.mean(axis=0, dtype=float)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(pca.mean, rows.mean(axis=0), atol=1e-5)
    assert np.allclose(pca.variances, singular[:3] ** 2 / (len(rows) - 1), rtol=1e-5)
    assert np.allclose(np.abs(pca.components @ axes[:3].T), np.eye(3), atol=1e-4)
    expected = (rows - pca.mean) @ pca.components.T
    assert np.allclose(pca.transform(rows), expected, atol=1e-4)
    assert 0 < pca.kept < 1
    again = pickle.loads(pickle.dumps(pca))
    assert np.array_equal(again.transform(rows), pca.transform(rows))
    white = fvtool.fit_pca(rows, 3, whiten=True).transform(rows)
    assert np.allclose(white.std(axis=0, ddof=1), 1, atol=1e-4)


def test_positions_are_appended_where_they_are_given(rows):
    pca = fvtool.fit_pca(rows, 3, append="xy")
    with pytest.raises(fvtool.FvtoolError, match="argument `positions`"):
        pca.transform(rows)
    places = np.full((len(rows), 3), 0.25)
    assert np.allclose(pca.transform(rows, places)[:, 3:], -0.25)


def test_gmm_finds_the_clusters(rows):
    gmm = fvtool.fit_gmm(rows, 3, seed=5)
    assert np.allclose(gmm.weights, 1 / 3, atol=0.05)
    assert sorted(np.round(np.sqrt(gmm.variances).mean(axis=1), 1)) == [0.5, 1.0, 2.0]
    posteriors = gmm.posteriors(rows)
    assert posteriors.shape == (900, 3) and np.allclose(posteriors.sum(axis=1), 1, atol=1e-5)
    mean = gmm.log_likelihood(rows).mean()
    assert abs(mean - gmm.report["mean_log_likelihood"][-1]) < 1e-5
    one, two = (fvtool.fit_gmm(rows, 3, seed=5, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.means, gmm.means) and np.array_equal(two.means, gmm.means)
    again = pickle.loads(pickle.dumps(gmm))
    assert np.array_equal(again.posteriors(rows), posteriors) and again.report is None


def test_posteriors_are_those_of_scikit_learn(rows):
    mixture = pytest.importorskip("sklearn.mixture")
    theirs = mixture.GaussianMixture(3, covariance_type="diag", random_state=1).fit(rows)
    ours = fvtool.GMM(theirs.weights_, theirs.means_, theirs.covariances_)
    assert np.allclose(ours.posteriors(rows), theirs.predict_proba(rows), atol=1e-4)
    assert np.allclose(ours.log_likelihood(rows), theirs.score_samples(rows), atol=1e-3)


def test_fisher_vector_is_that_of_scikit_image(rows):
    """The same values, of orders 0, 1 and 2; scikit-image turns the sign of order 2 around."""
    feature = pytest.importorskip("skimage.feature")
    theirs = feature.learn_gmm(rows, n_modes=3, gm_args={"random_state": 1, "covariance_type": "diag"})
    some = rows[:50]
    ours = fvtool.fisher_vector(some, theirs, orders=[0, 1, 2])
    expected = feature.fisher_vector(some, theirs)
    signs = np.repeat([1, 1, -1], [3, 15, 15])
    assert np.allclose(ours, signs * expected, atol=2e-5)
    improved = fvtool.fisher_vector(some, theirs, orders=[0, 1, 2], improved=True)
    assert np.allclose(improved, signs * feature.fisher_vector(some, theirs, improved=True), atol=2e-3)
    with pytest.raises(fvtool.FvtoolError, match="covariance_type"):
        fvtool.fisher_vector(some, type(theirs)(3).fit(rows))


def test_fisher_vector_takes_settings(rows):
    gmm = fvtool.fit_gmm(rows, 3)
    assert fvtool.fisher_vector(rows, gmm).shape == (2 * 3 * 5,)
    assert not fvtool.fisher_vector(rows[:0], gmm).any()
    assert abs(np.linalg.norm(fvtool.fisher_vector(rows, gmm, improved=True)) - 1) < 1e-5
    hard = fvtool.fisher_vector(rows, gmm, assignment="hard")
    assert not np.array_equal(hard, fvtool.fisher_vector(rows, gmm))
    with pytest.raises(fvtool.FvtoolError, match="argument `regions`"):
        fvtool.fisher_vector(rows, gmm, regions=["3x1"])
    with pytest.raises(fvtool.FvtoolError, match="orders"):
        fvtool.fisher_vector(rows, gmm, orders=[2, 1])
    with pytest.raises(fvtool.FvtoolError, match="argument `gmm`"):
        fvtool.fisher_vector(rows, "gmm")


@pytest.mark.parametrize(
    "bad, words",
    [
        (np.zeros(5), "two axes"),
        (np.zeros((3, 0)), "no values"),
        (np.zeros((0, 5)), "no rows"),
        ([["a"]], "real numbers"),
        (np.zeros((3, 5), complex), "real numbers"),
        ([[1, 2], [3]], "argument `rows`"),
        (np.full((30, 5), np.nan), "NaN"),
        (np.full((30, 5), 1e300), "infinity"),
    ],
)
def test_what_are_no_rows_is_refused(bad, words):
    with pytest.raises(fvtool.FvtoolError, match=words):
        fvtool.fit_gmm(bad, 2)
    with pytest.raises(fvtool.FvtoolError, match=words):
        fvtool.fit_pca(bad, 2)


def test_numbers_out_of_range_are_refused(rows):
    with pytest.raises(fvtool.FvtoolError, match="gmm.components"):
        fvtool.fit_gmm(rows, 901)
    with pytest.raises(fvtool.FvtoolError, match="argument `threads`"):
        fvtool.fit_gmm(rows, 2, threads=0)
    with pytest.raises(fvtool.FvtoolError, match="pca.dimension"):
        fvtool.fit_pca(rows, 6)
    with pytest.raises(fvtool.FvtoolError, match="gmm"):
        fvtool.fit_gmm(rows, 2, no_such=1)
