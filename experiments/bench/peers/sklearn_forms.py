"""scikit-learn's kernel approximations, f32 inputs of width 64, fitted beforehand."""
import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import laplacian_kernel, polynomial_kernel, rbf_kernel

WIDTH, FEATURES, GAMMA = 64, 256, 0.5 / 64


def points(n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)


def fitted(estimator, n):
    x = points(n)
    estimator.fit(x)
    return lambda: estimator.transform(x)


def kernel(name, n, same):
    x, y = points(n), None if same else points(n, 2)
    matern = Matern(length_scale=WIDTH ** 0.5, nu=1.5)
    form = {
        "rbf": lambda: rbf_kernel(x, y, gamma=GAMMA),
        "laplacian": lambda: laplacian_kernel(x, y, gamma=1 / WIDTH),
        "poly": lambda: polynomial_kernel(x, y, degree=3, gamma=1 / WIDTH),
        "matern": lambda: matern(x, y),
    }
    return form[name]


def ridge(n):
    """Without errors of left-out points, which it does not give."""
    x, y = points(n), points(n)[:, 0]
    return lambda: KernelRidge(kernel="rbf", gamma=GAMMA, alpha=0.1).fit(x, y)


FORMS = {
    "rbfsampler": lambda n: fitted(RBFSampler(gamma=GAMMA, n_components=FEATURES, random_state=1), n),
    "nystroem": lambda n: fitted(Nystroem(gamma=GAMMA, n_components=FEATURES, random_state=1), n),
    "kernel": kernel,
    "ridge": ridge,
}
