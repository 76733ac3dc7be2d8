--- k-means: seeds by k-means++, then Lloyd's iterations

local fv = require "fovea"
local distances = require "fovea.distances"

--- m rows of x (b, n, d), each drawn with a probability in proportion to its squared distance
--- from those before; the first uniformly. Rows at distance 0 are drawn once all are.
local function seeds(x, m, rng)
  local b, n = x:size(1), x:size(2)
  local gap, free, list, to_row = nil, fv.ones(b, n, { dtype = "f64" }), {}, distances.to_row(x)
  for i = 1, m do
    local weight = free
    if gap then weight = fv.where(gap:sum(-1):eq(0):unsqueeze(-1), free, gap) end
    local sums = weight:cumsum(-1)
    local u = rng:uniform({ b, 1 }, { dtype = "f64" }) * sums:slice(-1, n, n)
    local at = (sums:le(u):to "i64":sum(-1) + 1):minimum(n)
    list[i] = at
    free = fv.where(at:one_hot(n):gt(0), 0, free)
    local new = to_row(at)
    gap = (gap and gap:minimum(new) or new) * free
  end
  return fv.stack(list, -1)
end

return {
  name = "kmeans",
  doc = "Centres of k-means: rows by k-means++, then Lloyd's iterations.\n"
     .. "With iterations = 0 the rows themselves. A centre that no row is nearest to goes back to the\n"
     .. "row that it began as. O(nmd (1 + iterations)), in f64.",
  ref = "Arthur & Vassilvitskii 2007, k-means++; Zhang, Tsang & Kwok 2008, Improved Nystrom Low-Rank\n"
     .. "Approximation and Error Analysis",
  options = { { "iterations", "integer", 5, "Lloyd's iterations", lo = 0, hi = 10000 } },
  caps = "random",
  example = 'fv.landmarks("kmeans", {count=64, iterations=5, seed=1})(x)',
  build = function(opt)
    return {
      pick = function(x, m, rng)
        local index = seeds(x, m, rng)
        if opt.iterations == 0 then return index end
        local first = x:gather(-2, index:unsqueeze(-1):expand { x:size(1), m, x:size(3) })
        local centres, weights = first, nil
        for _ = 1, opt.iterations do
          local member = distances.nearest(x, centres):one_hot(m, { dtype = "f64" }):t()
          local counts = member:sum(-1):unsqueeze(-1)
          weights = member / counts:maximum(1)
          centres = fv.where(counts:eq(0), first, weights:matmul(x))
        end
        return weights, index
      end
    }
  end
}
