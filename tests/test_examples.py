"""The scripts of examples/ print what plain NumPy computes."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

FOLDER = Path(__file__).parent.parent / "examples"
TEXTBOOK = FOLDER / "textbook"
MOST_LINES = 40
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs the examples beside the tests")


@pytest.fixture
def run(capsys):
    """Runs a script; returns its names, and the numbers of each line that it printed."""

    def run_script(name):
        namespace = runpy.run_path(str(TEXTBOOK / name))
        lines = capsys.readouterr().out.splitlines()
        return namespace, [[float(n) for n in NUMBER.findall(line)] for line in lines]

    return run_script


def first_weights(net, X, y, **params):
    """The weights that training begins with: of a fit that does not move them."""
    still = clone(net).set_params(max_iter=1, learning_rate_init=1e-300, **params).fit(X, y)
    return still.coefs_, still.intercepts_


class Sigmoids:
    """A network of sigmoids as the textbooks train it: gradients of half the squared error, summed
    over the rows."""

    def __init__(self, coefs, intercepts):
        self.coefs, self.intercepts = [c.copy() for c in coefs], [b.copy() for b in intercepts]

    def forward(self, X):
        layers = [X]
        for w, b in zip(self.coefs, self.intercepts, strict=True):
            layers.append(expit(layers[-1] @ w + b))
        return layers

    def step(self, X, y, rate):
        """The mean squared error before the step."""
        layers = self.forward(X)
        error = layers[-1] - y
        delta = error * layers[-1] * (1 - layers[-1])
        for i in reversed(range(len(self.coefs))):
            below = delta @ self.coefs[i].T * layers[i] * (1 - layers[i])
            self.coefs[i] -= rate * layers[i].T @ delta
            self.intercepts[i] -= rate * delta.sum(axis=0)
            delta = below
        return np.mean(error**2)

    def fit(self, X, y, rate, steps):
        return [self.step(X, y.reshape(-1, 1), rate) for _ in range(steps)]


def check_curve(printed, errors, every, places):
    """Lines of step and error, and nothing else."""
    expected = [[step, errors[step]] for step in range(0, len(errors), every)]
    np.testing.assert_allclose(printed, expected, rtol=0, atol=0.51 * 10.0**-places)


def test_every_script_is_here_and_short():
    scripts = sorted(p.name for p in TEXTBOOK.glob("*.py"))
    text = Path(__file__).read_text()
    assert len(scripts) == 7
    for name in scripts:
        assert f'"{name}"' in text, f"{name} is not tested"
        assert len((TEXTBOOK / name).read_text().splitlines()) <= MOST_LINES, name


def test_xor_by_two_hidden_units(run):
    names, lines = run("1_xor.py")
    X, y = names["X"], names["y"]
    lucky = Sigmoids(*first_weights(names["net"], X, y, random_state=10))
    check_curve(lines[:-2], lucky.fit(X, y, rate=0.1, steps=10_000), 1_000, places=4)
    np.testing.assert_allclose(lines[-2], lucky.forward(X)[-1].ravel(), rtol=0, atol=1e-3)
    assert (np.round(lines[-2]) == y).all()
    unlucky = Sigmoids(*first_weights(names["net"], X, y, random_state=0))
    unlucky.fit(X, y, rate=0.1, steps=10_000)
    np.testing.assert_allclose(lines[-1], unlucky.forward(X)[-1].ravel(), rtol=0, atol=1e-3)
    assert np.abs(np.array(lines[-1]) - y).max() > 0.4


def test_random_targets(run):
    names, lines = run("2_random_targets.py")
    X, y = names["X"], names["y"]
    coefs, intercepts = first_weights(names["net"], X, y)
    assert 0.5 < max(np.abs(c).max() for c in coefs) <= 1
    assert max(np.abs(b).max() for b in intercepts) < 1e-300
    # of the mean square, 1 / 100 of the sum of twice the gradient
    errors = Sigmoids(coefs, intercepts).fit(X, y, rate=2 * 0.01 / 100, steps=1_000)
    check_curve(lines[:-1], errors, 100, places=4)
    assert lines[-1] == [round(np.var(y), 4)]


def test_one_layer_is_the_delta_rule_without_a_bias(run):
    _, lines = run("3_one_layer.py")
    X, y = np.array([[0.0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]]), np.array([0.0, 1, 1, 0])
    w, errors = np.array([-0.2, 0.4, 0.1]), []
    for _ in range(10_000):
        s = expit(X @ w)
        errors.append(np.mean((y - s) ** 2))
        w += X.T @ ((y - s) * s * (1 - s))
    steps = [0, 10, 100, 1_000]
    expected = [[step, errors[step]] for step in steps]
    np.testing.assert_allclose(lines[:4], expected, rtol=0, atol=0.51e-5)
    np.testing.assert_allclose(lines[4], w, rtol=0, atol=1e-3)
    np.testing.assert_allclose(lines[5], expit(X @ w), rtol=0, atol=1e-3)
    assert (np.round(lines[5]) == y).all()


def test_a_stream_of_coins(run):
    names, lines = run("4_stream.py")
    random, network, errors = np.random.RandomState(0), None, []
    for _ in range(1_000):
        X, y = random.uniform(size=(100, 2)), random.randint(0, 2, size=100)
        if network is None:
            network = Sigmoids(*first_weights(names["net"], X, y))
        errors.append(network.step(X, y.reshape(-1, 1), rate=0.01))
    check_curve(lines[:-1], errors, 100, places=4)
    np.testing.assert_allclose(lines[-1], network.forward(X[:5])[-1].ravel(), rtol=0, atol=0.01)
    assert abs(np.mean(errors[500:]) - 0.25) < 0.01


def test_the_step_by_hand(run):
    names, lines = run("5a_by_hand.py")
    hidden, output = names["step"].layers
    np.testing.assert_allclose(hidden.z, [[0.19, 0.32, 0.45]], rtol=1e-12)
    assert lines[3][-3:] == [0.19, 0.32, 0.45]
    a = [1 / (1 + np.exp(-z)) for z in (0.19, 0.32, 0.45)]
    z = 0.7 * a[0] + 0.8 * a[1] + 0.9 * a[2] + 0.4
    p = 1 / (1 + np.exp(-z))
    delta = (p - 1) * p * (1 - p)
    new = [w - 0.1 * delta * h for w, h in zip((0.7, 0.8, 0.9), a, strict=True)]
    np.testing.assert_allclose(lines[-1], new, rtol=0, atol=0.51e-4)
    np.testing.assert_allclose(output.delta, [[delta]], rtol=1e-12)
    below = [delta * w * h * (1 - h) for w, h in zip((0.7, 0.8, 0.9), a, strict=True)]
    np.testing.assert_allclose(hidden.delta, [below], rtol=1e-12)
    np.testing.assert_allclose(
        hidden.coef_update, -0.1 * np.outer([0.1, 0.2], below), rtol=0, atol=1e-16
    )


def test_xor_by_three_hidden_units(run):
    names, lines = run("5b_xor.py")
    X, y = names["X"], names["y"]
    network = Sigmoids(*first_weights(names["net"], X, y))
    check_curve(lines[:-1], network.fit(X, y, rate=1, steps=1_000), 100, places=4)
    np.testing.assert_allclose(lines[-1], network.forward(X)[-1].ravel(), rtol=0, atol=1e-3)
    assert (np.round(lines[-1]) == y).all()


def test_a_line_by_a_sigmoid(run):
    _, lines = run("5c_line.py")
    x, y, w, b, entropies = np.array([0.0, 1]), np.array([0.0, 1]), 0.0, 0.0, []
    for _ in range(1_000):
        p = expit(w * x + b)
        entropies.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
        w, b = w - 0.2 * np.dot(p - y, x), b - 0.2 * np.sum(p - y)
    squared = Sigmoids([np.zeros((1, 1))], [np.zeros(1)])
    errors = squared.fit(x.reshape(-1, 1), y, rate=0.2, steps=1_000)
    assert (round(entropies[0], 3), errors[0]) == (0.693, 0.25)
    expected = [[step, entropies[step], errors[step]] for step in range(0, 1_000, 100)]
    np.testing.assert_allclose(lines[:-1], expected, rtol=0, atol=0.51e-3)
    np.testing.assert_allclose(lines[-1], [2, 3, *expit(w * np.array([2, 3]) + b)], atol=0.51e-6)
