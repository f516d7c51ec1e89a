"""A pipeline of scikit-learn on the data that `fvtool demo` drew: `python pipeline_of_demo.py DEMO`."""

import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import fvtool

demo = Path(sys.argv[1])
run = fvtool.Run(demo / "run")
_, ids = run.vectors("train")
labels = (run.labels("train") > 0).astype(int)
(images,) = demo.rglob("JPEGImages")
paths = np.array([str(images / f"{id}.jpg") for id in ids])
pipeline = make_pipeline(fvtool.FisherVectorizer("quick"), fvtool.Classifier())
# Whether an image shows the first class: chance gives 0.5.
scores = cross_val_score(pipeline, paths, labels[:, 0], cv=3, scoring="roc_auc")
print(f"= ROC area of `{run.classes[0]}` in three folds: {scores.round(2)}")
assert scores.mean() > 0.8
