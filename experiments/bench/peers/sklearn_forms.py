"""scikit-learn's kernel approximations, f32 inputs of width 64, fitted beforehand."""
import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import rbf_kernel as kernel

WIDTH, FEATURES, GAMMA = 64, 256, 0.5 / 64


def points(n):
    return np.random.default_rng(1).standard_normal((n, WIDTH), dtype=np.float32)


def fitted(estimator, n):
    x = points(n)
    estimator.fit(x)
    return lambda: estimator.transform(x)


def rbf_kernel(n):
    x = points(n)
    return lambda: kernel(x, gamma=GAMMA)


FORMS = {
    "rbfsampler": lambda n: fitted(RBFSampler(gamma=GAMMA, n_components=FEATURES, random_state=1), n),
    "nystroem": lambda n: fitted(Nystroem(gamma=GAMMA, n_components=FEATURES, random_state=1), n),
    "rbf_kernel": rbf_kernel,
}
