--- Another map of queries and of keys moved by one vector

local fv = require "fovea"

return {
  name = "centred",
  doc = "The map named by 'map' with one vector added to all keys, which softmax attention does not\n"
     .. "see, but the variance of every estimator does: fit takes shift = -(mean q + mean k), which makes\n"
     .. "the mean of |q + k|^2 least, then fits the map to what results. phi:kernel is that of q and\n"
     .. "the moved k: a factor of each query apart. In causal use the shift must not come from later\n"
     .. "tokens. Takes the map's options. Pass the side. O(nd) more than the map.",
  ref = "the invariance of softmax to a shift of its scores",
  caps = "fitted asymmetric",
  options = {
    { "map", "string", "oprf", "a map of the softmax kernel, by name",
      choices = { "positive", "hyperbolic", "trig", "favor", "smreg", "oprf", "sderf", "aderf", "saderf",
                  "aderf_sderf", "hybrid", "taylor2" } },
    { "shift", "tensor", nil, "(d), added to raw keys; from fit" }
  },
  extend = function(given)
    local ok, entry = pcall(fv.map.entry, given.map or "oprf")
    return ok and entry.options or {}
  end,
  example = 'phi = fv.map("centred", {map="oprf", dim=64}):fit(q, k); phi(k, "k")',
  build = function(opt, name)
    local projection = require "fovea.projection"
    local entry, given = fv.map.entry(opt.map), {}
    for _, o in ipairs(entry.options) do given[o.name] = opt[o.name] end
    local inner = fv.map(opt.map, given)
    projection.shaped(name, "shift", opt.shift, inner.dim or nil)
    local function moved(x, side)
      if not opt.shift then error(name .. ": option 'shift' is not set: phi:fit(q, k) finds it", 0) end
      return side == "k" and x + opt.shift:to(x:dtype()) or x
    end
    local caps = projection.with(inner.caps, "fitted", "asymmetric")
    local object = { W = inner.W, dim = inner.dim, features = inner.features, caps = caps }
    function object.call(_, x, side) return inner(moved(x, side), side) end
    if caps.log_features then
      function object.log(_, x, side) return inner:log(moved(x, side), side) end
    end
    if inner.kernel then
      function object.kernel(_, x, y) return inner:kernel(x, moved(y, "k")) end
    end
    function object.cost(_, sizes) return inner:cost(sizes) end
    function object.statistics(_, q, k)
      local x, y = projection.rows(name, "q", q, 1), projection.rows(name, "k", k, 1)
      local shift = -(x:mean(1) + y:mean(1))
      local found = rawget(inner, "statistics")
      found = found and found(inner, q, k:detach() + shift:to(k:dtype())) or {}
      found.shift = shift
      return found
    end
    return object
  end
}
