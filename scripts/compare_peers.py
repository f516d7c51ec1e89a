#!/usr/bin/env python3
"""Times fvtool's stages against the programs a user would run instead, on the same inputs, and compares the outputs.

    scripts/compare_peers.py [--images DIR] [--threads T] [--rows N] [--pca-rows N] [--repeat N]
                             [--fvtool FILE] [--work DIR] [--markdown FILE]

Peers: scikit-image, scikit-learn, OpenCV and faiss from PyPI, in a virtual environment of the
script's own (<work>/venv); VLFeat through ctypes where its library is installed
(Debian: apt-get install libvlfeat1). Inputs: planes of noise smoothed at
four scales, or the first JPEG files of --images.
Both sides read the same .npy files and run in turn, fvtool, peer, fvtool, peer …, so that a
neighbour's load falls on both. Columns: work, peer, threads, the peer's median, fvtool's median, their
ratio, agreement of the outputs. About four minutes.
"""

import argparse
import ctypes
import ctypes.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import venv

PACKAGES = ["numpy", "scikit-image", "scikit-learn", "opencv-python-headless", "faiss-cpu"]
# Set in some environments for reproducibility; they halve NumPy's products.
HANDICAPS = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]
THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=pathlib.Path, help="folder of photographs (default: smoothed noise)")
    parser.add_argument("--threads", type=int, default=1, help="also time with this many threads (default: 1 alone)")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of k-means and EM (default: 200000)")
    parser.add_argument("--pca-rows", type=int, default=1_000_000, help="rows of the PCA (default: 1000000)")
    parser.add_argument("--svm-rows", type=int, default=2_000, help="vectors of 40,960 values for the classifier (default: 2000)")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--fvtool", type=pathlib.Path, default=REPOSITORY / "target/release/fvtool")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/fvtool-peers"), help="folder for the environment and the inputs")
    parser.add_argument("--markdown", type=pathlib.Path, help="also write the table to this file")
    return parser.parse_args()


def enter_environment(work):
    """Goes on in the script's own virtual environment, without the handicaps."""
    python = work / "venv/bin/python"
    inside = pathlib.Path(sys.prefix).resolve() == (work / "venv").resolve()
    if not python.exists():
        print(f"making {work / 'venv'} …", file=sys.stderr)
        venv.create(work / "venv", with_pip=True)
    if not (work / "venv/installed").exists():
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (work / "venv/installed").touch()
    if not inside or any(name in os.environ for name in HANDICAPS):
        environment = {k: v for k, v in os.environ.items() if k not in HANDICAPS}
        os.execve(python, [str(python), *sys.argv], environment)


# --- one side, one repetition: (seconds, output) ----------------------------------------------


class Fvtool:
    """Calls `fvtool bench-stage`. Every call reads its inputs anew and runs the stage twice; the
    second time counts, as from the second image of a run on."""

    def __init__(self, program, work):
        self.program, self.work = program, work

    def run(self, stage, inputs, threads, settings=(), iterations=None, warm=True):
        output = self.work / "fvtool_output.npy"
        output.unlink(missing_ok=True)
        command = [self.program, "bench-stage", stage, "--threads", str(threads), "--output", output]
        command += ["--input", *(self.work / f"{name}.npy" for name in inputs)]
        command += ["--repeat", "2" if warm else "1"]
        for setting in settings:
            command += ["--set", setting]
        if iterations is not None:
            command += ["--iterations", str(iterations)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        line = json.loads(done.stdout)
        import numpy as np

        return line["seconds"][-1] / line["passes"], np.load(output)


def clocked(work):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


class Python:
    """Runs one function of this file in a process of its own, so that the number of threads is set
    before any library is loaded. The process stays, and its first answer is not counted."""

    def __init__(self, function, threads, work, *values):
        environment = dict(os.environ, **{name: str(threads) for name in THREAD_VARIABLES})
        command = [sys.executable, __file__, "--serve", function, str(work), *map(str, values)]
        self.output = work / f"{function}.npy"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)

    def __call__(self):
        import numpy as np

        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's process ended")
        return float(line), np.load(self.output)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(function, work, *values):
    """The other end of `Python`: answers every line with seconds, the result in a file."""
    import numpy as np

    work = pathlib.Path(work)
    run = globals()[f"peer_{function}"](lambda name: np.load(work / f"{name}.npy"), *map(int, values))
    for _ in sys.stdin:
        seconds, result = run()
        np.save(work / f"{function}.npy", result)
        print(seconds, flush=True)


