--- Features that are products of powers of coordinates, with random exponents.

local closed = require "fovea.closed"
local projection = require "fovea.projection"

local discrete = {}

function discrete.options(more)
  local list = {}
  for _, o in ipairs(projection.options(more)) do
    if o[1] ~= "sampler" then list[#list + 1] = o end
  end
  return list
end

--- phi(x)_r = exp(factor(w)_r) prod_l x_l^(w_rl) / sqrt(m).  def: draw(stream, m) -> w (m, d),
--- factor(w) -> (m), needs and statistics as dense.map has them.
function discrete.map(opt, name, caps, def)
  local column
  return projection.map(opt, name, caps, {
    stream = def.draw, kernels = { normal = closed.softmax }, statistics = def.statistics,
    cost = function(n)
      local M, d = opt.features, opt.dim
      return { flops = 4 * n * M * d, exps = n * (M + d), bytes = 4 * (n * d + M * d + n * M) }
    end,
    features = function(x, W)
      if def.needs and opt[def.needs] == nil then
        error(("%s: option '%s' is not set: phi:fit(q, k) finds it"):format(name, def.needs), 0)
      end
      column = column or def.factor(W:to "f64") - 0.5 * math.log(W:size(1))
      local powers = (x:abs():maximum(1e-30):log():matmul(W:t()) + column:to(x:dtype())):exp()
      local odd = x:lt(0):to(x:dtype()):matmul(W:t()) % 2        -- sign: of the negative ones' exponents
      return powers * (1 - 2 * odd)
    end
  })
end

return discrete
