"""The Fisher-vector layer against its definition, its closed-form gradient, and fvtool itself."""

import copy
import os
import subprocess
import sys
import types

import numpy as np
import pytest

import fvtool

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `pip install 'fvtool[torch]'`")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")

from fvtool.torch import FisherVectorLayer, above_mean_norm, cells  # noqa: E402

K, D = 3, 4


@pytest.fixture
def mixture():
    """Weights, means and variances, all uneven."""
    rng = np.random.default_rng(5)
    weights = np.array([0.5, 0.3, 0.2])
    return weights, rng.normal(size=(K, D)) + 2.0, rng.uniform(0.3, 2.0, size=(K, D))


@pytest.fixture
def images():
    """Five images of seven rows."""
    return torch.from_numpy(np.random.default_rng(6).normal(1.5, 1.3, size=(5, 7, D)))


def layer_of(mixture, dtype=torch.float64, steps=20, **options):
    weights, means, variances = mixture
    return FisherVectorLayer(len(weights), means.shape[1], dtype=dtype, **options).set_mixture(
        weights, means, variances, steps=steps
    )


def posteriors(x, mixture):
    w, mu, var = mixture
    density = np.exp(-0.5 * (np.log(var) + (x[:, None] - mu) ** 2 / var).sum(2))
    return w * density / (w * density).sum(1, keepdims=True)


def defined(x, mixture):
    """Orders 0, 1 and 2 of one image by their definition, in loops."""
    w, mu, var = mixture
    gamma, n = posteriors(x, mixture), len(x)
    orders = [[], [], []]
    for k in range(len(w)):
        z = (x - mu[k]) / np.sqrt(var[k])
        orders[0].append([sum(gamma[:, k] - w[k]) / (n * np.sqrt(w[k]))])
        orders[1].append(sum(g * row for g, row in zip(gamma[:, k], z)) / (n * np.sqrt(w[k])))
        orders[2].append(sum(g * (row**2 - 1) for g, row in zip(gamma[:, k], z)) / (n * np.sqrt(2 * w[k])))
    return [np.concatenate(order) for order in orders]


def normalised(f, epsilon):
    root = np.sign(f) * (np.sqrt(np.abs(f) + epsilon) - np.sqrt(epsilon))
    return root / np.linalg.norm(root)


