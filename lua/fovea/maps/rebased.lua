--- phi(x) = z (x) z / sqrt(d), z = gamma o norm(x) + beta

local projection = require "fovea.projection"
local quadratic = require "fovea.quadratic"

return {
  name = "rebased",
  doc = "ReBased: the square (z_q.z_k)^2 / d of rows normalised to mean 0 and variance 1 and then moved,\n"
     .. "z = gamma norm(x) + beta, exactly. gamma and beta (d) may require gradients; 1 and 0 if left\n"
     .. "out. M = d(d+1)/2, or d^2 with packing = full. dim is required. O(nM).",
  ref = "Aksenov et al. 2024, \"ReBased\", arXiv:2402.10644",
  caps = "exact",
  options = {
    { "dim", "integer", nil, "width d of the input", lo = 1, required = true },
    { "scale", "number", 1, "the input is multiplied by it first" },
    { "gamma", "tensor", nil, "(d)" }, { "beta", "tensor", nil, "(d)" },
    { "eps", "number", 1e-5, "added to the variance", lo = 0, hi = 1 },
    { "packing", "string", "symmetric", "z_i z_j for i <= j, or all d^2", choices = { "symmetric", "full" } }
  },
  example = 'phi = fv.map("rebased", {dim=16}); phi(q)',
  build = function(opt, name, caps)
    local symmetric = opt.packing == "symmetric"
    projection.shaped(name, "gamma", opt.gamma, opt.dim)
    projection.shaped(name, "beta", opt.beta, opt.dim)
    local function normed(x)
      local centred = x - x:mean(-1):unsqueeze(-1)
      local z = centred / ((centred * centred):mean(-1):unsqueeze(-1) + opt.eps):sqrt()
      if opt.gamma then z = z * opt.gamma:to(x:dtype()) end
      return opt.beta and z + opt.beta:to(x:dtype()) or z
    end
    return projection.plain(opt, name, caps, {
      width = function(d) return quadratic.width(d, symmetric) end,
      cost = function(n, d) return projection.elementwise(n, d, quadratic.width(d, symmetric), 2) end,
      features = function(x) return quadratic.products(normed(x), symmetric) * opt.dim ^ -0.5 end,
      kernel = function(x, y) return normed(x):matmul(normed(y):t()) ^ 2 / opt.dim end
    })
  end
}
