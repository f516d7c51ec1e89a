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
