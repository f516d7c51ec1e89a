"""Heatmaps of pipelines."""

import numpy as np
import pytest
from conftest import SMALL, draw
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fvtool


def test_a_pipeline_is_explained(photos):
    images, names = photos
    pipeline = make_pipeline(fvtool.FisherVectorizer(settings=SMALL), fvtool.Classifier())
    pipeline.fit(images, names)
    image = draw("stripes", 13)
    heat = fvtool.explain(pipeline, image, rule="absolute")
    score = pipeline.decision_function([image])[0]
    # Of two classes the second has the machine.
    assert heat.class_name == "stripes" and abs(heat.score - score) < 1e-5
    assert abs(heat.relevance.sum() - score) < 1e-4
    again = fvtool.explain(tuple(step for _, step in pipeline.steps), image, "stripes", rule="absolute")
    assert np.array_equal(again.relevance, heat.relevance)
    with pytest.raises(fvtool.FvtoolError, match="with two classes"):
        fvtool.explain(pipeline, image, "disc")
    scaled = make_pipeline(fvtool.FisherVectorizer(settings=SMALL), StandardScaler(), fvtool.Classifier())
    scaled.fit(images, names)
    with pytest.raises(fvtool.FvtoolError, match="argument `model`"):
        fvtool.explain(scaled, image)


def test_relevance_lies_where_the_object_is():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:90, :120]

    def image(kind):
        size = rng.integers(14, 22)
        down, right = abs(y - rng.integers(30, 60)), abs(x - rng.integers(30, 85))
        box = np.maximum(down, right) < size
        shape = down**2 + right**2 < size**2 if kind else box & (np.minimum(down, right) < size / 3)
        return np.uint8(90 + 80 * shape + rng.integers(0, 5, shape.shape)), box

    images = [image(n % 2)[0] for n in range(24)]
    pipeline = make_pipeline(fvtool.FisherVectorizer(settings=SMALL), fvtool.Classifier())
    pipeline.fit(images, [n % 2 for n in range(24)])
    new, box = image(1)
    heat = fvtool.explain(pipeline, new, 1, rule="absolute")
    positive = np.maximum(heat.relevance, 0)
    assert heat.score > 0 and positive[box].mean() > 2 * positive[~box].mean()
