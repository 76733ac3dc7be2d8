--- The Halton sequence with permuted digits, through the normal quantile

local fv = require "fovea"
local blocks = require "fovea.blocks"

local function primes(count)
  local list, n = {}, 1
  while #list < count do
    n = n + 1
    local prime = true
    for _, p in ipairs(list) do
      if p * p > n then break elseif n % p == 0 then prime = false break end
    end
    if prime then list[#list + 1] = n end
  end
  return list
end

--- sum_k pi_k(a_k) b^-k over the digits a_k of i = 0 .. count-1, lowest first, until b^-k
--- is below 2^-52; pi_k are independent uniform permutations, also of leading zeros.
local function inverse(count, base, stream)
  local digits, weight = {}, 1 / base
  while weight > 2 ^ -52 do
    local order = stream:permutation(base):totable()
    for a = 1, base do order[a] = (order[a] - 1) * weight end
    digits[#digits + 1], weight = order, weight / base
  end
  local u = {}
  for i = 0, count - 1 do
    local rest, sum = i, weight * base / 2
    for k = 1, #digits do
      sum = sum + digits[k][rest % base + 1]
      rest = rest // base
    end
    u[i + 1] = sum
  end
  return fv.tensor(u, { dtype = "f64" })
end

return {
  name = "halton",
  doc = "Quasi-Monte Carlo: the Halton sequence, its digits permuted at random (each row uniform, so\n"
     .. "estimates stay unbiased), through the normal quantile. Any dim; coordinates of large bases\n"
     .. "fill slowly, and sobol is better beyond some ten dimensions. O(m d 52/log2 p).",
  ref = "Halton 1960; Owen 2017, \"A randomized Halton algorithm in R\", arXiv:1706.02808",
  caps = "unbiased",
  example = 'W = fv.sample("halton", {rows=256, dim=8, seed=1})',
  build = function(opt)
    local source, columns = blocks.source(opt), {}
    for j, base in ipairs(primes(opt.dim)) do
      columns[j] = inverse(opt.rows, base, source("base " .. base))
    end
    return blocks.quantile(fv.stack(columns, 2)):to(opt.dtype)
  end
}
