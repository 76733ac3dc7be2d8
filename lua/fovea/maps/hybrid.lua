--- l hyperbolic + (1 - l) trig, l = 1/2 - sum_j sgn(t_j.x) sgn(t_j.y) / (2n)

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

return {
  name = "hybrid",
  doc = "Angular hybrid features: phi(q).phi(k) estimates exp(q.k / sqrt(d)) without bias by a mixture of\n"
     .. "hyperbolic features, weight l, and trig ones, weight 1 - l, where l estimates theta/pi, the angle\n"
     .. "of q and k, from n sign projections: no variance at angle 0 and pi. M = 4m(n+1): the signs of\n"
     .. "the first block differ by side, so pass it. Both parts share W. Signed. O(nmd + nM).",
  ref = "Choromanski et al. 2022, \"Hybrid random features\", arXiv:2110.04367",
  caps = "unbiased asymmetric",
  options = projection.options {
    { "signs", "integer", 8, "number n of sign projections", lo = 1, hi = 4096 }
  },
  example = 'phi = fv.map("hybrid", {dim=64, features=288, signs=8}); phi(k, "k")',
  build = function(opt, name, caps)
    local tau
    return projection.map(opt, name, caps, {
      pairs = 4 * (opt.signs + 1), kernels = { normal = closed.softmax },
      cost = function(n)
        local m, d = opt.features // (4 * (opt.signs + 1)), opt.dim
        return { flops = 2 * n * d * (m + opt.signs) + 2 * n * opt.features, exps = 4 * n * m,
                 bytes = 4 * n * (d + opt.features) }
      end,
      features = function(x, W, _, side, project)
        tau = tau or projection.stream(opt, "signs"):normal(opt.signs, opt.dim, { dtype = "f64" })
        local half, u = (x * x):sum(-1):unsqueeze(-1) / 2, project(x)
        local last, root = u:ndim(), W:size(1) ^ -0.5
        local hyp = fv.cat({ (u - half):exp(), (-u - half):exp() }, last) * (root * 2 ^ -0.5)
        local trig = fv.cat({ u:sin(), u:cos() }, last) * half:exp() * root
        -- l = (1 - s.s')/2 and 1 - l = (1 + s.s')/2 with s = sgn(tau x) / sqrt(n)
        local s = x:matmul(tau:to(x:dtype()):t()):sign() * (2 * opt.signs) ^ -0.5
        local one = half * 0 + 2 ^ -0.5
        local function times(weights, part)
          local y = weights:unsqueeze(-1) * part:unsqueeze(-2)
          local shape = { x:shape() }
          shape[#shape] = y:size(-1) * y:size(-2)
          return y:reshape(shape)
        end
        return fv.cat({ times(fv.cat({ one, side == "k" and s or -s }, last), hyp),
                        times(fv.cat({ one, s }, last), trig) }, last)
      end
    })
  end
}
