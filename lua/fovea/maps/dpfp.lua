--- phi(x) = products of r = [relu(x), relu(-x)] with itself rolled by 1 .. nu

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "dpfp",
  doc = "Deterministic parameter-free projection, M = 2 d nu.\n"
     .. "Sparse and never negative; a row can be all zero, so normalise with an eps.\n"
     .. "The input is not scaled unless scale says so.",
  ref = "Schlag, Irie & Schmidhuber 2021, arXiv:2102.11174",
  caps = "nonneg",
  options = projection.plain_options {
    { "nu", "integer", 1, "number of shifts; at most 2d-1, useful up to d-1", lo = 1, hi = 65535 }
  },
  example = 'phi = fv.map("dpfp", {nu=3}); phi(q)',
  build = function(opt, name, caps)
    return projection.plain(opt, name, caps, {
      width = 2 * opt.nu, features = function(x) return fv.dpfp(x, { nu = opt.nu }) end,
      cost = function(n, d) return fv.ops.dpfp:cost { n = n, d = d, nu = opt.nu } end
    })
  end
}
