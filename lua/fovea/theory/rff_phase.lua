--- One term: 2 cos(w.x + b) cos(w.y + b) / Lambda, b uniform on [0, 2 pi)

return {
  name = "rff_phase",
  doc = "Random Fourier features with a phase, sqrt(2/D) cos(w.x + b) (RBFSampler).\n"
     .. "Variance (1 - k^2 + k^4/2)/D with k = exp(-|x-y|^2/2), always above that of sine and\n"
     .. "cosine with the same number D of features, (1 - k^2)^2/D.",
  ref = "Sutherland & Schneider 2015, arXiv:1506.02785",
  own_law = "a closed form exists for independent rows only",
  example = 'fv.theory("rff_phase", {d=8, m=64, xx=1, yy=1, xy=0, kernel="gaussian"})',
  build = function() return {} end,
  moments = function(_, g)
    local k2 = math.exp(-g.d2)
    return 1, (1 - k2 + k2 ^ 2 / 2) / k2
  end
}
