"""Adam's tables of what idle coefficients still move by, against the plain sums of the terms."""

from itertools import product

import numpy as np
import pytest

from sk_adaptive.kernel._tail import Tail

BETAS = [(0.0, 0.9), (0.5, 0.9), (0.9, 0.99), (0.9, 0.999), (0.95, 0.9999), (0.9, 0.999999)]
STEPS = [1, 2, 63, 64, 65, 100, 511, 512, 1000, 12_345, 100_000, 10**7]


@pytest.mark.parametrize(("beta_1", "beta_2"), BETAS)
@pytest.mark.parametrize("power_t", [0.0, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_tables_give_the_sums_of_the_terms(beta_1, beta_2, power_t, decay):
    tail = Tail(beta_1, beta_2, 0.1, power_t, decay, 1e-15, True, True)
    for t, (m, root), eps in product(STEPS, [(1.0, 1.0), (-0.3, 1e-4), (2.0, 0.0)], [1e-8, 1e-2]):
        (moved, integral), (sum_moved, sum_integral) = tail.tail_and_integral(t, m, root, eps)
        np.testing.assert_allclose(moved, sum_moved, rtol=1e-12, atol=0)
        np.testing.assert_allclose(integral, sum_integral, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("beta_1", "beta_2"), BETAS)
def test_nothing_moves_before_the_first_step_or_without_momentum(beta_1, beta_2):
    tail = Tail(beta_1, beta_2, 0.1, 0.0, 0.0, 1e-15, True, True)
    assert tail.tail_and_integral(0, 0.0, 0.0, 1e-8)[0] == (0, 0)
    assert tail.tail_and_integral(100, 0.0, 1.0, 1e-8)[0] == (0, 0)


def test_the_tail_is_what_the_dense_textbook_moves_by():
    beta_1, beta_2, eta, eps, t = 0.9, 0.99, 0.1, 1e-3, 20
    tail = Tail(beta_1, beta_2, eta, 0.0, 0.0, 1e-15, True, False)
    m, v, moved = 0.7, 0.4, 0.0
    expected = tail.tail_and_integral(t, m, v**0.5, eps)[0][0]
    for step in range(t + 1, t + 1000):
        m, v = beta_1 * m, beta_2 * v
        m_hat, v_hat = m / (1 - beta_1**step), v / (1 - beta_2**step)
        moved += eta * m_hat / (v_hat**0.5 + eps)
    assert moved == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("beta_1", "beta_2", "decay"), [(0.999, 0.99, 0.0), (0.9, 0.999, 9.99)])
def test_a_tail_without_end_is_refused(beta_1, beta_2, decay):
    with pytest.raises(ValueError, match="beta_1 < sqrt"):
        Tail(beta_1, beta_2, 0.1, 0.0, decay, 1e-15, True, False)
