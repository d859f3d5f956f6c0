"""Symmetric positive definite systems by their Cholesky factor: a third of the work of an inverse by LU.

NumPy has the factor and nothing that makes use of its triangle, so the triangle is halved until it is
small, and what is left are matrix products, which every BLAS does at full speed.
"""

from __future__ import annotations

import numpy as np

_SMALL = 64  # rows; below, LAPACK is as fast as products


def inverse_spd(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix.

    Where it isn't definite to working precision, the directions that carry no variance are left out:
    the pseudo-inverse, whose solutions have the least norm.
    """
    try:
        triangle = inverse_of_lower(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        values, vectors = _kept(matrix)
        return (vectors / values) @ vectors.T
    return _gram_of_lower(triangle)


def solve_spd(matrix: np.ndarray, right: np.ndarray, *, least_norm: bool = True) -> np.ndarray:
    """`inverse_spd(matrix) @ right` for (F, F) and (F, L), without the inverse.

    Without `least_norm` a matrix that isn't definite is taken as it is, which is ten times as fast.
    """
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        if not least_norm:
            return np.linalg.solve(matrix, right)
        values, vectors = _kept(matrix)
        return vectors @ ((vectors.T @ right) / values[:, None])
    solution = np.array(right, dtype=np.float64)
    _forward(factor, solution)
    _backward(factor, solution)
    return solution


def inverse_of_lower(factor: np.ndarray) -> np.ndarray:
    """Inverse of a lower triangular matrix, lower triangular to the bit."""
    inverse = np.zeros_like(factor)
    _invert_lower(factor, inverse)
    return inverse


def _invert_lower(factor: np.ndarray, inverse: np.ndarray) -> None:
    count = len(factor)
    if count <= _SMALL:
        inverse[:] = np.tril(np.linalg.inv(factor))
        return
    half = count // 2
    _invert_lower(factor[:half, :half], inverse[:half, :half])
    _invert_lower(factor[half:, half:], inverse[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ (factor[half:, :half] @ inverse[:half, :half])


def _gram_of_lower(triangle: np.ndarray) -> np.ndarray:
    """``triangle.T @ triangle`` of a lower triangular matrix, without the products with its zeros."""
    count = len(triangle)
    if count <= _SMALL:
        return triangle.T @ triangle
    half = count // 2
    below, corner = triangle[half:, :half], triangle[half:, half:]
    gram = np.empty_like(triangle)
    gram[:half, :half] = _gram_of_lower(triangle[:half, :half])
    gram[:half, :half] += below.T @ below
    gram[half:, half:] = _gram_of_lower(corner)
    gram[half:, :half] = corner.T @ below
    gram[:half, half:] = gram[half:, :half].T
    return gram


def _forward(factor: np.ndarray, right: np.ndarray) -> None:
    """Replace `right` by the solution x of ``factor @ x = right``."""
    count = len(factor)
    if count <= _SMALL:
        right[:] = np.linalg.solve(factor, right)
        return
    half = count // 2
    _forward(factor[:half, :half], right[:half])
    right[half:] -= factor[half:, :half] @ right[:half]
    _forward(factor[half:, half:], right[half:])


def _backward(factor: np.ndarray, right: np.ndarray) -> None:
    """Replace `right` by the solution x of ``factor.T @ x = right``."""
    count = len(factor)
    if count <= _SMALL:
        right[:] = np.linalg.solve(factor.T, right)
        return
    half = count // 2
    _backward(factor[half:, half:], right[half:])
    right[:half] -= factor[half:, :half].T @ right[half:]
    _backward(factor[:half, :half], right[:half])


def _kept(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the directions that carry variance."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > len(matrix) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    return values[kept], vectors[:, kept]
