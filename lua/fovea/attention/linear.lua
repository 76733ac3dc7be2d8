--- o_i = sum_j phi(q_i).phi(k_j) v_j / (sum_j phi(q_i).phi(k_j) + guard)

local fv = require "fovea"
local features = require "fovea.features"
local options = require "fovea.options"

local function count(phi)
  local M = type(phi) == "table" and phi.features
  if not M then error("linear: cost: the map does not tell its number of features", 3) end
  return M
end

--- elu + 1 as it is, on rows of d: the operator forms it on the way.
local function plain_elu(phi, d)
  return type(phi) == "table" and phi.kind == "map" and phi.name == "elu1" and phi.options.scale == 1
     and (phi.dim or d) == d
end

local function features_of(phi, x, side)
  if type(phi) == "function" then return phi(x) end
  return phi(x, side)
end

return {
  name = "linear",
  doc = "Linear attention on the features of any map, in time linear in n.\n"
     .. "map is a name (its options then go here too; dim is taken from q), a map object, or\n"
     .. "a function of a tensor, which must treat each row by itself where the sequence comes in\n"
     .. "pieces. info.fused says whether the features were formed inside the operator (elu1),\n"
     .. "info.form and info.chunk how its sums ran.",
  ref = "Katharopoulos et al. 2020, arXiv:2006.16236",
  caps = "causal streaming grouped linear_in_v order_equivariant",
  options = {
    { "map", "string|map|function", "elu1", "the feature map phi" },
    { "normalize", "boolean", true, "divide by the sum of the weights" },
    { "guard", "number", 0, "added to that sum; for maps whose features can all be zero", lo = 0 }
  },
  extend = function(given)
    local name = given.map or "elu1"
    return type(name) == "string" and fv.map.entry(name).options or {}
  end,
  call = features.random_call,
  example = 'o = fv.attention("linear", {map="dpfp", nu=3, guard=1e-6})(q, k, v, {causal=true})',
  build = function(opt, name)
    local pick = type(opt.map) == "string" and features.maker(opt.map, opt) or function() return opt.map end
    return {
      map = pick,
      attend = function(q, k, v, c, past)
        local phi = features.after(pick(q:size(-1)), past, name)
        local fused = plain_elu(phi, q:size(-1))
        local fq, fk = q, k
        if not fused then fq, fk = features_of(phi, q, "q"), features_of(phi, k, "k") end
        if options.type(fq) ~= "tensor" or options.type(fk) ~= "tensor" then
          error(("linear: option 'map': expected a function that returns a tensor, got %s from it")
            :format(options.type(fq)), 0)
        end
        local M = fq:size(-1)
        local by = { causal = c.causal, key_length = c.key_length, normalize = opt.normalize,
                     eps = opt.guard, map = fused and "elu1" or nil, s = past and past.s, z = past and past.z }
        local o, s, z = fv.linear_attention(fq, fk, v, by)
        local sizes = features.sizes(q, k, v)
        local info = features.form("linear_attention", q, c.causal,
                                   { n = sizes.n, m = sizes.m, f = M, e = sizes.e })
        info.path, info.features, info.fused = "approximate", M, fused
        return o, info, features.cost(phi, M, sizes), features.keep(past, q, k, { s = s, z = z })
      end,
      state = function(_, s) return features.state(count(pick(s.d)), s.e) end,
      cost = function(_, s)
        local phi = pick(s.d)
        return features.cost(phi, count(phi), s)
      end
    }
  end
}