# --- VLFeat, through ctypes --------------------------------------------------------------------


def vlfeat_library():
    for name in [ctypes.util.find_library("vl"), "libvl.so.0", "libvl.so"]:
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                pass
    return None


def vlfeat_build(library):
    """How the library was built, as it says itself."""
    library.vl_get_version_string.restype = ctypes.c_char_p
    library.vl_configuration_to_string_copy.restype = ctypes.c_void_p
    text = ctypes.string_at(library.vl_configuration_to_string_copy()).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    wanted = [line for line in lines if line.lower().startswith(("static config", "openmp"))]
    return f"VLFeat {library.vl_get_version_string().decode()}: " + "; ".join(wanted)


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


class Geometry(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("numBinT", "numBinX", "numBinY", "binSizeX", "binSizeY")]


def peer_vlfeat_sift(load, flat):
    import numpy as np

    library, plane = vlfeat_library(), np.ascontiguousarray(load("plane"))
    height, width = plane.shape
    library.vl_dsift_new_basic.restype = ctypes.c_void_p
    library.vl_imsmooth_f.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p] + [ctypes.c_size_t] * 3 + [ctypes.c_double] * 2
    bins = [4, 6, 8, 10]

    def run():
        rows = []
        seconds = 0.0
        for size in bins:
            started = time.perf_counter()
            smooth = np.empty_like(plane)
            library.vl_imsmooth_f(pointer(smooth), width, pointer(plane), width, height, width, size / 6.0, size / 6.0)
            dsift = ctypes.c_void_p(library.vl_dsift_new_basic(width, height, 3, size))
            fields = DsiftFilter.from_address(dsift.value)
            offset = int(1 + 1.5 * (max(bins) - size)) - 1
            fields.boundMinX = fields.boundMinY = offset
            fields.useFlatWindow, fields.windowSize = flat, 1.5
            library._vl_dsift_update_buffers(dsift)
            library.vl_dsift_process(dsift, pointer(smooth))
            count = fields.numFrames
            values = np.ctypeslib.as_array(ctypes.cast(fields.descrs, ctypes.POINTER(ctypes.c_float)), (count, 128)).copy()
            frames = np.ctypeslib.as_array(ctypes.cast(fields.frames, ctypes.POINTER(ctypes.c_double)), (count, 4))
            values[frames[:, 3] < 0.005] = 0
            library.vl_dsift_delete(dsift)
            seconds += time.perf_counter() - started
            rows.append(values)
        return seconds, np.concatenate(rows)

    return run


class DsiftFilter(ctypes.Structure):
    """`VlDsiftFilter_` of VLFeat 0.9.21 (vl/dsift.h)."""

    _fields_ = (
        [(name, ctypes.c_int) for name in ("imWidth", "imHeight", "stepX", "stepY", "boundMinX", "boundMinY", "boundMaxX", "boundMaxY")]
        + [("geom", Geometry), ("useFlatWindow", ctypes.c_int), ("windowSize", ctypes.c_double)]
        + [("numFrames", ctypes.c_int), ("descrSize", ctypes.c_int), ("frames", ctypes.c_void_p), ("descrs", ctypes.c_void_p)]
    )


