"""Which pixels decided."""

from ._fvtool import FvtoolError, Run
from ._fvtool import explain as _explain


def explain(model, image, class_=None, *, rule="epsilon", epsilon=100.0, threads=None):
    """Relevance of the pixels of an image for a class.

    Parameters
    ----------
    model : Run, or Pipeline, or (FisherVectorizer, Classifier)
        What scores the image: a run folder, or a fitted pipeline of these two steps.
    image : path, array or image of Pillow
        H×W or H×W×3; uint8, or floats from 0 to 1.
    class_ : str or int, optional
        The class; that of the highest score where none is given.
    rule : {"epsilon", "plain", "absolute"}
        How a score is shared out. "plain" and "absolute" keep the sum: the heatmap adds up to the score.
        "epsilon", the rule of the published heatmaps, dims what cancels out, and does not.
    epsilon : float
        ε of the rule "epsilon".
    threads : int, optional
        Number of threads; all cores where none is given.

    Returns
    -------
    Heatmap
        ``relevance`` (H×W float64, positive speaks for the class; H×W is the size at which the image is
        described), ``score``, ``class_name``.
    """
    if isinstance(model, Run):
        return _explain(model, image, _text(class_), rule, epsilon, threads)
    steps = [step for _, step in model.steps] if hasattr(model, "steps") else model
    try:
        vectorizer, classifier = steps
        parts = vectorizer._describer(), classifier._trained()
    except (TypeError, ValueError, AttributeError):
        raise FvtoolError(
            "argument `model`: a fvtool.Run, or a fitted FisherVectorizer and Classifier (a pipeline of "
            "these two, or a tuple), is needed; steps between them have no heatmaps"
        ) from None
    return _explain(parts, image, classifier._name_of(class_), rule, epsilon, threads)


def _text(class_):
    return None if class_ is None else str(class_)
