--- phi(x) = [sin(W z), cos(W z)] / sqrt(m), or relu(W z) / sqrt(m); z = x / |x|, W = W0 diag(sigma)

local fv = require "fovea"
local closed = require "fovea.closed"
local projection = require "fovea.projection"

return {
  name = "rfa",
  doc = "Random feature attention: trig (or, variant = arccos, ReLU) features of rows of unit length with\n"
     .. "a scale sigma for each coordinate, a number or (d), which may require a gradient. Estimates\n"
     .. "exp(-|sigma o (x/|x| - y/|y|)|^2 / 2), or the arc-cosine kernel of order 1 halved, without\n"
     .. "bias. Its gate is a recurrence: fv.rule \"peng\". Trig is signed: the normaliser can vanish.\n"
     .. "A row of zeros gives NaN. phi(x) -> (..., n, M), O(nMd).",
  ref = "Peng et al. 2021, \"Random feature attention\", arXiv:2103.02143",
  caps = "unbiased",
  options = projection.options {
    { "sigma", "number|tensor", 1, "a number or (d)" },
    { "variant", "string", "trig", "which features", choices = { "trig", "arccos" } }
  },
  example = 'phi = fv.map("rfa", {dim=64, features=128, seed=1}); phi(q)',
  build = function(opt, name, caps)
    opt.scale = opt.scale or 1
    local trig = opt.variant == "trig"
    local function unit(x)
      local sigma = type(opt.sigma) == "number" and opt.sigma or opt.sigma:to(x:dtype())
      return x / (x * x):sum(-1):unsqueeze(-1):sqrt() * sigma
    end
    local object = projection.map(opt, name, trig and caps or projection.with(caps, "nonneg"), {
      pairs = trig and 2 or 1, op = trig and fv.ops.trig_features or fv.ops.relu_features,
      kernel = function(x, y)
        return closed[trig and "gaussian" or "relu"](closed.parts(unit(x), unit(y)))
      end,
      features = function(x, W, _, _, project, structured)
        local z = unit(x)
        if structured then
          local u = project(z)
          return (trig and fv.cat({ u:sin(), u:cos() }, u:ndim()) or u:relu()) / W:size(1) ^ 0.5
        end
        return trig and fv.trig_features(z, W, { kernel = "gaussian" }) or fv.relu_features(z, W, { eps = 0 })
      end
    })
    if type(opt.sigma) ~= "number" then projection.shaped(name, "sigma", opt.sigma, opt.dim) end
    return object
  end
}