def peer_vlfeat_fisher(load):
    import numpy as np

    library = vlfeat_library()
    rows, weights, means, variances = (np.ascontiguousarray(load(name)) for name in ("image_rows", "weights", "means", "variances"))
    components, dim = means.shape
    size = ctypes.c_size_t
    library.vl_fisher_encode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, size, size] + [ctypes.c_void_p] * 2 + [ctypes.c_void_p, size, ctypes.c_int]

    def run():
        vector = np.zeros(2 * components * dim, np.float32)
        improved, float_type = 3, 1
        seconds, _ = clocked(lambda: library.vl_fisher_encode(pointer(vector), float_type, pointer(means), dim, components, pointer(variances), pointer(weights), pointer(rows), len(rows), improved))
        return seconds, vector

    return run


def peer_vlfeat_em(load, iterations, threads):
    import numpy as np

    library = vlfeat_library()
    rows, weights, means, variances = (np.ascontiguousarray(load(name)) for name in ("fit_rows", "weights", "means", "variances"))
    components, dim = means.shape
    library.vl_gmm_new.restype = ctypes.c_void_p
    library.vl_gmm_new.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
    library.vl_gmm_em.restype = ctypes.c_double
    for name in ("vl_gmm_get_priors", "vl_gmm_get_means", "vl_gmm_get_covariances"):
        getattr(library, name).restype = ctypes.c_void_p
    library.vl_set_num_threads(threads)

    def run():
        gmm = ctypes.c_void_p(library.vl_gmm_new(1, dim, components))
        library.vl_gmm_set_means(gmm, pointer(means))
        library.vl_gmm_set_covariances(gmm, pointer(variances))
        library.vl_gmm_set_priors(gmm, pointer(weights))
        library.vl_gmm_set_max_num_iterations(gmm, ctypes.c_size_t(iterations))
        seconds, _ = clocked(lambda: library.vl_gmm_em(gmm, pointer(rows), ctypes.c_size_t(len(rows))))

        def read(name, count):
            address = getattr(library, name)(gmm)
            return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), (count,)).copy()

        parts = [
            read("vl_gmm_get_priors", components)[:, None],
            read("vl_gmm_get_means", components * dim).reshape(components, dim),
            read("vl_gmm_get_covariances", components * dim).reshape(components, dim),
        ]
        library.vl_gmm_delete(gmm)
        # It starts with the likelihood of the start and ends with an M-step: as many E-steps as
        # iterations, and one more.
        return seconds / (iterations + 1), np.hstack(parts)

    return run


# --- Python peers ------------------------------------------------------------------------------


def peer_opencv_sift(load):
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    plane = load("plane")
    height, width = plane.shape
    grey = np.clip(np.round(plane * 255), 0, 255).astype(np.uint8)
    points = []
    for size in [4, 6, 8, 10]:
        start = int(1 + 1.5 * (10 - size)) - 1
        xs = range(start, width - 3 * size, 3)
        ys = range(start, height - 3 * size, 3)
        points += [cv2.KeyPoint(x + 1.5 * size, y + 1.5 * size, size / 1.5, 0) for y in ys for x in xs]
    sift = cv2.SIFT_create()

    def run():
        seconds, (_, rows) = clocked(lambda: sift.compute(grey, points))
        return seconds, rows

    return run


def peer_numpy_project(load):
    import numpy as np

    rows, mean, components = load("image_raw"), load("mean"), load("components")

    def run():
        return clocked(lambda: (rows - mean) @ np.ascontiguousarray(components.T))

    return run


def peer_sklearn_pca(load):
    from sklearn.decomposition import PCA

    rows = load("pca_rows")

    def run():
        seconds, pca = clocked(lambda: PCA(80, svd_solver="covariance_eigh").fit(rows))
        return seconds, pca.components_

    return run


def peer_svc_gram(load):
    import numpy as np
    from sklearn.svm import SVC

    rows, classes = load("svm_rows"), load("svm_classes")

    def run():
        def train():
            gram = rows @ rows.T
            machines = [SVC(C=10, kernel="precomputed", tol=1e-3, cache_size=1000).fit(gram, classes == c) for c in range(int(classes.max()) + 1)]
            return np.stack([machine.decision_function(gram) for machine in machines], axis=1)

        return clocked(train)

    return run


