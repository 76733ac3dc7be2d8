--- fv.map(name, options): feature maps phi, so that phi(q).phi(k) stands for a kernel.
---
--- Every map is callable, phi(x (..., n, d)) -> (..., n, M), and answers .features (M, once
--- the input's width is known) and :cost{n=}.  Maps of positive random features also
--- answer :log(x), the logarithms of their features, which cannot overflow.

return require "fovea.registry".new { kind = "map", folder = "fovea.maps" }
