--- W = [w_1; -w_1; w_2; -w_2; ..]

local fv = require "fovea"

return {
  name = "antithetic",
  doc = "Rows in pairs w, -w of another sampler's. Positive features of it are those of the map\n"
     .. "hyperbolic in another order; even functions gain nothing. O(md) on top of the other's cost.",
  ref = "Hammersley & Morton 1956, \"A new Monte Carlo technique: antithetic variates\"",
  caps = "unbiased",
  options = {
    { "of", "string", "iid", "the sampler of w, one whose rows are N(0,I)",
      choices = { "iid", "orthogonal", "simplex", "givens", "sobol", "halton", "fastfood" } }
  },
  example = 'W = fv.sample("antithetic", {rows=256, dim=64, seed=1, of="orthogonal"})',
  build = function(opt)
    local half = { rows = (opt.rows + 1) // 2, dim = opt.dim, rng = opt.rng, dtype = opt.dtype }
    local W = fv.sample(opt.of, half)
    return fv.stack({ W, -W }, 2):reshape(-1, opt.dim):slice(1, 1, opt.rows):contiguous()
  end
}
