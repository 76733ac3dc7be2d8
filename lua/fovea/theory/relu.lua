--- One term: max(w.x, 0) max(w.y, 0), w ~ N(0, I)

local generalised = require "fovea.theory.generalised"

local relu = { f = "relu" }

return {
  name = "relu",
  doc = "ReLU features with eps = 0, against the arc-cosine kernel of order 1.\n"
     .. "The second moment of a term is the arc-cosine kernel of order 2.",
  ref = generalised.ref, own_law = generalised.own_law,
  options = { { "eps", "number", 0, "what the map adds to each feature", lo = 0 } },
  example = 'fv.theory("relu", {d=8, m=64, xx=1, yy=1, xy=0.5})',
  build = function(opt)
    if opt.eps > 0 then error("relu: option 'eps': a closed form exists for eps = 0 only", 0) end
    return {}
  end,
  target = function(g) return generalised.target(g, relu) end,
  moments = function(law, g) return generalised.moments(law, g, relu) end
}
