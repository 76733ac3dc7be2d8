--- phi(x) = f(W x) / sqrt(m) + eps, or f(x) + eps

local fv = require "fovea"
local duals = require "fovea.duals"
local projection = require "fovea.projection"

return {
  name = "generalised",
  doc = "Generalised features of a function f, by name or a function of a tensor: random where features\n"
     .. "or projection is given, f(W x) / sqrt(m) + eps, else f(x) + eps. Random ones estimate\n"
     .. "E f(w.x) f(w.y), w ~ N(0,I), plus eps sqrt(m) (E f(w.x) + E f(w.y)) + m eps^2: phi:kernel has\n"
     .. "closed forms of abs, cos, erf, exp, gelu, identity, relu, relu2, sgn, sin, square, step, and a\n"
     .. "181 x 181 quadrature else, for smooth f (33,000 evaluations of f on (n, m)).\n"
     .. "The input is not scaled unless scale says so. phi(x) -> (..., n, M), O(nMd).",
  ref = "Choromanski et al. 2021, arXiv:2009.14794",
  caps = "unbiased",
  options = projection.options {
    { "f", "string|function", "relu", "the function", choices = duals.names() },
    { "eps", "number", 0, "added to every feature", lo = 0, hi = 1e6 },
    { "compat", "string", nil, "as published code has it: no 1/sqrt(m), eps 1e-3 unless given; "
      .. "performer-pytorch also scales by d^(-1/4)", choices = { "google-jax", "performer-pytorch" } }
  },
  example = 'phi = fv.map("generalised", {f="gelu", dim=64, features=256}); phi(q)',
  build = function(opt, name, caps)
    local f, nonneg = duals.f[opt.f] or opt.f, projection.with(caps, duals.nonneg[opt.f] and "nonneg")
    if opt.compat and opt.eps == 0 then opt.eps = 1e-3 end
    opt.scale = opt.scale or opt.compat == "performer-pytorch" and opt.dim and opt.dim ^ -0.25 or 1
    if not opt.features and not opt.projection then
      return projection.plain(opt, name, projection.without(nonneg, "unbiased"), {
        width = 1, features = function(x) return opt.eps == 0 and f(x) or f(x) + opt.eps end,
        cost = function(n, d) return projection.elementwise(n, d, d, 1, 1) end
      })
    end
    return projection.map(opt, name, nonneg, {
      op = fv.ops.relu_features,
      kernels = { normal = function(aa, bb, c)
        local root = opt.compat and 1 or opt.features ^ -0.5
        local k = duals.kernel(opt.f)(aa, bb, c) * (root ^ 2 * opt.features)
        if opt.eps == 0 then return k end
        return k + (duals.mean(f, aa) + duals.mean(f, bb)) * (opt.eps * root * opt.features)
               + opt.features * opt.eps ^ 2
      end },
      features = function(x, _, _, _, project)
        local phi = f(project(x))
        if not opt.compat then phi = phi / opt.features ^ 0.5 end
        return opt.eps == 0 and phi or phi + opt.eps
      end
    })
  end
}
