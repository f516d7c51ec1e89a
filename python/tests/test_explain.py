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
    """A tag in a corner of one class alone: there the heatmap is warm."""
    rng = np.random.default_rng(4)

    def noise(tag):
        image = rng.integers(90, 130, (48, 64), dtype=np.uint8)
        if tag:
            image[4:20:4, 4:20] = 255
        return image

    images = [noise(n % 2) for n in range(40)]
    pipeline = make_pipeline(fvtool.FisherVectorizer(settings=SMALL), fvtool.Classifier())
    pipeline.fit(images, [n % 2 for n in range(40)])
    heat = fvtool.explain(pipeline, noise(1), 1, rule="absolute")
    positive = np.maximum(heat.relevance, 0)
    assert positive[:24, :24].mean() > 2 * positive[24:, 24:].mean()
