"""Sharpness: the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000)."""

from __future__ import annotations

import numpy as np

from .opencv import opencv


def laplacian_variance(grey: np.ndarray) -> float:
    """Variance of the Laplacian (4 neighbours, mirrored at the border) of grey levels [H, W] uint8, in squared levels: 0 and up.

    More detail gives more, and so does noise. It falls with every enlargement: compare clips of one size.
    """
    cv2 = opencv()
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1)  # whole numbers of -1020 to 1020: exact
    _, deviation = cv2.meanStdDev(laplacian)
    return float(deviation[0, 0]) ** 2
