--- phi(x) = [1, x, x (x) x / sqrt 2]

local fv = require "fovea"
local projection = require "fovea.projection"
local quadratic = require "fovea.quadratic"

return {
  name = "taylor2",
  doc = "The second-order Taylor map of the exponential (Based): phi(q).phi(k) = 1 + s + s^2/2 exactly,\n"
     .. "s = q.k / sqrt(d), never below 1/2; even growth: large negative s get large weights.\n"
     .. "M = 1 + d + d^2, or 1 + d + d(d+1)/2 with packing = symmetric. dim is required. O(nM).",
  ref = "Arora et al. 2024, \"Based\", arXiv:2402.18668; Zhang et al. 2024, arXiv:2402.04347",
  caps = "exact",
  options = {
    { "dim", "integer", nil, "width d of the input", lo = 1, required = true },
    { "scale", "number", nil, "the input is multiplied by it first; d^(-1/4) if not given" },
    { "packing", "string", "symmetric", "x_i x_j for i <= j, or all d^2", choices = { "symmetric", "full" } }
  },
  example = 'phi = fv.map("taylor2", {dim=16}); phi(q)',
  build = function(opt, name, caps)
    local symmetric = opt.packing == "symmetric"
    opt.scale = opt.scale or opt.dim ^ -0.25
    local function width(d) return 1 + d + quadratic.width(d, symmetric) end
    return projection.plain(opt, name, caps, {
      width = width,
      cost = function(n, d) return projection.elementwise(n, d, width(d), 2) end,
      features = function(x)
        local one = x:slice(-1, 1, 1) * 0 + 1
        return fv.cat({ one, x, quadratic.products(x, symmetric) * 2 ^ -0.5 }, x:ndim())
      end,
      kernel = function(x, y)
        local s = x:matmul(y:t())
        return 1 + s + s * s / 2
      end
    })
  end
}