@pytest.mark.parametrize("orders", [(1, 2), (0, 1, 2), (2,), (2, 1)])
def test_forward_is_the_definition(mixture, images, orders):
    layer = layer_of(mixture, orders=orders, root_epsilon=1e-3).eval()
    raw, vectors = layer.fisher(images).numpy(), layer(images).numpy()
    assert vectors.shape == (5, layer.out_features)
    for x, f, v in zip(images.numpy(), raw, vectors):
        expected = np.concatenate([defined(x, mixture)[order] for order in sorted(orders)])
        np.testing.assert_allclose(f, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(v, normalised(expected, 1e-3), rtol=1e-11, atol=1e-13)


def test_values_and_places_are_those_of_fisher_vector(rows):
    """With a mixture that fvtool fitted, in float32, far from the origin."""
    rows = rows + np.float32(30)
    gmm = fvtool.fit_gmm(rows, 4)
    for orders in [(1, 2), (0, 1, 2)]:
        layer = FisherVectorLayer(4, 5, orders=orders).initialise(rows).eval()
        np.testing.assert_array_equal(layer.means.numpy(), gmm.means)
        expected = fvtool.fisher_vector(rows[:60], gmm, orders=orders)
        found = layer.fisher(torch.from_numpy(rows[None, :60]))[0].numpy()
        np.testing.assert_allclose(found, expected, atol=2e-5)  # values about 1, float32 at 30 ± 1


def test_gradients_are_those_of_differences(mixture, images):
    """Through a projection, posteriors, root and length; parameters of the projection too."""
    layer = layer_of(mixture).eval()
    projection = torch.nn.Linear(6, D, dtype=torch.float64)
    mask = torch.rand(2, 5, generator=torch.Generator().manual_seed(1)) > 0.3
    x = torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()

    def vectors(x, weight, bias):
        return layer(torch.nn.functional.linear(x, weight, bias), mask)

    assert torch.autograd.gradcheck(vectors, (x, projection.weight, projection.bias), atol=1e-7, rtol=1e-5)


def closed_form(x, mixture, g):
    """∂L/∂x of one image from ∂L/∂(orders 1 and 2): six products, no array N×K×D (eq. 15–17)."""
    w, mu, var = mixture
    (n, d), k = x.shape, len(w)
    gamma, c = posteriors(x, mixture), 1 / (n * np.sqrt(w))[:, None]
    first = c * g[: k * d].reshape(k, d) / np.sqrt(var)
    second = c * g[k * d :].reshape(k, d) / np.sqrt(2)
    p, q = first - 2 * second * mu / var, 2 * second / var
    constant = (-first * mu + second * (mu**2 / var - 1)).sum(1)
    of_posteriors = x @ p.T + x**2 @ q.T / 2 + constant
    s = gamma * (of_posteriors - (gamma * of_posteriors).sum(1, keepdims=True))
    return gamma @ p + s @ (mu / var) + x * (gamma @ q - s @ (1 / var))


def test_the_gradient_is_the_closed_form(mixture, images):
    layer = layer_of(mixture).eval()
    x = images.clone().requires_grad_()
    g = torch.randn(5, 2 * K * D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    layer.fisher(x).backward(g)
    for image, of_image, found in zip(images.numpy(), g.numpy(), x.grad.numpy()):
        np.testing.assert_allclose(found, closed_form(image, mixture, of_image), rtol=1e-9, atol=1e-12)


def test_the_mixture_moves_by_equations_3_to_9(mixture, images):
    layer = layer_of(mixture, steps=0, decay=0.8, variance_floor=1e-9)
    w, mu, var = mixture
    average = [np.zeros(K), np.zeros((K, D)), np.zeros((K, D))]
    for t in [1, 2, 3]:
        batch = images * (1 + 0.1 * t)
        # The vectors are those of the mixture before the batch moved it.
        expected = defined(batch[0].numpy(), (w, mu, var))[1]
        np.testing.assert_allclose(layer.fisher(batch)[0].numpy()[: K * D], expected, rtol=1e-9, atol=1e-12)
        x = batch.numpy().reshape(-1, D)
        gamma = posteriors(x, (w, mu, var))
        mass = gamma.sum(0)
        mean = gamma.T @ x / mass[:, None]
        variance = np.stack([gamma[:, k] @ (x - mean[k]) ** 2 / mass[k] for k in range(K)])
        new = [mass / len(x), mean, variance]
        average = [0.8 * old + 0.2 * value for old, value in zip(average, new)]
        w, mu, var = (value / (1 - 0.8**t) for value in average)
        for found, value in zip([layer.weights, layer.means, layer.variances], [w, mu, var]):
            np.testing.assert_allclose(found.numpy(), value, rtol=1e-9)
        for found, value in zip([layer.average_weights, layer.average_means], average):
            np.testing.assert_allclose(found.numpy(), value, rtol=1e-9)
        assert int(layer.steps) == t


def test_the_mixture_moves_as_in_the_programs_mini_batch_em(rows):
    """From fvtool's mixture after one batch of all rows: the next batches must lead to fvtool's mixtures."""
    fit = lambda t: fvtool.fit_gmm(rows, 3, method="mini-batch", batch_rows=len(rows), max_iterations=t)
    first = fit(1)
    layer = FisherVectorLayer(3, 5).set_mixture(first.weights, first.means, first.variances, steps=1)
    for t in [2, 3, 4]:
        layer(torch.from_numpy(rows.reshape(9, 100, 5)))
        expected = fit(t)
        np.testing.assert_allclose(layer.weights.numpy(), expected.weights, rtol=1e-4)
        np.testing.assert_allclose(layer.means.numpy(), expected.means, atol=1e-4)
        np.testing.assert_allclose(layer.variances.numpy(), expected.variances, rtol=1e-4)


def test_one_component_is_the_running_statistics_of_batch_normalisation(images):
    layer = FisherVectorLayer(1, D, dtype=torch.float64, variance_floor=1e-9)
    norm = torch.nn.BatchNorm1d(D, momentum=0.1, dtype=torch.float64)
    for t in range(1, 6):
        batch = images * t + t
        layer(batch)
        norm(batch.reshape(-1, D))
        left = 0.9**t  # of the 0 and 1 that batch normalisation starts from
        np.testing.assert_allclose(layer.means[0].numpy(), norm.running_mean.numpy() / (1 - left), rtol=1e-12)
        unbiased = (norm.running_var.numpy() - left) / (1 - left)
        np.testing.assert_allclose(layer.variances[0].numpy(), unbiased * 34 / 35, rtol=1e-9)
    assert layer.weights.tolist() == [1.0]


def test_no_order_of_rows_or_parts_matters(mixture, images):
    layer = layer_of(mixture).eval()
    parts = images[:, :6].reshape(5, 3, 2, D)
    whole = layer(images[:, :6]).numpy()
    np.testing.assert_allclose(layer(parts).numpy(), whole, rtol=1e-12)
    np.testing.assert_allclose(layer(parts[:, [2, 0, 1]]).numpy(), whole, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer(images[:, [5, 3, 1, 0, 2, 4]]).numpy(), whole, rtol=1e-9, atol=1e-12)


def test_a_masked_row_is_a_missing_row(mixture, images):
    """In vectors, gradients and the mixture, whatever the masked row holds."""
    few, all_ = layer_of(mixture), layer_of(mixture)
    short = images[:, :4].clone().requires_grad_()
    few(short).sum().backward()
    padded = images.clone()
    padded[:, 4], padded[:, 5], padded[:, 6] = float("nan"), float("inf"), 1e30
    padded.requires_grad_()
    mask = torch.arange(7).expand(5, 7) < 4
    vectors = all_(padded, mask)
    vectors.sum().backward()
    np.testing.assert_allclose(
        vectors.detach().numpy(), layer_of(mixture)(short).detach().numpy(), rtol=1e-12
    )
    np.testing.assert_allclose(padded.grad[:, :4].numpy(), short.grad.numpy(), rtol=1e-9, atol=1e-14)
    assert not padded.grad[:, 4:].any()
    for name in ["weights", "means", "variances"]:
        np.testing.assert_allclose(getattr(all_, name).numpy(), getattr(few, name).numpy(), rtol=1e-12)
    # One row alone.
    expected = np.concatenate(defined(images[0, :1].numpy(), mixture)[1:])
    found = layer_of(mixture).fisher(images, torch.arange(7).expand(5, 7) < 1)[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    # Parts at once.
    parts, seen = images[:, :6].reshape(5, 3, 2, D), torch.tensor([[True, True, False]]).expand(5, 3)
    expected = layer_of(mixture)(images[:, :4]).numpy()
    np.testing.assert_allclose(layer_of(mixture)(parts, seen).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_an_image_without_rows_has_a_vector_of_zeros(mixture, images):
    layer = layer_of(mixture)
    x = images.clone().requires_grad_()
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    vectors = layer(x, mask)
    vectors.sum().backward()
    assert not vectors[2].any() and not x.grad[2].any() and x.grad.isfinite().all()
    np.testing.assert_allclose(vectors.detach().norm(dim=1).numpy(), [1, 1, 0, 1, 1], rtol=1e-12)
    before = copy.deepcopy(layer.state_dict())
    assert not layer(images, torch.zeros_like(mask)).any()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_batch_with_nan_is_seen_and_leaves_the_mixture_alone(mixture, images):
    layer = layer_of(mixture)
    before = copy.deepcopy(layer.state_dict())
    bad = images.clone()
    bad[1, 2, 3] = float("nan")
    vectors = layer(bad)
    assert vectors[1].isnan().all() and vectors[0].isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    layer(images)
    assert int(layer.steps) == 21


def test_a_component_that_a_batch_does_not_reach_keeps_its_place(mixture, images):
    w, mu, var = mixture
    far = mu.copy()
    far[2] += 1e3
    layer = layer_of((w, far, var), variance_floor=1e-9)
    for _ in range(200):
        vectors = layer(images)
    np.testing.assert_allclose(layer.means[2].numpy(), far[2], rtol=1e-9)
    np.testing.assert_allclose(layer.variances[2].numpy(), var[2], rtol=1e-9)
    # Its weight comes to that of a thousandth of a row of 35, from which it can come back.
    assert layer.weights[2].item() == pytest.approx(1e-3 / 35, rel=0.01) and vectors.isfinite().all()


def test_a_component_without_weight_has_zeros(mixture, images):
    w, mu, var = mixture
    layer = layer_of((w * [1, 0, 1], mu, var)).eval()
    x = images.clone().requires_grad_()
    found = layer.fisher(x)
    found.sum().backward()
    two = layer_of((w[[0, 2]], mu[[0, 2]], var[[0, 2]])).eval().fisher(images).reshape(5, 2, 2, D)
    found = found.detach().reshape(5, 2, K, D)
    assert not found[:, :, 1].any() and x.grad.isfinite().all()
    np.testing.assert_allclose(found[:, :, [0, 2]].numpy(), two.numpy(), rtol=1e-9, atol=1e-12)


def test_variances_stay_above_the_floor_of_the_data(images):
    layer = FisherVectorLayer(2, D, dtype=torch.float64, variance_floor=0.01).initialise(images)
    floor = 0.01 * images.reshape(-1, D).var(0, unbiased=False)
    for _ in range(100):
        layer(images[:1, :1].expand(5, 7, D))  # all rows alike
    np.testing.assert_allclose(layer.floor.numpy(), floor.numpy(), rtol=1e-4)
    assert (layer.variances >= layer.floor * (1 - 1e-12)).all()
    np.testing.assert_allclose(layer.variances.min(0).values.numpy(), floor.numpy(), rtol=0.01)


def test_the_norm_filter(mixture):
    x = torch.tensor([[[3.0, 4], [0, 1], [6, 8], [1, 0]], [[0, 2], [2, 0], [0, 2], [2, 0]]])
    # Lengths 5, 1, 10, 1 of mean 4.25; lengths of 2 throughout.
    assert above_mean_norm(x).tolist() == [[True, False, True, False], [True] * 4]
    # Without the longest row the mean is 7/3.
    mask = torch.tensor([[True, True, False, True], [False] * 4])
    assert above_mean_norm(x, mask).tolist() == [[True, False, False, False], [False] * 4]
    x = torch.randn(5, 7, D, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    filtering, plain = layer_of(mixture, norm_filter="image-mean"), layer_of(mixture)
    kept = torch.linalg.vector_norm(x, dim=2) > torch.linalg.vector_norm(x, dim=2).mean(1, keepdim=True)
    assert 5 < kept.sum() < 30
    np.testing.assert_array_equal(filtering(x).numpy(), plain(x, kept).numpy())
    np.testing.assert_array_equal(filtering.means.numpy(), plain.means.numpy())


def test_cells_are_rows_of_unit_length():
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, :, 0, 0], maps[0, :, 0, 1], maps[0, :, 1, 0] = *torch.tensor([[3.0, 4], [0, 1]]), torch.tensor(
        [6.0, 8]
    )
    rows, mask = cells(maps)
    np.testing.assert_allclose(rows[0].numpy(), [[0.6, 0.8], [0, 1], [0.6, 0.8], [0, 0]])
    assert mask is None
    assert cells(maps, keep="above-mean-norm")[1].tolist() == [[True, False, True, False]]
    assert cells(5e3 * maps.half())[0].isclose(rows, atol=1e-3).all()
    maps.requires_grad_()
    cells(maps)[0].sum().backward()
    assert maps.grad.isfinite().all() and maps.grad[0, :, 1, 1].tolist() == [1, 1]  # of the row of zeros


def test_a_state_goes_on_where_it_was(mixture, images, tmp_path):
    layer = layer_of(mixture)
    layer(images)
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    other = FisherVectorLayer(K, D, dtype=torch.float64)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(2):
        np.testing.assert_array_equal(other(images).numpy(), layer(images).numpy())
    assert int(other.steps) == int(layer.steps) == 23
    other.load_state_dict(FisherVectorLayer(K, D, dtype=torch.float64).state_dict())
    with pytest.raises(fvtool.FvtoolError, match="no mixture yet"):
        other.eval()(images)
    with pytest.raises(RuntimeError, match="size mismatch"):
        FisherVectorLayer(K, D + 1).load_state_dict(layer.state_dict())


def test_when_the_mixture_moves(mixture, images):
    layer = layer_of(mixture)
    before = layer.means.clone()
    layer.eval()(images)
    layer.train().learning = False
    layer(images)
    assert torch.equal(layer.means, before) and int(layer.steps) == 20
    layer.learning = True
    # Two passes before one backward, as two branches of a network make them.
    x = images.clone().requires_grad_()
    (layer(x).sum() + layer(2 * x).sum()).backward()
    assert int(layer.steps) == 22 and not torch.equal(layer.means, before) and not list(layer.parameters())
    assert torch.equal(copy.deepcopy(layer).eval()(images), layer.eval()(images))


def test_the_first_batch_fills_the_mixture(images):
    layer = FisherVectorLayer(2, D, dtype=torch.float64)
    with pytest.raises(fvtool.FvtoolError, match="initialise"):
        layer.eval()(images)
    vectors = layer.train()(images)
    assert int(layer.steps) == 1 and vectors.isfinite().all()
    fitted = fvtool.fit_gmm(images.reshape(-1, D).float().numpy(), 2)
    # Where EM had converged, one more step of it changes little.
    np.testing.assert_allclose(layer.means.numpy(), fitted.means, atol=0.02)
    with pytest.raises(fvtool.FvtoolError, match="components"):
        FisherVectorLayer(40, D)(images)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(mixture, images, kind):
    layer = layer_of(mixture, dtype=torch.float32).eval()
    x = images.to(kind)
    expected = layer(x.float())
    assert layer(x).dtype == kind
    torch.testing.assert_close(layer(x), expected.to(kind), rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer(x.float()), expected, rtol=0, atol=0)
    with pytest.raises(fvtool.FvtoolError, match="float32"):
        copy.deepcopy(layer).to(kind)(x)


def test_the_file_holds_mixture_and_projection(mixture, images, tmp_path):
    layer = layer_of(mixture).eval()
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(8))
    conv = torch.nn.Conv2d(6, D, 1)
    for projection in [torch.nn.Linear(6, D, bias=False), torch.nn.Linear(6, D), conv]:
        path = tmp_path / "layer.safetensors"
        layer.save(path, projection)
        file = safetensors.load_file(path)
        assert {name: value.dtype for name, value in file.items()} == dict.fromkeys(file, np.dtype("float32"))
        for name, value in zip(["weights", "means", "variances"], mixture):
            np.testing.assert_allclose(file[f"mixture.{name}"], value, rtol=1e-6)
        expected = projection(rows[:, :, None, None]).flatten(1) if projection is conv else projection(rows)
        found = (rows.numpy() - file["projection.mean"]) @ file["projection.components"].T
        np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)
    layer.save(path)
    assert sorted(safetensors.load_file(path)) == ["mixture.means", "mixture.variances", "mixture.weights"]


@pytest.mark.parametrize(
    ("projection", "says"),
    [
        (torch.nn.Linear(6, D + 1, bias=False), "one to the layer's 4"),
        (torch.nn.Linear(2, D), "bias=False"),  # four biases from two means
        (torch.nn.Conv2d(6, D, 3), "1×1"),
        (torch.nn.Conv2d(6, D, 1, padding=1), "no padding"),
        (torch.nn.Identity(), "torch.nn.Linear"),
    ],
)
def test_a_projection_that_has_no_such_form_is_refused(mixture, tmp_path, projection, says):
    with pytest.raises(fvtool.FvtoolError, match=says):
        layer_of(mixture).save(tmp_path / "layer.safetensors", projection)
    assert not list(tmp_path.iterdir())
    with pytest.raises(fvtool.FvtoolError, match="nothing to save"):
        FisherVectorLayer(K, D).save(tmp_path / "layer.safetensors")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"components": 0}, "`components`"),
        ({"components": 2.5}, "`components`"),
        ({"dimension": -1}, "`dimension`"),
        ({"orders": ()}, "`orders`"),
        ({"orders": (1, 3)}, "`orders`"),
        ({"decay": 1.0}, "`decay`"),
        ({"root_epsilon": 0.0}, "`root_epsilon`"),
        ({"variance_floor": 0.0}, "`variance_floor`"),
        ({"norm_filter": "mean"}, "`norm_filter`"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(fvtool.FvtoolError, match=says):
        FisherVectorLayer(**{"components": K, "dimension": D, **options})


def test_arguments_of_other_shapes_are_refused(mixture, images):
    layer = layer_of(mixture)
    mask = torch.ones(5, 7, dtype=torch.bool)
    for x, mask, says in [
        (images[0], None, "B×N×4"),
        (images[..., :3], None, "B×N×4"),
        (images.long(), None, "floats"),
        (images, mask[:, :6], "5×7"),
        (images, mask.double(), "bool"),
        (images[:, :6].reshape(5, 3, 2, D), mask[:, :2], "5×3×2 or 5×3"),
    ]:
        with pytest.raises(fvtool.FvtoolError, match=says):
            layer(x, mask)
    w, mu, var = mixture
    for given, says in [
        ((w[:2], mu, var), "`weights`"),
        ((w - 0.4, mu, var), "`weights`"),
        ((w, mu + np.nan, var), "`means`"),
        ((w, mu, 0 * var), "`variances`"),
    ]:
        with pytest.raises(fvtool.FvtoolError, match=says):
            layer.set_mixture(*given)
    with pytest.raises(fvtool.FvtoolError):
        FisherVectorLayer(2, D).initialise(images * float("nan"))


def test_a_network_learns_through_the_layer():
    """Two classes of images whose rows differ in one of six values, which a projection to two has to find."""
    generator = torch.Generator().manual_seed(9)
    labels = torch.arange(64) % 2
    x = torch.randn(64, 10, 6, generator=generator)
    x[:, :, 5] = 0.3 * x[:, :, 5] + 0.4 * (2 * labels[:, None] - 1)
    projection, layer = torch.nn.Linear(6, 2, bias=False), FisherVectorLayer(2, 2)
    with torch.no_grad():
        projection.weight.copy_(torch.eye(2, 6))
        layer.initialise(projection(x))
    head = torch.nn.Linear(layer.out_features, 2)
    torch.nn.init.zeros_(head.weight)
    optimiser = torch.optim.Adam(
        [{"params": projection.parameters()}, {"params": head.parameters(), "lr": 0.1}], lr=0.02
    )
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(head(layer(projection(x))), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(2), abs=0.1) and losses[-1] < 0.1, losses[::10]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_fvtool_itself_does_not_need_torch(tmp_path):
    done = python("import sys, fvtool; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    done = python("import fvtool, fvtool.torch", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and "pip install 'fvtool[torch]'" in done.stderr, done.stderr


def test_the_programs_own_layer_is_the_same(mixture, images):
    """Vector and gradient of `fvtool.fisher_layer`, which computes without PyTorch."""
    w, mu, var = (part.astype(np.float32) for part in mixture)
    gmm = types.SimpleNamespace(weights_=w, means_=mu, covariances_=var, covariance_type="diag")
    layer = layer_of((w, mu, var), root_epsilon=1e-4).eval()
    g = torch.randn(5, 2 * K * D, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    x = images.float().double().requires_grad_()
    vectors = layer(x)
    vectors.backward(g)
    for n in range(5):
        rows = images[n].float().numpy()
        vector, of_rows = fvtool.fisher_layer(rows, gmm, g[n].float().numpy())
        np.testing.assert_allclose(vector, vectors[n].detach().numpy(), atol=1e-5)
        largest = np.abs(x.grad[n].numpy()).max()
        np.testing.assert_allclose(of_rows / largest, x.grad[n].numpy() / largest, atol=1e-5)
