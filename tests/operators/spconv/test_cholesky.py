"""Systems solved by products with a triangle's blocks: what LU gives, at every size."""

import numpy as np
import pytest

from spconvify.operators.spconv.cholesky import inverse_of_lower, inverse_spd, solve_spd

SIZES = [1, 2, 63, 64, 65, 127, 129, 200, 321]  # around where a triangle is halved


def system(size, outputs=5):
    """A definite matrix with eigenvalues over five orders, and a right-hand side."""
    random = np.random.default_rng(size)
    vectors = np.linalg.qr(random.standard_normal((size, size)))[0]
    matrix = (vectors * np.geomspace(1e-4, 10, size)) @ vectors.T
    return (matrix + matrix.T) / 2, random.standard_normal((size, outputs))


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_is_that_of_lu_and_symmetric(size):
    matrix, _ = system(size)
    inverse = inverse_spd(matrix)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), rtol=1e-8, atol=1e-6)
    np.testing.assert_array_equal(np.tril(inverse, -1).T, np.triu(inverse, 1))


@pytest.mark.parametrize("size", SIZES)
def test_the_solution_is_that_of_lu_and_nothing_is_written_over(size):
    matrix, right = system(size)
    before = matrix.copy(), right.copy()
    solution = solve_spd(matrix, right)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-6)
    np.testing.assert_array_equal(matrix, before[0])
    np.testing.assert_array_equal(right, before[1])


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_of_a_triangle_is_a_triangle(size):
    factor = np.linalg.cholesky(system(size)[0])
    inverse = inverse_of_lower(factor)
    np.testing.assert_array_equal(inverse, np.tril(inverse))
    np.testing.assert_allclose(inverse @ factor, np.eye(size), atol=1e-9)


def test_a_view_a_transposed_one_and_no_outputs_will_do():
    matrix, right = system(130)
    wanted = np.linalg.solve(matrix, right)
    np.testing.assert_allclose(
        solve_spd(matrix.T, np.asfortranarray(right)), wanted, rtol=1e-8, atol=1e-6
    )
    assert solve_spd(matrix, right[:, :0]).shape == (130, 0)


@pytest.mark.parametrize("size", [3, 90])
def test_what_carries_no_variance_is_left_out(size):
    """The least-norm solution, as that of the pseudo-inverse."""
    tall = np.random.default_rng(0).standard_normal((size, size // 2))
    matrix, right = tall @ tall.T - 1e-15 * np.eye(size), tall @ np.ones((size // 2, 2))
    wanted = np.linalg.pinv(matrix, rcond=1e-10, hermitian=True) @ right
    np.testing.assert_allclose(solve_spd(matrix, right), wanted, atol=1e-8)
    np.testing.assert_allclose(inverse_spd(matrix) @ right, wanted, atol=1e-8)