def peer_skimage_fisher(load):
    import numpy as np
    from skimage.feature import fisher_vector
    from sklearn.mixture import GaussianMixture

    rows, weights, means, variances = (load(name) for name in ("image_rows", "weights", "means", "variances"))
    gmm = GaussianMixture(len(weights), covariance_type="diag")
    gmm.weights_, gmm.means_, gmm.covariances_ = weights, means, variances
    gmm.precisions_cholesky_ = 1 / np.sqrt(variances)

    def run():
        seconds, vector = clocked(lambda: fisher_vector(rows, gmm, improved=False))
        # Without its first block; the last has the opposite sign. Then improved, as here.
        vector = vector[len(weights) :].copy()
        vector[vector.size // 2 :] *= -1
        vector = np.sign(vector) * np.sqrt(np.abs(vector))
        return seconds, vector / np.linalg.norm(vector)

    return run


def peer_faiss_kmeans(load, iterations):
    import faiss

    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rows, centres = load("fit_rows"), load("centres")

    def run():
        kmeans = faiss.Kmeans(rows.shape[1], len(centres), niter=iterations, max_points_per_centroid=len(rows), seed=1)
        seconds, _ = clocked(lambda: kmeans.train(rows, init_centroids=centres))
        return seconds / iterations, kmeans.centroids

    return run


def peer_sklearn_em(load, iterations):
    import warnings

    import numpy as np
    from sklearn.mixture import GaussianMixture

    warnings.simplefilter("ignore")
    rows, weights, means, variances = (load(name) for name in ("fit_rows", "weights", "means", "variances"))

    def run():
        # Runs EM's two steps themselves: `fit` would start with k-means.
        gmm = GaussianMixture(len(weights), covariance_type="diag", tol=0)
        gmm.weights_, gmm.means_, gmm.covariances_ = weights, means, variances
        gmm.precisions_cholesky_ = (1 / np.sqrt(variances)).astype(np.float32)
        started = time.perf_counter()
        for _ in range(iterations):
            _, log_responsibilities = gmm._e_step(rows)
            gmm._m_step(rows, log_responsibilities)
        gmm._e_step(rows)
        seconds = (time.perf_counter() - started) / (iterations + 1)
        return seconds, np.hstack([gmm.weights_[:, None], gmm.means_, gmm.covariances_])

    return run


# --- inputs and table --------------------------------------------------------------------------


def make_inputs(options, fvtool):
    """Descriptors of the images, a projection and a mixture fitted to them, all by fvtool."""
    import cv2
    import numpy as np

    work = options.work
    if options.images:
        files = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    else:
        files = [None] * 60
    rng = np.random.default_rng(1)
    if not files:
        sys.exit(f"no JPEG files under {options.images}")
    quota = -(-options.pca_rows // min(len(files), 60))
    drawn, total, first = [], 0, None
    for file in files:
        if file is None:
            plane = smooth_noise(rng)
        else:
            colour = cv2.imread(str(file))
            if colour is None or min(colour.shape[:2]) < 100:
                continue
            plane = (colour.astype(np.float32) @ np.float32([0.114, 0.587, 0.299])) / np.float32(255)
        np.save(work / "plane.npy", np.ascontiguousarray(plane, np.float32))
        _, rows = fvtool.run("sift", ["plane"], 1, warm=False)
        if first is None or (len(first) < 70_000 <= len(rows)):
            first, first_plane = rows, plane
        drawn.append(rows[rng.choice(len(rows), min(quota, len(rows)), replace=False)])
        total += len(drawn[-1])
        if total >= options.pca_rows:
            break
    rows = np.concatenate(drawn)[: options.pca_rows]
    rng.shuffle(rows)
    np.save(work / "plane.npy", np.ascontiguousarray(first_plane, np.float32))
    np.save(work / "image_raw.npy", first[:70_000])
    np.save(work / "pca_rows.npy", rows)
    _, components = fvtool.run("pca-fit", ["pca_rows"], 2, warm=False)
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    np.save(work / "mean.npy", mean)
    np.save(work / "components.npy", components)

    def projected(raw):
        return np.ascontiguousarray((raw - mean) @ components.T, np.float32)

    np.save(work / "image_rows.npy", projected(first[:70_000]))
    fit_rows = projected(rows[: options.rows])
    np.save(work / "fit_rows.npy", fit_rows)
    distinct = np.unique(fit_rows[:20_000], axis=0)
    start = distinct[rng.choice(len(distinct), 256, replace=False)]
    np.save(work / "centres.npy", start)
    _, centres = fvtool.run("kmeans", ["fit_rows", "centres"], 2, iterations=8, warm=False)
    nearest = (fit_rows @ centres.T - 0.5 * (centres**2).sum(1)).argmax(1)
    weights = np.maximum(np.bincount(nearest, minlength=256), 1).astype(np.float32)
    spread = np.stack([fit_rows[nearest == k].var(0) if (nearest == k).sum() > 1 else fit_rows.var(0) for k in range(256)])
    np.save(work / "weights.npy", weights / weights.sum())
    np.save(work / "means.npy", centres)
    np.save(work / "variances.npy", np.maximum(spread, 1e-4 * fit_rows.var(0).max()).astype(np.float32))
    _, mixture = fvtool.run("em", ["fit_rows", "weights", "means", "variances"], 2, iterations=5, warm=False)
    dim = centres.shape[1]
    np.save(work / "weights.npy", np.ascontiguousarray(mixture[:, 0]))
    np.save(work / "means.npy", np.ascontiguousarray(mixture[:, 1 : dim + 1]))
    np.save(work / "variances.npy", np.ascontiguousarray(mixture[:, dim + 1 :]))
    # Unit rows of signed square roots with the cosines of Fisher vectors: a part common to all, a
    # part of the class, and noise.
    count, classes = options.svm_rows, np.arange(options.svm_rows) % 20
    parts = rng.uniform(-1, 1, (21, 40_960)).astype(np.float32)
    vectors = rng.random((count, 40_960), np.float32) * 2 - 1 + 0.5 * parts[20] + 0.4 * parts[classes]
    vectors = np.sign(vectors) * np.sqrt(np.abs(vectors))
    np.save(work / "svm_rows.npy", np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32))
    np.save(work / "svm_classes.npy", classes.astype(np.float32))


def smooth_noise(rng):
    """A plane of 500 × 375 with edges of every size."""
    import cv2
    import numpy as np

    plane = np.zeros((375, 500), np.float32)
    for sigma in (1, 3, 9, 27):
        noise = cv2.GaussianBlur(rng.standard_normal(plane.shape).astype(np.float32), (0, 0), sigma)
        plane += noise / noise.std()
    return 1 / (1 + np.exp(-plane))


def difference(ours, theirs):
    """Largest difference and cosine, over all values."""
    import numpy as np

    if ours.size != theirs.size:
        return f"shapes {ours.shape} and {theirs.shape}"
    a, b = ours.ravel().astype(np.float64), theirs.ravel().astype(np.float64)
    cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300)
    return f"max difference {np.abs(a - b).max():.1e}, cosine {cosine:.6f}"


