#!/usr/bin/env python3
"""The same arrays through fvtool and scikit-image: time, and whether they agree.

    python scripts/compare_scikit_image.py [--rows 100000] [--dim 64] [--components 64] [--images 20]
        [--rows-per-image 5000] [--iterations 50] [--threads N]

Both learn a mixture from the same rows, each in its own way, with as many steps of EM at most; both make
Fisher vectors of orders 0, 1 and 2 under scikit-image's mixture. Prints one table.
"""

import argparse
import time
import warnings

import numpy as np
import skimage
from skimage.feature import fisher_vector, learn_gmm
from sklearn.exceptions import ConvergenceWarning

import fvtool


def timed(task):
    started = time.perf_counter()
    result = task()
    return result, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rows-per-image", type=int, default=5_000)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()

    rng = np.random.default_rng(1)
    k, d = given.components, given.dim
    # Groups that overlap, as those of descriptors do: EM has something to find.
    centres, scales = 0.4 * rng.normal(size=(2 * k, d)), rng.uniform(0.5, 1.5, size=(2 * k, d))

    def draw(count):
        of = rng.integers(2 * k, size=count)
        return (centres[of] + scales[of] * rng.normal(size=(count, d))).astype(np.float32)

    rows, unseen = draw(given.rows), draw(20_000)
    images = [draw(given.rows_per_image) for _ in range(given.images)]
    # fvtool's tolerance is relative, scikit-learn's (1e-3) absolute; likelihoods are about -100 here.
    settings = {"max_iterations": given.iterations, "tolerance": 1e-5, "threads": given.threads}
    arguments = {"max_iter": given.iterations, "random_state": 1, "covariance_type": "diag"}
    ours, our_fit = timed(lambda: fvtool.fit_gmm(rows, k, seed=1, **settings))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs, their_fit = timed(lambda: learn_gmm(rows, n_modes=k, gm_args=arguments))
    steps = len(ours.report["mean_log_likelihood"]) - 1, theirs.n_iter_

    our_vectors, our_encoding = timed(
        lambda: np.array([fvtool.fisher_vector(x, theirs, orders=[0, 1, 2]) for x in images])
    )
    their_vectors, their_encoding = timed(lambda: np.array([fisher_vector(x, theirs) for x in images]))
    # scikit-image turns the sign of order 2 around.
    their_vectors[:, k + k * d :] *= -1
    largest = np.abs(our_vectors - their_vectors).max()
    size = np.abs(their_vectors).max()
    likelihoods = ours.log_likelihood(unseen).mean(), theirs.score_samples(unseen).mean()

    print(f"fvtool {fvtool.__version__}, scikit-image {skimage.__version__}; {given.rows:,} × {d} rows, K = {k}; "
          f"{given.images} images of {given.rows_per_image:,} rows\n")
    print("| | fvtool | scikit-image | |")
    print("|---|---|---|---|")
    print(f"| learn the mixture | {our_fit:.2f} s | {their_fit:.2f} s | {their_fit / our_fit:.1f} × |")
    print(f"| steps of EM | {steps[0]} | {steps[1]} | |")
    print(f"| mean log-likelihood of 20,000 new rows | {likelihoods[0]:.3f} | {likelihoods[1]:.3f} "
          f"| {likelihoods[0] - likelihoods[1]:+.3f} |")
    print(f"| Fisher vector of an image | {1e3 * our_encoding / given.images:.1f} ms "
          f"| {1e3 * their_encoding / given.images:.1f} ms | {their_encoding / our_encoding:.1f} × |")
    print(f"| largest difference of the vectors, same mixture | | | {largest:.1e} (largest value {size:.2g}) |")


if __name__ == "__main__":
    main()
