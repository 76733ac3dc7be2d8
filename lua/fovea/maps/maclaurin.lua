--- phi(x)_r = sqrt(a_N 2^(N+1) / m) prod_{i <= N} w_ri.x, N of probability 2^-(N+1), w signs

local fv = require "fovea"
local projection = require "fovea.projection"

local function falling(N) return N <= 1 and 1 or N * falling(N - 1) end

--- Coefficients a_N of the kernel, f(t) = sum a_N t^N.
local coefficients = {
  exp = function(N) return 1 / falling(N) end,
  polynomial = function(N, opt)
    if N > opt.degree then return 0 end
    return falling(opt.degree) / (falling(N) * falling(opt.degree - N)) * opt.offset ^ (opt.degree - N)
  end
}

return {
  name = "maclaurin",
  doc = "Random Maclaurin features: phi(x).phi(y) estimates f(x.y), f(t) = exp(t) or (t + offset)^degree,\n"
     .. "without bias, by products of N projections on random signs, N geometric (1/2). Signed; of use\n"
     .. "at small norms only. phi.W holds the signs, those of the first factor first. O(nMd) on average.\n"
     .. "phi(x) -> (..., n, M). The input is scaled by d^(-1/4) for exp, not at all otherwise, unless\n"
     .. "scale says so.",
  ref = "Kar & Karnick 2012, \"Random feature maps for dot product kernels\", arXiv:1201.6530",
  caps = "unbiased",
  options = projection.seeded {
    { "f", "string", "exp", "the kernel", choices = { "exp", "polynomial" } },
    { "degree", "integer", 2, "of the polynomial", lo = 0, hi = 16 },
    { "offset", "number", 0, "of the polynomial", lo = 0, hi = 1e6 }
  },
  example = 'phi = fv.map("maclaurin", {dim=16, features=256, seed=1}); phi(q)',
  build = function(opt, name, caps)
    opt.features, opt.scale = opt.features or 256, opt.scale or opt.f == "exp" and opt.dim ^ -0.25 or 1
    local M, counts, scale, Ns = opt.features, {}, {}, {}
    local stream = projection.stream(opt)
    for r, u in ipairs(stream:uniform(M, { dtype = "f64" }):totable()) do
      Ns[r] = math.floor(-math.log(u, 2))                 -- P(N) = 2^-(N+1)
    end
    table.sort(Ns, function(a, b) return a > b end)       -- features are exchangeable
    local total = 0
    for r, N in ipairs(Ns) do
      scale[r] = math.sqrt(coefficients[opt.f](N, opt) * 2.0 ^ (N + 1) / M)
      for i = 1, N do counts[i] = (counts[i] or 0) + 1 end
      total = total + N
    end
    local W = (stream:integers(0, 1, math.max(total, 1), opt.dim) * 2 - 1):to "f32"
    local function features(x)
      local u, last = x:matmul(W:to(x:dtype()):t()), x:ndim()
      local one, product = u:slice(-1, 1, 1) * 0 + 1, nil
      local from = total
      local function ones(count) return one:expand(table.unpack(projection.wide(x, count))) end
      for i = #counts, 1, -1 do
        from = from - counts[i]
        local factor, more = u:slice(-1, from + 1, from + counts[i]), counts[i] - (counts[i + 1] or 0)
        if product then
          factor = (more > 0 and fv.cat({ product, ones(more) }, last) or product) * factor
        end
        product = factor
      end
      local rest = M - (counts[1] or 0)
      if rest > 0 then product = product and fv.cat({ product, ones(rest) }, last) or ones(rest) end
      return product * fv.tensor(scale, { dtype = x:dtype() })
    end
    return projection.own(opt, name, caps, W, {
      width = function() return M end, features = features,
      cost = function(n, d)
        return { flops = 2 * n * d * total + n * (total + M), exps = 0,
                 bytes = 4 * (n * d + total * d + n * M) }
      end,
      kernel = function(x, y)
        local c = x:matmul(y:t())
        return opt.f == "exp" and c:exp() or (c + opt.offset) ^ opt.degree
      end
    })
  end
}
