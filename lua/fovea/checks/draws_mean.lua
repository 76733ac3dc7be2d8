--- (mean of W_ij over draws) / standard error

return {
  name = "draws_mean",
  doc = "Entries of a sampler have mean 0 over independent draws.\n"
     .. "figure: the largest distance in standard errors over the entries of the first block; the Q of\n"
     .. "a QR without the signs of the diagonal of R fails here.",
  kinds = "sampler",
  build = function()
    return {
      test = function(s)
        local W = s:all():slice(2, 1, math.min(s.opt.d, s.opt.rows))
        local mean = W:mean(1)
        local se = (W:var(1) / W:size(1)):sqrt()
        local z = (mean:abs() / (se + 1e-300)):reshape(-1)
        local at = z:argmax():item()
        local i, j = (at - 1) // s.opt.d + 1, (at - 1) % s.opt.d + 1
        return { figure = z:max():item(), bound = 5, note = ("W[%d][%d] has mean %.3g"):format(i, j,
                 mean:get(i, j)) }
      end
    }
  end
}