def subspace(ours, theirs):
    """Components up to their signs."""
    import numpy as np

    return f"smallest absolute cosine of a component {np.abs((ours * theirs).sum(1)).min():.6f}"


def clusters(ours, theirs):
    """Centres that started together."""
    import numpy as np

    distance = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1).mean()
    return f"median distance of centres {np.median(distance):.1e} of their length"


def sift_cosine(ours, theirs):
    import numpy as np

    if ours.shape != theirs.shape:
        return f"shapes {ours.shape} and {theirs.shape}"
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = (ours * theirs).sum(1)[lengths > 0] / lengths[lengths > 0]
    return f"median cosine {np.median(cosine):.6f}, smallest {cosine.min():.4f}"


def load_average():
    return os.getloadavg()[0]


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    enter_environment(options.work)
    if not options.fvtool.exists():
        sys.exit(f"{options.fvtool} is missing: cargo build --release, or name it with --fvtool")
    fvtool = Fvtool(options.fvtool, options.work)
    print("making the inputs …", file=sys.stderr)
    make_inputs(options, fvtool)
    vlfeat = vlfeat_library()
    mixture = ["weights", "means", "variances"]
    image, fit = ["image_rows", *mixture], ["fit_rows", *mixture]
    exact = ["encoding.posterior_threshold=0"]
    iterations = 3
    work = [
        # work, peer, function, its values, (stage, inputs, settings, iterations), agreement, threads matter
        ("dense SIFT flat", "VLFeat", "vlfeat_sift", [1], ("sift", ["plane"], [], None), sift_cosine, False),
        ("dense SIFT Gaussian", "VLFeat", "vlfeat_sift", [0], ("sift", ["plane"], ["descriptors.window=gaussian"], None), sift_cosine, False),
        ("dense SIFT Gaussian", "OpenCV", "opencv_sift", [], ("sift", ["plane"], ["descriptors.window=gaussian"], None), lambda a, b: "other conventions", False),
        ("projection 128 → 80", "NumPy", "numpy_project", [], ("project", ["image_raw", "mean", "components"], [], None), difference, False),
        ("PCA fit", "scikit-learn", "sklearn_pca", [], ("pca-fit", ["pca_rows"], [], None), subspace, True),
        ("Fisher vector", "VLFeat", "vlfeat_fisher", [], ("fisher", image, [], None), difference, False),
        ("Fisher vector, exact", "scikit-image", "skimage_fisher", [], ("fisher", image, exact, None), difference, False),
        ("k-means iteration", "faiss", "faiss_kmeans", [iterations], ("kmeans", ["fit_rows", "centres"], [], iterations), clusters, True),
        ("EM iteration", "scikit-learn", "sklearn_em", [iterations], ("em", fit, [], iterations), difference, True),
        ("EM iteration", "VLFeat", "vlfeat_em", [iterations, "threads"], ("em", fit, [], iterations), difference, True),
        ("SVM, 20 classes", "NumPy + SVC", "svc_gram", [], ("svm", ["svm_rows", "svm_classes"], ["svm.c=10.0", "svm.calibration=none"], None), difference, True),
    ]
    lines = ["| work | peer | threads | peer s | fvtool s | ratio | agreement |", "|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for name, peer, function, values, (stage, inputs, settings, count), agreement, scales in work:
        if peer == "VLFeat" and vlfeat is None:
            continue
        for threads in sorted({1, options.threads if scales else 1}):
            numbers = [threads if value == "threads" else value for value in values]
            theirs = Python(function, threads, options.work, *numbers)
            try:
                theirs()
                pairs = []
                for _ in range(options.repeat):
                    ours, our_output = fvtool.run(stage, inputs, threads, settings, count)
                    other, their_output = theirs()
                    pairs.append((ours, other))
                ours, other = (statistics.median(column) for column in zip(*pairs))
                verdict = agreement(our_output, their_output)
                line = f"| {name} | {peer} | {threads} | {other:.4f} | {ours:.4f} | {other / ours:.1f} | {verdict} |"
            except RuntimeError as error:
                line = f"| {name} | {peer} | {threads} | – | – | – | {error} |"
            finally:
                theirs.close()
            lines.append(line)
            print(line, flush=True)
    import importlib.metadata

    lines.append("")
    lines.append("Peers: " + ", ".join(f"{p} {importlib.metadata.version(p)}" for p in PACKAGES))
    if vlfeat is not None:
        lines.append(vlfeat_build(vlfeat))
    lines.append(f"Load when it ended: {load_average():.1f} on {os.cpu_count()} cores")
    print("\n".join(lines[-4:]))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        main()
