--- The Sobol sequence, scrambled, through the normal quantile

local fv = require "fovea"
local blocks = require "fovea.blocks"
local sobol = require "fovea.sobol"

local BITS = sobol.bits

--- L v for a random lower triangular L with unit diagonal over GF(2), first bit first.
local function triangular(stream)
  local row = {}
  for i = 1, BITS do
    row[i] = (stream:integers(0, (1 << 32) - 1) & ~((1 << (BITS - i + 1)) - 1)) | 1 << (BITS - i)
  end
  return function(v)
    local out = 0
    for i = 1, BITS do
      local x = row[i] & v
      for _, half in ipairs { 16, 8, 4, 2, 1 } do x = x ~ x >> half end
      out = out << 1 | x & 1                -- the parity of x
    end
    return out
  end
end

return {
  name = "sobol",
  doc = "Quasi-Monte Carlo: the Sobol sequence with a random linear scramble and digital shift (each\n"
     .. "row uniform, so estimates stay unbiased), through the normal quantile. dim to 256: one\n"
     .. "primitive polynomial each, initial direction numbers chosen for even planes. Best for\n"
     .. "positive features, with rows a power of two; orthogonal rows are better for hyperbolic and\n"
     .. "trig. O(32 m d).",
  ref = "Sobol 1967; Joe & Kuo 2008, \"Constructing Sobol sequences with better two-dimensional\n"
     .. "projections\"; Matousek 1998, \"On the L2-discrepancy for anchored boxes\"",
  caps = "unbiased",
  example = 'W = fv.sample("sobol", {rows=256, dim=64, seed=1})',
  build = function(opt, name)
    if opt.dim > sobol.most then
      error(("%s: option 'dim': expected at most %d, got %d"):format(name, sobol.most, opt.dim), 0)
    end
    local source, columns = blocks.source(opt), {}
    for j, v in ipairs(sobol.directions(opt.dim)) do
      local stream = source("coordinate " .. j)
      local scramble, x, u = triangular(stream), stream:integers(0, (1 << 32) - 1), {}
      for k = 1, BITS do v[k] = scramble(v[k]) end
      for i = 1, opt.rows do
        u[i] = (x + 0.5) * 2.0 ^ -BITS
        local bit, k = i, 1                 -- Gray code: the lowest bit of i that is set
        while bit & 1 == 0 do bit, k = bit >> 1, k + 1 end
        x = x ~ v[k]
      end
      columns[j] = fv.tensor(u, { dtype = "f64" })
    end
    return blocks.quantile(fv.stack(columns, 2)):to(opt.dtype)
  end
}
